"""Queries for who looked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Kept
from consent.model.looks import Told, Wanted
from consent.storage.tables import directory_entry, grants, ledger, made


@dataclass(frozen=True, slots=True)
class LookRow:
    """A look: its id and record, the record that took it back if there is one, and the actor's own id."""

    id: str
    canonical: bytes
    held: bytes | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class LookOf:
    """A look with whose it is (None: a handle that meant nobody) and when it was."""

    look: LookRow
    subject: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Count:
    """How many looks, at how many people, on one day. service None: not in the name of one."""

    day: date
    service: str | None
    action: str
    outcome: str
    looks: int
    people: int


@dataclass(frozen=True, slots=True)
class Names:
    """What the directory calls services and categories, also those that are no longer in use: id, language, name."""

    services: Mapping[str, Mapping[str, str]]
    categories: Mapping[str, Mapping[str, str]]


async def looks(
    conn: AsyncConnection,
    subject: str,
    wanted: Wanted,
    *,
    reader: str | None,
    categories: Iterable[str],
    known: Iterable[str] | None,
    told: Mapping[str, Told],
    kept: Kept | None,
    before: str | None,
    limit: int,
    only: str | None = None,
) -> list[LookRow]:
    """Looks at a subject, the newest first.

    before: only what is older than this record; its number stays inside, for gaps in it would tell what was cut.
    reader None: all. Else only the reader's own, and those of services and machines that touch one of `categories`
    under one of the grants `known` (None: whatever the grant). told: every grant by consent of the subject.
    only: this look alone. kept: of what is kept from the reader there is no look: not one at that alone, nor one that
    made it or what stands under it.
    """
    query = select(ledger.c.id, ledger.c.canonical, _held_back().label("held"), ledger.c.actor).where(
        ledger.c.subject == subject, *_looks_asked_for(wanted)
    )
    if reader is not None:
        theirs = ledger.c.actor == reader
        open_ = sorted(categories) if kept is None else sorted(set(categories) - set(kept.categories))
        served = (ledger.c.actor_kind != "person") & ledger.c.categories.overlap(open_)
        if kept is not None:
            served &= ~_made_something_kept(subject, kept)
        if known is not None:
            served &= ledger.c.grants.overlap(sorted(known))
        query = query.where(theirs | served)
    if wanted.service is not None:
        query = query.where(_in_the_name_of(wanted.service, told, None if reader is None else known))
    if only is not None:
        query = query.where(ledger.c.id == only)
    if before is not None:
        last = ledger.alias()
        place = select(last.c.sequence).where(last.c.id == before, last.c.subject == subject).scalar_subquery()
        query = query.where(ledger.c.sequence < place)
    rows = await conn.execute(query.order_by(ledger.c.sequence.desc()).limit(limit))
    return [LookRow(row.id, row.canonical, row.held, row.actor) for row in rows]


def _made_something_kept(subject: str, kept: Kept) -> ColumnElement[bool]:
    """Did it make or change something that is kept, or what stands under that?"""
    names = [*kept.categories, *kept.items]
    return exists().where(
        made.c.subject == subject,
        made.c.record == ledger.c.id,
        or_(made.c.category.in_(kept.categories), made.c.item.in_(kept.items), made.c.above.overlap(names)),
    )


def _held_back() -> Any:
    held = ledger.alias()
    return (
        select(held.c.canonical)
        .where(held.c.about == ledger.c.id, held.c.kind == "held-back")
        .order_by(held.c.sequence)
        .limit(1)
        .scalar_subquery()
    )


def _looks_asked_for(wanted: Wanted) -> list[ColumnElement[bool]]:
    """Every condition but the service. What was erased is no look any more."""
    found: list[ColumnElement[bool]] = [ledger.c.kind == "look", ledger.c.canonical.is_not(None)]
    if wanted.begins is not None:
        found.append(ledger.c.at >= wanted.begins)
    if wanted.ends is not None:
        found.append(ledger.c.at < wanted.ends)
    if wanted.action is not None:
        found.append(ledger.c.action == wanted.action)
    if wanted.outcome is not None:
        found.append(ledger.c.outcome == wanted.outcome)
    return found


def _in_the_name_of(service: str, told: Mapping[str, Told], known: Iterable[str] | None) -> ColumnElement[bool]:
    """Taken in this service's name, as far as the reader is told (consent.model.looks.narrowed): a filter on what is
    cut away would tell that it is there. known None: the reader knows every grant."""
    its = sorted(id_ for id_, grant in told.items() if grant.recipient == f"service:{service}")
    theirs = ledger.c.services.contains([service])
    if known is not None:
        return and_(theirs, ledger.c.grants.overlap(sorted(set(its) & set(known))))
    return and_(theirs, ledger.c.grants.overlap(its) | ~ledger.c.grants.overlap(sorted(told)))


async def looks_of_all(
    conn: AsyncConnection, wanted: Wanted, *, subject: str | None, before: tuple[datetime, str] | None, limit: int
) -> list[LookOf]:
    """Looks at anybody, or at one subject, the newest first, older than `before` (time and id)."""
    query = select(
        ledger.c.id, ledger.c.canonical, _held_back().label("held"), ledger.c.actor, ledger.c.subject, ledger.c.at
    ).where(*_looks_asked_for(wanted))
    if subject is not None:
        query = query.where(ledger.c.subject == subject)
    if wanted.service is not None:
        query = query.where(ledger.c.services.contains([wanted.service]))
    if before is not None:
        query = query.where(tuple_(ledger.c.at, ledger.c.id) < before)
    rows = await conn.execute(query.order_by(ledger.c.at.desc(), ledger.c.id.desc()).limit(limit))
    return [LookOf(LookRow(row.id, row.canonical, row.held, row.actor), row.subject, row.at) for row in rows]


_COUNTS = text(
    """
    SELECT (at AT TIME ZONE :zone)::date AS day, service, action, outcome, count(*) AS looks,
        count(DISTINCT subject) AS people
    FROM ledger LEFT JOIN LATERAL unnest(services) AS service ON true
    WHERE kind = 'look' AND at >= to_timestamp(:begins) AND at < to_timestamp(:ends)
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    """
)


async def count_looks(conn: AsyncConnection, begins: int, ends: int, zone: str) -> list[Count]:
    """Records of looks per day in this zone, service, action and outcome. Times: epoch seconds."""
    rows = await conn.execute(_COUNTS, {"zone": zone, "begins": begins, "ends": ends})
    return [Count(row.day, row.service, row.action, row.outcome, row.looks, row.people) for row in rows]


async def grants_told(conn: AsyncConnection, subject: str) -> dict[str, Told]:
    """Every grant by consent of the subject, ended ones too, by id."""
    query = select(grants.c.id, grants.c.recipient, grants.c.categories, grants.c.begins)
    return {
        row.id: Told(row.recipient, frozenset(row.categories), datetime.fromtimestamp(row.begins, UTC))
        for row in await conn.execute(query.where(grants.c.subject == subject))
    }


async def directory_names(conn: AsyncConnection) -> Names:
    """The directory's names."""
    found: dict[str, dict[str, Mapping[str, str]]] = {"service": {}, "category": {}}
    query = select(directory_entry).where(directory_entry.c.kind.in_(list(found)))
    for row in await conn.execute(query):
        named = row.body.get("name") or row.body.get("names")
        found[row.kind][row.id] = named if isinstance(named, dict) else {}
    return Names(found["service"], found["category"])
