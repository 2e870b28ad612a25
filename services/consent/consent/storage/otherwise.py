"""Queries of what came otherwise than by a log-in: registered words, information given, forms and companions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.otherwise import Manner
from consent.storage.grants import ChangeRow, change_of
from consent.storage.tables import change, directory_entry, narrowing, request
from consent.storage.tables_otherwise import companion, given_otherwise, information_given, paper_form


@dataclass(frozen=True, slots=True)
class GivenRow:
    """A registered word: whose, how it came, through whom. `sealed`: place, statement and scan."""

    id: str
    subject: str
    request: str | None
    person: str
    way: str
    manner: Manner
    by_kind: str
    by: str
    services: tuple[str, ...]
    witness: str | None
    form: str | None
    given_at: datetime
    registered_at: datetime
    sealed: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class FormRow:
    """A printed form: of which request, for whom, and which text is on it."""

    code: str
    request: str
    person: str
    text_version: str
    language: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class CompanionRow:
    """Who writes for `person`. called: sealed. given: the registered word by which they were named."""

    id: str
    subject: str
    person: str
    companion: str
    called: bytes = field(repr=False)
    acts: tuple[str, ...]
    until: int
    given: str | None
    named_at: datetime
    ended_at: datetime | None


async def working(conn: AsyncConnection, staff: Iterable[str]) -> list[str]:
    """Those of these members of staff who work here now, as the directory has it."""
    query = select(directory_entry).where(
        directory_entry.c.kind == "staff", directory_entry.c.id.in_(list(staff)), ~directory_entry.c.closed
    )
    return [row.id for row in await conn.execute(query) if row.body.get("active") is True]


async def add_given(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Keep how a word came, for ever."""
    await conn.execute(insert(given_otherwise).values(**values))


async def given_of(conn: AsyncConnection, subject: str) -> list[GivenRow]:
    """Every registered word about a subject, the oldest first."""
    query = select(given_otherwise).where(given_otherwise.c.subject == subject)
    rows = await conn.execute(query.order_by(given_otherwise.c.registered_at, given_otherwise.c.id))
    return [_given(row) for row in rows.mappings()]


async def given_by_id(conn: AsyncConnection, id_: str) -> GivenRow | None:
    """One registered word."""
    row = (await conn.execute(select(given_otherwise).where(given_otherwise.c.id == id_))).mappings().first()
    return None if row is None else _given(row)


def _given(row: Mapping[Any, Any]) -> GivenRow:
    return GivenRow(**{**row, "services": tuple(row["services"])})


async def change_by_given(conn: AsyncConnection, subject: str, given: str) -> ChangeRow | None:
    """The change that a registered word led to, if anything changed."""
    query = select(change).where(change.c.subject == subject, change.c.body["given"].astext == given)
    row = (await conn.execute(query)).first()
    return None if row is None else change_of(row)


async def narrowed_since(conn: AsyncConnection, subject: str, by: str, since: datetime) -> list[tuple[str, str | None]]:
    """Service and category (None: all) of every part that this person withdrew at or after this time."""
    query = select(narrowing.c.service, narrowing.c.category).where(
        narrowing.c.subject == subject, narrowing.c.by == by, narrowing.c.at >= since
    )
    return [(row.service, row.category) for row in await conn.execute(query)]


async def add_information(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Keep what somebody was told, for ever."""
    await conn.execute(insert(information_given).values(**values))


async def information_about(conn: AsyncConnection, requests: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """What was told orally about these requests, the oldest first, by request."""
    found: dict[str, list[dict[str, Any]]] = {id_: [] for id_ in requests}
    if found:
        query = select(information_given).where(information_given.c.request.in_(list(found)))
        order = (information_given.c.told_at, information_given.c.id)
        for row in (await conn.execute(query.order_by(*order))).mappings():
            found[row["request"]].append(dict(row))
    return found


async def add_form(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """A form that is about to be printed."""
    await conn.execute(insert(paper_form).values(**values))


async def form_by_code(conn: AsyncConnection, code: str) -> tuple[FormRow, str, str] | None:
    """The form with this code, whom its request is about, and which service asks."""
    query = select(paper_form, request.c.subject, request.c.asker).join(request, request.c.id == paper_form.c.request)
    row = (await conn.execute(query.where(paper_form.c.code == code))).first()
    if row is None:
        return None
    found = FormRow(row.code, row.request, row.person, row.text_version, row.language, row.made_at)
    return found, row.subject, row.asker


async def add_companion(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Somebody writes for somebody from now on."""
    await conn.execute(insert(companion).values(**values))


async def companions_of(conn: AsyncConnection, subject: str) -> list[CompanionRow]:
    """Everybody who writes or wrote for somebody in what is about the subject, the newest first."""
    query = select(companion).where(companion.c.subject == subject)
    rows = await conn.execute(query.order_by(companion.c.named_at.desc(), companion.c.id))
    return [_companion(row) for row in rows.mappings()]


async def companion_to(conn: AsyncConnection, who: str, now: int) -> list[CompanionRow]:
    """For whom somebody may write now."""
    query = select(companion).where(
        companion.c.companion == who, companion.c.ended_at.is_(None), companion.c.until > now
    )
    rows = await conn.execute(query.order_by(companion.c.named_at, companion.c.id))
    return [_companion(row) for row in rows.mappings()]


async def end_companion(conn: AsyncConnection, id_: str, at: datetime) -> None:
    """They no longer do; the first end counts."""
    ended = update(companion).where(companion.c.id == id_, companion.c.ended_at.is_(None))
    await conn.execute(ended.values(ended_at=at))


def _companion(row: Mapping[Any, Any]) -> CompanionRow:
    return CompanionRow(**{**row, "acts": tuple(row["acts"])})
