"""Queries of what is recorded of subjects for the law table, and of how far a table has been applied."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import any_, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.facts import Fact, Facts
from consent.storage.tables import change, law_fact, leader, subject


@dataclass(frozen=True, slots=True)
class FactRow:
    """A fact with where it comes from; `reference` is sealed with the subject's key."""

    fact: Fact
    reference: bytes = field(repr=False)
    source: str
    recorded_by: str
    recorded_at: datetime
    change: str
    confirmed: bool


def ids(found: Iterable[str]) -> Any:
    """For `column == ids(…)`: one of these, as one array however many there are."""
    return any_(literal(list(found), ARRAY(subject.c.id.type)))


async def facts_of(conn: AsyncConnection, subjects: Iterable[str]) -> dict[str, Facts]:
    """What is recorded of each of these subjects; somebody of whom nothing is recorded is left out."""
    rows = await conn.execute(select(law_fact).where(law_fact.c.subject == ids(subjects)).order_by(law_fact.c.id))
    found: dict[str, list[Fact]] = {}
    for row in rows:
        found.setdefault(row.subject, []).append(_fact(row))
    return {id_: tuple(facts) for id_, facts in found.items()}


async def fact_rows(conn: AsyncConnection, subject_id: str) -> list[FactRow]:
    """Everything recorded of one subject, the oldest first."""
    query = (
        select(law_fact, (change.c.state == "confirmed").label("confirmed"))
        .join(change, change.c.id == law_fact.c.change)
        .where(law_fact.c.subject == subject_id)
        .order_by(law_fact.c.id)
    )
    return [
        FactRow(
            _fact(row), row.reference, row.source, row.recorded_by, row.recorded_at, row.change, row.confirmed
        )
        for row in await conn.execute(query)
    ]  # fmt: skip


def _fact(row: Any) -> Fact:
    return Fact(row.kind, row.value, row.begins, row.ends, frozenset(row.people), row.what, row.id)


async def add_fact(conn: AsyncConnection, values: Mapping[str, Any]) -> int:
    """Keep a fact; returns its number. The caller has locked the subject."""
    return int((await conn.execute(insert(law_fact).values(**values).returning(law_fact.c.id))).scalar_one())


async def law_is_new(conn: AsyncConnection, mark: str) -> bool:
    """Remember which law table the states are to come from; was it another one until now?"""
    query = (
        update(leader).where(leader.c.law_version.is_distinct_from(mark)).values(law_version=mark)
        .returning(leader.c.id)
    )  # fmt: skip
    return (await conn.execute(query)).first() is not None


async def call_for_law(conn: AsyncConnection) -> None:
    """What the law yields is another for everybody: the leader goes through all subjects from here on."""
    await conn.execute(update(leader).values(law_generation=leader.c.law_generation + 1))
    await conn.execute(text("SELECT pg_notify('consent_changed', '')"))


async def generation(conn: AsyncConnection) -> int:
    """How often the law has become another one for everybody."""
    return int((await conn.execute(select(leader.c.law_generation))).scalar_one())


async def lock_behind(conn: AsyncConnection, generation_: int, after: str | None, limit: int) -> list[str]:
    """The next subjects, by id, to whom this generation of the law was not applied, locked."""
    query = select(subject.c.id).where(subject.c.law_generation < generation_).order_by(subject.c.id).limit(limit)
    if after is not None:
        query = query.where(subject.c.id > after)
    return [row.id for row in await conn.execute(query.with_for_update())]


async def raise_all(
    conn: AsyncConnection, subjects: Sequence[str], generation_: int, changes: Sequence[Mapping[str, Any]]
) -> None:
    """The next version of each of these subjects, with its pending change (without the version)."""
    raised = (
        update(subject).where(subject.c.id == ids(subjects))
        .values(version=subject.c.version + 1, law_generation=generation_, due=0)
        .returning(subject.c.id, subject.c.version)
    )  # fmt: skip
    versions = {row.id: row.version for row in await conn.execute(raised)}
    await conn.execute(insert(change), [{**one, "version": versions[one["subject"]]} for one in changes])
    await conn.execute(text("SELECT pg_notify('consent_changed', '')"))


async def pass_over(conn: AsyncConnection, subjects: Mapping[str, int | None], generation_: int) -> None:
    """This generation of the law yields nothing new for these subjects, but maybe sooner: each with when others decide
    under it (epoch seconds)."""
    query = (
        "UPDATE subject SET law_generation = :generation, due = least(subject.due, next.turn)"
        " FROM unnest(CAST(:ids AS uuid[]), CAST(:turns AS bigint[])) AS next(id, turn) WHERE subject.id = next.id"
    )
    given = {"generation": generation_, "ids": list(subjects), "turns": list(subjects.values())}
    await conn.execute(text(query), given)


async def subjects_after(conn: AsyncConnection, after: str | None, limit: int) -> list[str]:
    """The next subjects by id."""
    query = select(subject.c.id).order_by(subject.c.id).limit(limit)
    found = await conn.execute(query if after is None else query.where(subject.c.id > after))
    return [row.id for row in found]


async def count_behind(conn: AsyncConnection) -> int:
    """How many subjects the newest law was not applied to yet."""
    query = select(func.count()).select_from(subject).where(subject.c.law_generation < await generation(conn))
    return int((await conn.execute(query)).scalar_one())
