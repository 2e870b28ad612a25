"""What the age-and-law table says: about somebody on a day, as a page to read, or what another table would change."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy.ext.asyncio import create_async_engine

from consent.handlers.preview import preview
from consent.handlers.tables import law_table
from consent.model import law_told
from consent.model.births import Unborn
from consent.model.facts import VALUES, Fact, Facts, Kind
from consent.model.law import Law
from samlogg.running import FILE_VARIABLE, USUAL_FILE, NotRunningError

_PEOPLE = {"child-welfare": "carer", "lacking": "representative", "temporarily": "representative"}
_EVER = date.min


class NoSuchFactError(ValueError):
    """A fact that the table does not know; the text is one sentence."""


def facts(said: str) -> Facts:
    """`responsibility=felles,capacity=lacking,party=health`, each as if it had always held; NoSuchFactError."""
    found: list[Fact] = []
    for order, one in enumerate(part.strip() for part in said.split(",") if part.strip()):
        name, _, value = one.partition("=")
        if name == "party":
            found.append(Fact("party", "decision", _EVER, what=None if value == "all" else value, order=order))
            continue
        if name not in VALUES or value not in VALUES[cast("Kind", name)]:
            known = "; ".join(f"{kind}={'|'.join(values)}" for kind, values in VALUES.items() if kind != "party")
            raise NoSuchFactError(f"There is no fact {one}. Say {known}; party=all or a category.")
        people = frozenset({"holder"}) if name == "responsibility" and value != "ukjent" else frozenset[str]()
        people |= {_PEOPLE[value]} if value in _PEOPLE else set()
        found.append(Fact(cast("Kind", name), value, _EVER, people=people, order=order))
    return tuple(found)


def table(file: str | None, municipality: str | None) -> Law:
    """The table in a file, or the packaged one."""
    return law_table(Path(file) if file else None, municipality=municipality)


def somebody(
    law: Law, born: str | None, due: str | None, on: str | None, said: str, *, as_json: bool
) -> Iterator[str]:  # fmt: skip
    """What holds for somebody born then, or due then and not born, on a day (today if none is said)."""
    day = date.fromisoformat(on) if on else law.day_of(datetime.now(UTC))
    birth = date.fromisoformat(born) if born else Unborn(date.fromisoformat(due or ""))
    found = law_told.told(law, birth, day, facts(said))
    yield from [json.dumps(found, ensure_ascii=False)] if as_json else law_told.lines(found)


def database(world: str | None) -> str:
    """Where consent keeps its facts: SAMLOGG_DATABASE_URL, or as the file of what runs here says; NotRunningError."""
    if given := os.environ.get("SAMLOGG_DATABASE_URL"):
        return given
    file = Path(world or os.environ.get(FILE_VARIABLE, "") or USUAL_FILE)
    try:
        return str(json.loads(file.read_text())["databases"]["consent"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NotRunningError(f"{file} does not say where consent's database is. Start it with `make demo`.") from error


def another(old: Law, new: Law, url: str, *, as_json: bool) -> Iterator[str]:
    """Whom another table would touch: counts by what changes."""
    counts = asyncio.run(_counted(old, new, url))
    if as_json:
        yield json.dumps({"from": old.version, "to": new.version, **counts})
        return
    yield f"From {old.version} to {new.version}: {counts['touched']} of {counts['subjects']} people are touched."
    yield from (f"  {number:>8}  {name}" for name, number in _by_number(counts))


def _by_number(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    rest = [(name, number) for name, number in counts.items() if name not in ("subjects", "touched")]
    return sorted(rest, key=lambda one: (-one[1], one[0]))


async def _counted(old: Law, new: Law, url: str) -> dict[str, int]:
    engine: Any = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as conn:
            await conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            return await preview(conn, old, new, datetime.now(UTC))
    finally:
        await engine.dispose()
