"""Queries about grants and about the changes that begin and end them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import any_, func, insert, literal, or_, select, text, true, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.grants import Narrowing, Terms
from consent.storage.tables import answer, change, grants, leader, narrowing
from consent.storage.tables import subject as subjects


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as stored. `begun` and `over`: is the change that began or ended it confirmed?"""

    id: str
    request: str
    terms: Terms
    begins: int
    begun: bool
    ended: bool
    over: bool


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change: `body` says what it was."""

    id: str
    subject: str
    version: int
    kind: str
    body: Mapping[str, Any]
    confirmed: bool
    created_at: datetime


async def grants_of(conn: AsyncConnection, subject: str, now: int) -> list[GrantRow]:
    """Grants whose time is not over: in force, waiting for confirmation, or ended with the end waiting for it."""
    began, ended = change.alias(), change.alias()
    query = (
        select(
            grants,
            (began.c.state == "confirmed").label("begun"),
            (ended.c.state == "confirmed").label("over"),
        )
        .join(began, began.c.id == grants.c.began)
        .outerjoin(ended, ended.c.id == grants.c.ended)
        .where(
            grants.c.subject == subject,
            or_(grants.c.ends.is_(None), grants.c.ends > now),
            or_(grants.c.ended.is_(None), ended.c.state == "pending"),
        )
        .order_by(grants.c.begins, grants.c.id)
    )
    return [_grant(row) for row in await conn.execute(query)]


def _grant(row: Any) -> GrantRow:
    terms = Terms(
        row.recipient, tuple(row.categories), tuple(row.actions), row.purpose, row.ends, row.back, tuple(row.excluded)
    )
    return GrantRow(row.id, row.request, terms, row.begins, row.begun, row.ended is not None, bool(row.over))


async def grants_known_to(conn: AsyncConnection, subject: str, person: str | None) -> dict[str, frozenset[str]]:
    """Categories of every grant of the subject, ended ones too, about which this person was asked and answered.

    None: of every grant, whoever answered.
    """
    query = select(grants.c.id, grants.c.categories).where(grants.c.subject == subject)
    if person is not None:
        spoken = (
            select(answer.c.seq)
            .where(
                answer.c.request == grants.c.request,
                answer.c.person == person,
                grants.c.recipient == "service:" + answer.c.service,
                answer.c.category == any_(grants.c.categories),
                answer.c.action == any_(grants.c.actions),
            )
            .exists()
        )
        query = query.where(spoken)
    return {row.id: frozenset(row.categories) for row in await conn.execute(query)}


async def add_grants(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Begin grants."""
    if rows:
        await conn.execute(insert(grants), list(rows))


async def end_grants(conn: AsyncConnection, ids: Iterable[str], by: str) -> None:
    """End grants by a change."""
    await conn.execute(update(grants).where(grants.c.id.in_(list(ids)), grants.c.ended.is_(None)).values(ended=by))


async def grants_by_id(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """These grants whole, by id."""
    rows = (await conn.execute(select(grants).where(grants.c.id.in_(list(ids))))).mappings()
    return {row["id"]: dict(row) for row in rows}


async def add_change(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """A pending change; the leader is told when the transaction commits."""
    await conn.execute(insert(change).values(**values))
    await conn.execute(text("SELECT pg_notify('consent_changed', :subject)"), {"subject": values["subject"]})


async def add_change_for_all(conn: AsyncConnection, kind: str, now: datetime) -> int:
    """Every subject's next version, each with a pending change: the law yields something new. Returns how many."""
    raised = update(subjects).values(version=subjects.c.version + 1).returning(subjects.c.id, subjects.c.version).cte()
    rows = select(
        func.gen_random_uuid(), raised.c.id, raised.c.version, literal(kind), literal({}, JSONB), literal(now)
    )
    columns = ["id", "subject", "version", "kind", "body", "created_at"]
    done = await conn.execute(insert(change).from_select(columns, rows))
    await conn.execute(text("SELECT pg_notify('consent_changed', '')"))
    return done.rowcount


async def law_is_new(conn: AsyncConnection, version: str) -> bool:
    """Remember which law table the states come from; was it another one until now?"""
    query = (
        update(leader).where(leader.c.law_version.is_distinct_from(version)).values(law_version=version)
        .returning(leader.c.id)
    )  # fmt: skip
    return (await conn.execute(query)).first() is not None


async def changes_by_id(conn: AsyncConnection, ids: Iterable[str]) -> list[ChangeRow]:
    """These changes in the order in which they happened to each subject."""
    query = select(change).where(change.c.id.in_(list(ids))).order_by(change.c.subject, change.c.version)
    return [change_of(row) for row in await conn.execute(query)]


async def narrowings_of(conn: AsyncConnection, subject: str) -> list[Narrowing]:
    """Every part that was withdrawn of what was agreed to about the subject."""
    columns = [narrowing.c[name] for name in ("by", "service", "category", "after", "staff", "back", "until")]
    rows = await conn.execute(select(*columns).where(narrowing.c.subject == subject).order_by(narrowing.c.id))
    return [Narrowing(*row) for row in rows]


async def add_narrowing(conn: AsyncConnection, subject: str, found: Narrowing, at: datetime) -> None:
    """Keep a part that was withdrawn. The caller has locked the subject: no word about it can come in between."""
    after = select(func.coalesce(func.max(answer.c.seq), 0)).scalar_subquery()
    await conn.execute(
        insert(narrowing).values(
            subject=subject, by=found.by, service=found.service, category=found.category, after=after,
            staff=found.staff, back=found.back, until=found.until, at=at,
        )
    )  # fmt: skip


async def last_withdrawal(
    conn: AsyncConnection, subject: str, by: str, recipient: str, category: str | None, narrowed: Mapping[str, Any]
) -> ChangeRow | None:
    """The newest withdrawal by this person that took this back, on its own or as part of more."""
    query = (
        select(change)
        .where(
            change.c.subject == subject,
            change.c.kind == "withdrawn",
            change.c.body["by"].astext == by,
            change.c.body["recipient"].astext == recipient,
            true() if category is None else change.c.body["categories"].contains([category]),
            change.c.body["narrowed"] == literal(dict(narrowed), JSONB),
        )
        .order_by(change.c.version.desc())
        .limit(1)
    )
    row = (await conn.execute(query)).first()
    return None if row is None else change_of(row)


def change_of(row: Any) -> ChangeRow:
    """A row of `change`."""
    return ChangeRow(row.id, row.subject, row.version, row.kind, row.body, row.state == "confirmed", row.created_at)
