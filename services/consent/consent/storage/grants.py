"""Queries about grants and about the changes that begin and end them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import any_, func, insert, literal, or_, select, text, true, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import NullType

from consent.model.grants import GrantKind, Narrowing, Terms
from consent.storage.facts import ids as among
from consent.storage.tables import answer, change, grants, narrowing


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as stored; request None: nobody asked for it. `begun` and `over`: is the change that began or ended it
    confirmed?

    told: how many days before its end it was last said that it ends soon.
    """

    id: str
    request: str | None
    terms: Terms
    begins: int
    begun: bool
    ended: bool
    over: bool
    told: int | None
    kind: GrantKind = "consent"


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
    return (await grants_about(conn, [subject], now)).get(subject, [])


async def grants_about(conn: AsyncConnection, subjects: Iterable[str], now: int) -> dict[str, list[GrantRow]]:
    """As grants_of, for each subject that has any."""
    query = _GRANTS.where(grants.c.subject == among(subjects), or_(grants.c.ends.is_(None), grants.c.ends > now))
    found: dict[str, list[GrantRow]] = {}
    for row in await conn.execute(query):
        found.setdefault(row.subject, []).append(_grant(row))
    return found


_TERMS = (
    "id", "subject", "request", "recipient", "categories", "actions", "purpose", "begins", "ends", "back", "excluded",
    "ended", "told",
    "ended", "kind",
)  # fmt: skip
"""Of a grant, without who gave it."""
_LISTS = ("categories", "actions", "excluded")
"""As the driver gives them: SQLAlchemy would look at each of their items."""
_began, _ended = change.alias(), change.alias()
_GRANTS = (
    select(
        *(type_coerce(grants.c[name], NullType()) if name in _LISTS else grants.c[name] for name in _TERMS),
        (_began.c.state == "confirmed").label("begun"),
        (_ended.c.state == "confirmed").label("over"),
    )
    .join(_began, _began.c.id == grants.c.began)
    .outerjoin(_ended, _ended.c.id == grants.c.ended)
    .where(or_(grants.c.ended.is_(None), _ended.c.state == "pending"))
    .order_by(grants.c.begins, grants.c.id)
)


def _grant(row: Any) -> GrantRow:
    terms = Terms(
        row.recipient, tuple(row.categories), tuple(row.actions), row.purpose, row.ends, row.back, tuple(row.excluded)
    )
    return GrantRow(
        row.id, row.request, terms, row.begins, row.begun, row.ended is not None, bool(row.over), row.told, row.kind
    )


async def grants_over(conn: AsyncConnection, subjects: Iterable[str], now: int) -> dict[str, list[str]]:
    """Grants whose time is over and that no change has ended, by subject."""
    query = select(grants.c.subject, grants.c.id).where(
        grants.c.subject == among(subjects), grants.c.ended.is_(None), grants.c.ends <= now
    )
    found: dict[str, list[str]] = {}
    for row in await conn.execute(query.order_by(grants.c.id)):
        found.setdefault(row.subject, []).append(row.id)
    return found


async def note_told(conn: AsyncConnection, marks: Mapping[str, int]) -> None:
    """Of each of these grants it was said so many days before its end that it ends soon."""
    if marks:
        query = (
            "UPDATE grants SET told = said.mark FROM unnest(CAST(:ids AS uuid[]), CAST(:marks AS smallint[]))"
            " AS said(id, mark) WHERE grants.id = said.id"
        )
        await conn.execute(text(query), {"ids": list(marks), "marks": list(marks.values())})


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


async def end_grants(conn: AsyncConnection, ended: Mapping[str, str]) -> None:
    """End grants: each by the change that is told."""
    if ended:
        query = (
            "UPDATE grants SET ended = told.change FROM unnest(CAST(:ids AS uuid[]), CAST(:changes AS uuid[]))"
            " AS told(id, change) WHERE grants.id = told.id AND grants.ended IS NULL"
        )
        await conn.execute(text(query), {"ids": list(ended), "changes": list(ended.values())})


async def count_pending(conn: AsyncConnection) -> int:
    """How many changes are not confirmed."""
    query = select(func.count()).select_from(change).where(change.c.state == "pending")
    return int((await conn.execute(query)).scalar_one())


async def grants_by_id(conn: AsyncConnection, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """These grants whole, by id."""
    rows = (await conn.execute(select(grants).where(grants.c.id == among(ids)))).mappings()
    return {row["id"]: dict(row) for row in rows}


async def add_change(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """A pending change; the leader is told when the transaction commits."""
    await conn.execute(insert(change).values(**values))
    await conn.execute(text("SELECT pg_notify('consent_changed', :subject)"), {"subject": values["subject"]})


async def changes_by_id(conn: AsyncConnection, ids: Iterable[str]) -> list[ChangeRow]:
    """These changes in the order in which they happened to each subject."""
    query = select(change).where(change.c.id == among(ids)).order_by(change.c.subject, change.c.version)
    return [change_of(row) for row in await conn.execute(query)]


async def narrowings_of(conn: AsyncConnection, subject: str) -> list[Narrowing]:
    """Every part that was withdrawn of what was agreed to about the subject."""
    return (await narrowings_about(conn, [subject])).get(subject, [])


async def narrowings_about(conn: AsyncConnection, subjects: Iterable[str]) -> dict[str, list[Narrowing]]:
    """As narrowings_of, for each subject that has any."""
    columns = [narrowing.c[name] for name in ("by", "service", "category", "after", "staff", "back", "until")]
    query = select(narrowing.c.subject, *columns).where(narrowing.c.subject == among(subjects)).order_by(narrowing.c.id)
    found: dict[str, list[Narrowing]] = {}
    for subject, *rest in await conn.execute(query):
        found.setdefault(subject, []).append(Narrowing(*rest))
    return found


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
