"""Queries about people, their numbers and who holds responsibility for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.births import Born, Unborn
from consent.storage.facts import ids
from consent.storage.tables import leader, person, person_claim, person_number, responsibility, subject
from consent.storage.tables_registers import person_standing


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as stored; `names` is sealed."""

    id: str
    names: bytes = field(repr=False)
    born: Born = field(repr=False)
    language: str


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """A subject: version of the published state, and when they were born, or that they are not yet."""

    id: str
    version: int
    born: Born = field(repr=False)


def born(row: Any) -> Born:
    """Of a row with both dates of `person`."""
    found: Born = Unborn(row.due_date) if row.birth_date is None else row.birth_date
    return found


async def lock_numbers(conn: AsyncConnection, hashes: Iterable[bytes]) -> None:
    """Make others who look for the same numbers wait until this transaction ends. Always in one order: no deadlock."""
    for hash_ in sorted(hashes):
        await conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:hash, 1))"), {"hash": hash_.hex()})


async def person_by_hash(conn: AsyncConnection, hash_: bytes) -> PersonRow | None:
    """The person who has, or once had, this number."""
    found = await conn.execute(_people().join(person_number).where(person_number.c.hash == hash_))
    row = found.first()
    return None if row is None else PersonRow(row.id, row.names, born(row), row.language)


async def language_of(conn: AsyncConnection, id_: str) -> str | None:
    """The language that somebody reads, as it was said of them; None when nobody is known by this id."""
    found: str | None = await conn.scalar(select(person.c.language).where(person.c.id == id_))
    return found


async def person_by_id(conn: AsyncConnection, id_: str) -> PersonRow | None:
    """The person."""
    row = (await conn.execute(_people().where(person.c.id == id_))).first()
    return None if row is None else PersonRow(row.id, row.names, born(row), row.language)


def _people() -> Any:
    return select(person.c.id, person.c.names, person.c.birth_date, person.c.due_date, person.c.language)


async def add_person(conn: AsyncConnection, values: Mapping[str, Any], number: Mapping[str, Any] | None = None) -> None:
    """A new person, with their number if it is new too."""
    await conn.execute(insert(person).values(**values))
    if number is not None:
        await conn.execute(insert(person_number).values(person=values["id"], **number))


async def add_claim(conn: AsyncConnection, id_: str, source: str, said: bytes, at: datetime) -> None:
    """What an asker said of somebody already known."""
    await conn.execute(insert(person_claim).values(person=id_, source=source, said=said, at=at))


async def ensure_subject(conn: AsyncConnection, id_: str, now: datetime) -> None:
    """Make the person a subject if they are not one yet."""
    newest = select(leader.c.law_generation).scalar_subquery()
    values = {"id": id_, "created_at": now, "law_generation": newest}
    await conn.execute(upsert(subject).values(**values).on_conflict_do_nothing())


async def lock_subject(conn: AsyncConnection, id_: str) -> SubjectRow | None:
    """The subject, locked until the transaction ends: every change of it happens one after another."""
    query = select(subject.c.id, subject.c.version).where(subject.c.id == id_).with_for_update()
    if (await conn.execute(query)).first() is None:
        return None
    return await subject_row(conn, id_)


async def lock_due(conn: AsyncConnection, now: int, limit: int) -> dict[str, date | None]:
    """The next subjects for which time brings something, locked, each with the day up to which that was done.

    Whoever is being changed is left out: that change makes it due again.
    """
    query = select(subject.c.id, subject.c.as_of).where(subject.c.due <= now).order_by(subject.c.due).limit(limit)
    found = await conn.execute(query.with_for_update(skip_locked=True))
    return {row.id: row.as_of for row in found}


async def set_due(conn: AsyncConnection, due: Mapping[str, int | None], as_of: date) -> None:
    """When time brings the next thing for each of these subjects (epoch seconds), and up to which day it was done."""
    query = (
        "UPDATE subject SET due = next.due, as_of = :as_of FROM unnest(CAST(:ids AS uuid[]), CAST(:due AS bigint[]))"
        " AS next(id, due) WHERE subject.id = next.id"
    )
    await conn.execute(text(query), {"ids": list(due), "due": list(due.values()), "as_of": as_of})


async def subject_row(conn: AsyncConnection, id_: str) -> SubjectRow | None:
    """The subject, not locked."""
    return (await subject_rows(conn, [id_])).get(id_)


async def subject_rows(conn: AsyncConnection, subjects: Iterable[str]) -> dict[str, SubjectRow]:
    """As subject_row, for each of them that there is."""
    query = select(subject.c.id, subject.c.version, person.c.birth_date, person.c.due_date).join(person)
    rows = await conn.execute(query.where(subject.c.id == ids(subjects)))
    return {row.id: SubjectRow(row.id, row.version, born(row)) for row in rows}


async def set_birth_date(conn: AsyncConnection, id_: str, day: date, source: str) -> None:
    """Somebody's birth date, from a better source than before."""
    await conn.execute(update(person).where(person.c.id == id_).values(birth_date=day, birth_source=source))


async def set_born(conn: AsyncConnection, id_: str, values: Mapping[str, Any]) -> None:
    """Somebody who was expected is born: birth_date, birth_source, birth_told_at, names."""
    await conn.execute(update(person).where(person.c.id == id_).values(**values))


async def set_expected(conn: AsyncConnection, id_: str, due: date, source: str) -> None:
    """Another due date of somebody who is not born."""
    await conn.execute(update(person).where(person.c.id == id_).values(due_date=due, birth_source=source))


async def expected_by(conn: AsyncConnection, mother: str) -> PersonRow | None:
    """Whom this mother expects now: not born, not ended, not merged into another record."""
    over = person_standing.c.ended_on.is_not(None) | person_standing.c.same_as.is_not(None)
    query = (
        _people()
        .join(responsibility, responsibility.c.subject == person.c.id)
        .outerjoin(person_standing, person_standing.c.person == person.c.id)
        .where(responsibility.c.guardian == mother, person.c.birth_date.is_(None), over.is_not(True))
        .order_by(person.c.created_at)
        .limit(1)
    )
    row = (await conn.execute(query)).first()
    return None if row is None else PersonRow(row.id, row.names, born(row), row.language)


async def raise_version(conn: AsyncConnection, id_: str) -> int:
    """The subject's next version; the caller holds the row's lock, or takes it here."""
    raised = update(subject).where(subject.c.id == id_).values(version=subject.c.version + 1, due=0)
    return int((await conn.execute(raised.returning(subject.c.version))).scalar_one())


async def add_responsibility(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record who holds responsibility; who is on record already stays as they are."""
    if rows:
        await conn.execute(upsert(responsibility).values(list(rows)).on_conflict_do_nothing())


async def guardians(conn: AsyncConnection, subject_id: str) -> dict[str, bool]:
    """Everybody on record as holding responsibility for the subject, and whether they see by law."""
    return (await guardians_of(conn, [subject_id])).get(subject_id, {})


async def guardians_of(conn: AsyncConnection, subjects: Iterable[str]) -> dict[str, dict[str, bool]]:
    """As guardians, for each subject that has any."""
    columns = responsibility.c.subject, responsibility.c.guardian, responsibility.c.sight
    found: dict[str, dict[str, bool]] = {}
    for row in await conn.execute(select(*columns).where(responsibility.c.subject == ids(subjects))):
        found.setdefault(row.subject, {})[row.guardian] = row.sight
    return found
