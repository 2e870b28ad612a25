"""Queries about requests, what was asked in them, and what everybody has said."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.facts import Facts
from consent.model.law import Category
from consent.model.otherwise import DIGITAL, Manner
from consent.model.registers import Standings, barred
from consent.model.requests import Asked, Cell, Said
from consent.storage.facts import facts_of
from consent.storage.facts import ids as among
from consent.storage.people import born
from consent.storage.registers import standings_of
from consent.storage.tables import answer, change, person, request, request_cell, request_guardian
from consent.storage.tables_otherwise import given_otherwise
from consent.storage.tables_registers import person_standing


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as stored: what the rules need, and the rest. `why` is sealed; `confirmed`: is its own change?

    taken_back: by whoever asked; then nobody's answer makes a grant any more. renews: the request that it follows.
    """

    rules: Asked
    asker: str
    level: int
    why: bytes = field(repr=False)
    last_day: date
    created_at: datetime
    confirmed: bool
    controllers: Mapping[Cell, str | None]
    taken_back: bool = False
    renews: str | None = None


class Word(NamedTuple):
    """The latest word of a person about a cell, and which row of `answer` is its evidence.

    manner: how it came. at: when an answer was given, or when a withdrawal was taken.
    """

    said: Said
    evidence: int
    manner: Manner
    at: datetime


Words = Mapping[str, Mapping[tuple[str, Cell], Word]]
"""By request."""


async def add_request(
    conn: AsyncConnection, values: Mapping[str, Any], cells: Sequence[Mapping[str, Any]], guardians: Iterable[str]
) -> None:
    """A new request with its cells and the guardians who hold responsibility at this time."""
    await conn.execute(insert(request).values(**values))
    await conn.execute(insert(request_cell), [{"request": values["id"], **cell} for cell in cells])
    rows = [{"request": values["id"], "guardian": id_} for id_ in sorted(guardians)]
    if rows:
        await conn.execute(insert(request_guardian), rows)


async def requests_of(conn: AsyncConnection, subject: str, ends: Callable[[date], int]) -> list[RequestRow]:
    """All requests about a subject, the oldest first. ends: epoch seconds at which a last day is over."""
    return (await requests_about(conn, [subject], ends)).get(subject, [])


async def requests_about(
    conn: AsyncConnection, subjects: Iterable[str], ends: Callable[[date], int]
) -> dict[str, list[RequestRow]]:
    """As requests_of, for each subject about whom there is any."""
    query = (
        select(
            request,
            person.c.birth_date,
            person.c.due_date,
            person.c.birth_told_at,
            (change.c.state == "confirmed").label("confirmed"),
        )  # fmt: skip
        .join(person, person.c.id == request.c.subject)
        .join(change, change.c.id == request.c.change)
        .where(request.c.subject == among(subjects))
        .order_by(request.c.created_at, request.c.id)
    )
    rows = list(await conn.execute(query))
    if not rows:
        return {}
    ids = [row.id for row in rows]
    cells: dict[str, dict[Cell, tuple[Category, str | None]]] = {id_: {} for id_ in ids}
    for id_, service, category, action, special, sector, controller in await conn.execute(
        _CELLS.where(request_cell.c.request == among(ids))
    ):
        found = Cell(service, category, action)
        cells[id_][found] = _category(category, special, sector), controller
    guardians: dict[str, set[str]] = {id_: set() for id_ in ids}
    holders = select(request_guardian.c.request, request_guardian.c.guardian)
    for id_, guardian in await conn.execute(holders.where(request_guardian.c.request == among(ids))):
        guardians[id_].add(guardian)
    facts = await facts_of(conn, {row.subject for row in rows})
    named = {person for found in facts.values() for fact in found for person in fact.people}.union(*guardians.values())
    standings = await standings_of(conn, named | {row.subject for row in rows})
    made: dict[str, list[RequestRow]] = {}
    for row in rows:
        said = facts.get(row.subject, ())
        people = guardians[row.id].union(*(fact.people for fact in said))
        away = _barred(standings, row.subject, people) if standings else frozenset()
        known = _Known(cells[row.id], frozenset(guardians[row.id]), said, ends(row.until), away)
        made.setdefault(row.subject, []).append(_request(row, known))
    return made


_ABOUT_CELL = ("request", "service", "category", "action", "special", "sector", "controller")
_CELLS = select(*(request_cell.c[name] for name in _ABOUT_CELL))
_category = lru_cache(maxsize=1_000)(Category)


@dataclass(frozen=True, slots=True)
class _Known:
    """What belongs to a request and stands elsewhere."""

    cells: Mapping[Cell, tuple[Category, str | None]]
    guardians: frozenset[str]
    facts: Facts
    until: int
    barred: frozenset[str]


def _barred(standings: Standings, subject: str, people: Iterable[str]) -> frozenset[str]:
    return frozenset(person for person in people if barred(standings, subject, person))


def _request(row: Any, known: _Known) -> RequestRow:
    kinds = {cell: category for cell, (category, _) in known.cells.items()}
    rules = Asked(
        row.id, row.subject, born(row), known.guardians, kinds, row.purpose, known.until, known.facts, known.barred,
        row.birth_told_at,
    )  # fmt: skip
    controllers = {cell: controller for cell, (_, controller) in known.cells.items()}
    return RequestRow(
        rules, row.asker, row.level, row.why, row.until, row.created_at, row.confirmed, controllers,
        row.taken_back_at is not None, row.renews,
    )  # fmt: skip


async def take_back(conn: AsyncConnection, id_: str, by: str, at: datetime) -> None:
    """The service that asked no longer asks. The caller has locked the subject."""
    await conn.execute(update(request).where(request.c.id == id_).values(taken_back_at=at, taken_back_by=by))


async def is_renewed(conn: AsyncConnection, id_: str) -> bool:
    """Is there a request that follows this one, and was not taken back?"""
    query = select(request.c.id).where(request.c.renews == id_, request.c.taken_back_at.is_(None)).limit(1)
    return (await conn.execute(query)).first() is not None


async def subject_of_request(conn: AsyncConnection, id_: str) -> str | None:
    """Whom a request is about."""
    found: str | None = await conn.scalar(select(request.c.subject).where(request.c.id == id_))
    return found


async def words_about(conn: AsyncConnection, requests: Iterable[str]) -> dict[str, dict[tuple[str, Cell], Word]]:
    """The latest word of each person about each cell of these requests. Of a record that was of two people nobody can
    say whose words they were: they do not count."""
    ids = list(requests)
    found: dict[str, dict[tuple[str, Cell], Word]] = {id_: {} for id_ in ids}
    if not ids:
        return found
    columns = (answer.c.request, answer.c.person, answer.c.service, answer.c.category, answer.c.action)
    given_at = case((answer.c.way == "answer", given_otherwise.c.given_at))
    query = (
        select(
            *columns,
            answer.c.said,
            answer.c.seq,
            func.coalesce(given_otherwise.c.manner, DIGITAL).label("manner"),
            func.coalesce(given_at, answer.c.at).label("at"),
        )  # fmt: skip
        .outerjoin(given_otherwise, given_otherwise.c.id == answer.c.given)
        .outerjoin(person_standing, person_standing.c.person == answer.c.person)
        .ext(distinct_on(*columns))
        .where(answer.c.request == among(ids), person_standing.c.closed.is_not(True))
        .order_by(*columns, answer.c.seq.desc())
    )
    for request_, person_, service, category, action, *word in await conn.execute(query):
        found[request_][person_, Cell(service, category, action)] = Word(*word)
    return found


async def add_answers(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add words with their evidence."""
    await conn.execute(insert(answer), list(rows))
