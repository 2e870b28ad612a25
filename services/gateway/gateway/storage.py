"""The gateway's database: logins under way and sessions. It holds no log content and no national id."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Float,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    any_,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.inbox import forget_before, inbox_table
from chassis.outbox import outbox_table

metadata = MetaData()

# --- sessions -------------------------------------------------------------------------------------------------------

login_attempt = Table(
    "login_attempt", metadata,
    Column("state", LargeBinary(32), primary_key=True),
    Column("browser", LargeBinary(32), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("wanted", String(12), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("verifier", String(64), nullable=False),
    Column("next", String(512), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Index("login_attempt_ends_at", "ends_at"),
)  # fmt: skip
"""One trip to a provider. `state` and `browser` are keyed hashes; a row is taken once, whatever comes of it."""

session = Table(
    "session", metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("person", String(36)),
    Column("login", String(64)),
    Column("assurance", String(12), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Index("session_ends_at", "ends_at"),
    Index("session_seen_at", "seen_at"),
)  # fmt: skip
"""`hash` is a keyed hash of the cookie: who reads this table can log in as nobody."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login under way: what was asked of which provider, and what must come back."""

    kind: str
    wanted: str
    nonce: str
    verifier: str
    next: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session: a citizen's person id, or the keyed hash of a staff member's login (either may be unmatched)."""

    kind: str
    person: str | None
    login: str | None
    assurance: str
    started_at: datetime
    seen_at: datetime
    ends_at: datetime


async def keep_attempt(conn: AsyncConnection, *, state: bytes, browser: bytes, ends: datetime, made: Attempt) -> None:
    """Remember a login that starts."""
    values: dict[str, Any] = {
        "state": state, "browser": browser, "kind": made.kind, "wanted": made.wanted, "nonce": made.nonce,
        "verifier": made.verifier, "next": made.next, "started_at": made.started_at, "ends_at": ends,
    }  # fmt: skip
    await conn.execute(insert(login_attempt).values(values))


async def take_attempt(conn: AsyncConnection, *, state: bytes, browser: bytes, now: datetime) -> Attempt | None:
    """The login that this browser began with this state, once; None when there is none, or it took too long."""
    table = login_attempt
    taken = await conn.execute(
        delete(table).where(table.c.state == state, table.c.browser == browser, table.c.ends_at > now)
        .returning(table.c.kind, table.c.wanted, table.c.nonce, table.c.verifier, table.c.next, table.c.started_at)
    )  # fmt: skip
    row = taken.first()
    return None if row is None else Attempt(*row)


async def add_session(conn: AsyncConnection, hashed: bytes, made: SessionRow) -> None:
    """Remember a session under the keyed hash of its cookie."""
    values: dict[str, Any] = {
        "hash": hashed, "kind": made.kind, "person": made.person, "login": made.login, "assurance": made.assurance,
        "started_at": made.started_at, "seen_at": made.seen_at, "ends_at": made.ends_at,
    }  # fmt: skip
    await conn.execute(insert(session).values(values))


_FIND = select(
    session.c.kind, session.c.person, session.c.login, session.c.assurance, session.c.started_at, session.c.seen_at,
    session.c.ends_at,
)  # fmt: skip


async def find_session(conn: AsyncConnection, hashed: bytes) -> SessionRow | None:
    """The session of this cookie, alive or not."""
    row = (await conn.execute(_FIND.where(session.c.hash == hashed))).first()
    return None if row is None else SessionRow(*row)


async def see_session(conn: AsyncConnection, hashed: bytes, now: datetime) -> None:
    """The session is in use. A session that has been ended meanwhile stays ended."""
    await conn.execute(update(session).where(session.c.hash == hashed, session.c.seen_at < now).values(seen_at=now))


async def end_session(conn: AsyncConnection, hashed: bytes) -> None:
    """Forget the session; nothing happens when it is gone already."""
    await conn.execute(delete(session).where(session.c.hash == hashed))


_SWEPT = 500


async def sweep(conn: AsyncConnection, *, now: datetime, seen_before: datetime) -> None:
    """Forget some logins and sessions whose time is over, but for rows that another sweep holds: no deadlock."""
    over = select(login_attempt.c.state).where(login_attempt.c.ends_at <= now)
    some = over.limit(_SWEPT).with_for_update(skip_locked=True)
    await conn.execute(delete(login_attempt).where(login_attempt.c.state.in_(some)))
    over = select(session.c.hash).where((session.c.ends_at <= now) | (session.c.seen_at < seen_before))
    some = over.limit(_SWEPT).with_for_update(skip_locked=True)
    await conn.execute(delete(session).where(session.c.hash.in_(some)))


# --- feeds ----------------------------------------------------------------------------------------------------------

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)

notice_issued = Table(
    "notice_issued", metadata,
    Column("notice", String(36), primary_key=True),
    Column("recipient", String(80), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("basis", String(8), nullable=False),
    Column("category", String(64)),
    Column("at", Float),
    Column("grant", String(64)),
    Column("item", String(64)),
    Column("above", JSON, nullable=False, server_default="[]"),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Index("notice_issued_subject", "subject", "issued_at"),
    Index("notice_issued_at", "issued_at"),
)  # fmt: skip
"""Notices that may still wait, and what they were about: when a grant ends, each is decided again."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A notice that was issued. `at` in epoch seconds; the rest from basis on as in gateway.model.feeds.About."""

    notice: str
    recipient: str
    subject: str
    basis: Literal["grant", "asked", "asker", "either", "answers", "leads"]
    category: str | None
    at: float | None
    grant: str | None
    item: str | None
    above: tuple[tuple[str, str], ...]


async def add_issued(conn: AsyncConnection, issued: Sequence[Issued], now: datetime) -> None:
    """Remember notices in the transaction that issues them."""
    rows: list[dict[str, Any]] = [
        {
            "notice": made.notice, "recipient": made.recipient, "subject": made.subject, "basis": made.basis,
            "category": made.category, "at": made.at, "grant": made.grant, "item": made.item, "above": made.above,
            "issued_at": now,
        }
        for made in issued
    ]  # fmt: skip
    if rows:
        await conn.execute(insert(notice_issued), rows)


async def issued_about(conn: AsyncConnection, subjects: Collection[str], since: datetime) -> list[Issued]:
    """Notices about these subjects, oldest first."""
    table = notice_issued.c
    asked = select(
        table.notice,
        table.recipient,
        table.subject,
        table.basis,
        table.category,
        table.at,
        table.grant,
        table.item,
        table.above,
    ).where(table.subject == any_(literal(list(subjects), ARRAY(String))), table.issued_at >= since)
    return [
        Issued(*row[:8], tuple((item, category) for item, category in row.above))
        for row in await conn.execute(asked.order_by(table.issued_at, table.notice))
    ]


async def forget_issued(conn: AsyncConnection, notices: Collection[str]) -> None:
    """These notices were revoked."""
    if notices:
        await conn.execute(delete(notice_issued).where(notice_issued.c.notice.in_(notices)))


async def sweep_feeds(conn: AsyncConnection, *, issued_before: datetime, handled_before: datetime) -> None:
    """Forget notices that cannot wait any more, and events that cannot come again."""
    await conn.execute(delete(notice_issued).where(notice_issued.c.issued_at < issued_before))
    await forget_before(conn, inbox, handled_before)
