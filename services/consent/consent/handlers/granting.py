"""Grants begin and end with what everybody has said: planned here, and written with the change that tells of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.handlers import changes
from consent.model.grants import BASES, Narrowing, Terms, difference, limits, says
from consent.model.law import Law
from consent.model.requests import Asked, Cell, Said, capacity, counts, in_force, needed
from consent.storage import GrantRow, RequestRow, Word

Spoken = Mapping[tuple[str, Cell], Word]
"""The latest word of each person about each cell of one request."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which grants end, and the rows of those that begin, without the change."""

    end: tuple[str, ...]
    begin: tuple[Mapping[str, Any], ...]

    def __bool__(self) -> bool:
        """Does anything change?"""
        return bool(self.end or self.begin)


def counting(law: Law, request: Asked, words: Spoken, on: date) -> dict[tuple[str, Cell], Said]:
    """What counts on this day of what everybody said last: a no always, a yes while its giver's say has not grown."""
    return {
        (person, cell): word.said
        for (person, cell), word in words.items()
        if word.said == "no" or counts(law, request, person, cell, word.at, on)
    }


def plan(
    law: Law, request: RequestRow, words: Spoken, narrowings: Iterable[Narrowing], grants: Iterable[GrantRow],
    now: datetime,
) -> Plan:  # fmt: skip
    """What must change so that the request's grants say what everybody has said now: nothing begins under one that was
    taken back."""
    on, said = law.day_of(now), list(narrowings)
    agreed = in_force(law, request.rules, counting(law, request.rules, words, on), on)
    reaches = {cell: limits(end, _unlifted(said, cell, words)) for cell, end in agreed.items()}
    cells = {cell: reach for cell, reach in reaches.items() if reach.end > now.timestamp() and not request.taken_back}
    live = {grant.id: grant.terms for grant in grants if grant.request == request.rules.id and not grant.ended}
    found = difference(live, cells, request.rules.purpose)
    return Plan(found.end, tuple(_row(law, request, words, terms, now) for terms in found.begin))


def _unlifted(narrowings: Iterable[Narrowing], cell: Cell, words: Spoken) -> list[Narrowing]:
    """Those that speak of the cell and that the same person has not lifted since with another yes."""
    counting = []
    for one in narrowings:
        word = words.get((one.by, cell))
        if one.speaks_of(cell) and (word is None or word.evidence <= one.after):
            counting.append(one)
    return counting


def body_of(plans: Iterable[Plan]) -> dict[str, Any]:
    """Which grants begin and end, as a change tells it."""
    listed = list(plans)
    return {
        "began": [row["id"] for plan_ in listed for row in plan_.begin],
        "ended": [id_ for plan_ in listed for id_ in plan_.end],
    }


async def carry_out(
    conn: AsyncConnection, subject: str, plans: Sequence[Plan], kind: str, body: Mapping[str, Any], now: datetime, *,
    change: str | None = None,
) -> str:  # fmt: skip
    """Write the plans as one change; returns its id. The caller has locked the subject."""
    change, told = change or changes.new_id(), body_of(plans)
    await changes.record(conn, change, subject, kind, {**body, **told}, now)
    await storage.end_grants(conn, dict.fromkeys(told["ended"], change))
    await storage.add_grants(conn, [{**row, "began": change} for plan_ in plans for row in plan_.begin])
    return change


def _row(law: Law, request: RequestRow, words: Spoken, terms: Terms, now: datetime) -> dict[str, Any]:
    rules = request.rules
    cells = [cell for cell in rules.cells if says(terms, cell)]
    people = {person for cell in cells for person in needed(law, rules, cell, law.day_of(now))}
    granted_by = [
        {
            "person": person, "capacity": capacity(rules, person, law.day_of(now)),
            "answers": sorted(words[person, cell].evidence for cell in cells if (person, cell) in words),
            "manners": sorted({words[person, cell].manner for cell in cells if (person, cell) in words}),
        }
        for person in sorted(people)
    ]  # fmt: skip
    return {
        "id": str(uuid4()), "subject": rules.subject, "request": rules.id, "recipient": terms.recipient,
        "categories": list(terms.categories), "actions": list(terms.actions), "purpose": terms.purpose,
        "basis": BASES["consent"],
        "controller": next((request.controllers[cell] for cell in sorted(cells)), None), "begins": int(now.timestamp()),
        "ends": terms.until, "back": terms.back, "excluded": list(terms.excluded), "granted_by": granted_by,
        "law_version": law.version,
    }  # fmt: skip


def covers(grant: GrantRow, cell: Cell) -> bool:
    """Is this cell part of the grant?"""
    return says(grant.terms, cell)
