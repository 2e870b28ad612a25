"""Queries of what a person register has said, and of how far its feed was read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.registers import PLAIN, Standing
from consent.storage.facts import ids as among
from consent.storage.tables import law_fact, person_number, request, request_guardian, responsibility, subject
from consent.storage.tables import person as people
from consent.storage.tables_registers import person_standing, register_dead, register_event, register_feed


async def standings_of(conn: AsyncConnection, people: Iterable[str]) -> dict[str, Standing]:
    """Of those of these people of whom a register has said anything that is not plain."""
    said = person_standing.c
    told = or_(
        said.protection != PLAIN.protection, said.died_on.is_not(None), said.closed, said.same_as.is_not(None),
        said.ended_on.is_not(None),
    )  # fmt: skip
    rows = await conn.execute(select(person_standing).where(said.person == among(people), told))
    return {
        row.person: Standing(
            row.protection, row.died_on is not None, row.closed, row.same_as, row.ended_on is not None
        )
        for row in rows
    }  # fmt: skip


async def standing_version(conn: AsyncConnection, person: str) -> int:
    """The version of the newest document that was read of somebody; 0 when there was none."""
    found = await conn.scalar(select(person_standing.c.version).where(person_standing.c.person == person))
    return 0 if found is None else int(found)


async def set_standing(conn: AsyncConnection, person: str, values: Mapping[str, Any]) -> None:
    """Keep what a document says of somebody: version, changed_at, and what is another now."""
    statement = upsert(person_standing).values(person=person, **values)
    await conn.execute(statement.on_conflict_do_update(index_elements=["person"], set_=dict(values)))


async def merged_into(conn: AsyncConnection, person: str) -> list[str]:
    """Whose records were merged into this one."""
    rows = await conn.execute(select(person_standing.c.person).where(person_standing.c.same_as == person))
    return sorted(row.person for row in rows)


async def not_looked_up(conn: AsyncConnection, limit: int) -> list[str]:
    """Of whom the register was not asked yet, or not since they were first asked about; the newest first. Of whom it
    cannot know anything before birth it is not asked."""
    query = (
        select(people.c.id)
        .outerjoin(person_standing, person_standing.c.person == people.c.id)
        .outerjoin(subject, subject.c.id == people.c.id)
        .where(people.c.birth_date.is_not(None))
        .where((person_standing.c.person.is_(None)) | (subject.c.created_at > person_standing.c.changed_at))
        .order_by(people.c.created_at.desc(), people.c.id)
        .limit(limit)
    )
    return [row.id for row in await conn.execute(query)]


# -- numbers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number as stored; `number` is sealed with the person's key."""

    hash: bytes = field(repr=False)
    person: str
    number: bytes = field(repr=False)
    in_use: bool


async def numbers_by_hash(conn: AsyncConnection, hashes: Iterable[bytes]) -> list[NumberRow]:
    """Those of these numbers that are known, whoever has or had them."""
    return await _numbers(conn, person_number.c.hash.in_(list(hashes)))


async def numbers_of(conn: AsyncConnection, person: str) -> list[NumberRow]:
    """Every number that somebody has or had."""
    return await _numbers(conn, person_number.c.person == person)


async def _numbers(conn: AsyncConnection, which: Any) -> list[NumberRow]:
    rows = await conn.execute(select(person_number).where(which).order_by(person_number.c.since, person_number.c.hash))
    return [NumberRow(row.hash, row.person, row.number, row.until is None) for row in rows]


async def add_number(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Another number of somebody known."""
    await conn.execute(insert(person_number).values(**values))


async def use_number(conn: AsyncConnection, hash_: bytes, until: datetime | None) -> None:
    """The number is in use again (until None), or no longer."""
    await conn.execute(update(person_number).where(person_number.c.hash == hash_).values(until=until))


async def move_number(conn: AsyncConnection, hash_: bytes, person: str, number: bytes) -> None:
    """The number belongs to somebody else's record; sealed with that person's key."""
    moved = update(person_number).where(person_number.c.hash == hash_)
    await conn.execute(moved.values(person=person, number=number))


# -- whom somebody has to do with --------------------------------------------------------------------------------------


async def is_subject(conn: AsyncConnection, person: str) -> bool:
    """Has anybody asked about this person?"""
    return await conn.scalar(select(subject.c.id).where(subject.c.id == person)) is not None


async def wards_of(conn: AsyncConnection, person: str) -> list[str]:
    """Every subject for whom this person answers or once answered, by what is recorded."""
    as_guardian = select(responsibility.c.subject).where(responsibility.c.guardian == person)
    by_fact = select(law_fact.c.subject).where(law_fact.c.people.contains([person]))
    return sorted({row[0] for row in await conn.execute(as_guardian.union(by_fact))})


async def replace_guardian(conn: AsyncConnection, subject_id: str, old: str, new: str) -> bool:
    """Where `old` was named as guardian of the subject, `new` is from now on; were both named before?"""
    held = select(responsibility.c.guardian).where(responsibility.c.subject == subject_id)
    both = {old, new} <= {row.guardian for row in await conn.execute(held)}
    mine = select(request.c.id).where(request.c.subject == subject_id)
    for table, key, where in (
        (responsibility, responsibility.c.subject, responsibility.c.subject == subject_id),
        (request_guardian, request_guardian.c.request, request_guardian.c.request.in_(mine)),
    ):
        old_ones, already = (where, table.c.guardian == old), select(key).where(table.c.guardian == new)
        await conn.execute(delete(table).where(*old_ones, key.in_(already)))
        await conn.execute(update(table).where(*old_ones).values(guardian=new))
    return both


async def close_requests(conn: AsyncConnection, subject_id: str, by: str, at: datetime) -> None:
    """Nobody asks about this subject any more. The caller has locked the subject."""
    open_ones = update(request).where(request.c.subject == subject_id, request.c.taken_back_at.is_(None))
    await conn.execute(open_ones.values(taken_back_at=at, taken_back_by=by))


# -- the feed ----------------------------------------------------------------------------------------------------------


async def feed_place(conn: AsyncConnection, *, lock: bool = False) -> int:
    """How far the feed was read. lock: nobody else handles an event until this transaction ends."""
    query = select(register_feed.c.place)
    return int((await conn.execute(query.with_for_update() if lock else query)).scalar_one())


async def move_on(conn: AsyncConnection, place: int) -> None:
    """Everything up to this place was seen to."""
    moved = update(register_feed).values(place=func.greatest(register_feed.c.place, place))
    await conn.execute(moved)


async def event_handled(conn: AsyncConnection, sequence: int) -> bool:
    """Was the event with this number handled before?"""
    query = select(register_event.c.sequence).where(register_event.c.sequence == sequence)
    return await conn.scalar(query) is not None


async def add_event(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """An event was handled, for the first time."""
    await conn.execute(insert(register_event).values(**values))


async def bury(conn: AsyncConnection, place: int, reason: str, at: datetime) -> None:
    """The event at this place could not be handled."""
    values = {"place": place, "reason": reason, "at": at, "again": False, "settled_at": None}
    await conn.execute(
        upsert(register_dead).values(**values).on_conflict_do_update(index_elements=["place"], set_=values)
    )


async def settle(conn: AsyncConnection, place: int, at: datetime) -> None:
    """What could not be handled at this place is handled now."""
    open_one = update(register_dead).where(register_dead.c.place == place, register_dead.c.settled_at.is_(None))
    await conn.execute(open_one.values(settled_at=at, again=False))


async def to_try_again(conn: AsyncConnection, after: int) -> int | None:
    """The first place after this one that an operator wants tried once more."""
    query = select(func.min(register_dead.c.place)).where(register_dead.c.again, register_dead.c.place > after)
    found: int | None = await conn.scalar(query.where(register_dead.c.settled_at.is_(None)))
    return found


async def count_dead(conn: AsyncConnection) -> int:
    """How many events wait for somebody to look at them."""
    query = select(func.count()).select_from(register_dead).where(register_dead.c.settled_at.is_(None))
    return int((await conn.execute(query)).scalar_one())
