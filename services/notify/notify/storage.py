"""What notify keeps: contact points (addresses sealed with the person's key), notices and their deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.idempotency import KEPT, idempotency_table
from chassis.idempotency import forget_before as forget_keys
from chassis.inbox import forget_before as forget_messages
from chassis.inbox import inbox_table
from chassis.outbox import outbox_table
from notify.model import Frequency, Language, State

metadata = MetaData()
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
idempotency = idempotency_table(metadata)

contact = Table(
    "contact", metadata,
    Column("recipient", String(80), primary_key=True),
    Column("email", LargeBinary),
    Column("language", String(2), nullable=False),
    Column("notices", String(8), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)  # fmt: skip
"""`recipient` is `person:<id>` or `staff:<id>`; `email` is sealed with that id's key."""

notice = Table(
    "notice", metadata,
    Column("id", String(64), primary_key=True),
    Column("recipient", String(80), nullable=False),
    Column("cause", String(64)),
    Column("received_at", DateTime(timezone=True), nullable=False),
    Index("notice_recipient", "recipient", "received_at"),
)  # fmt: skip

delivery = Table(
    "delivery", metadata,
    Column("notice", String(64), ForeignKey("notice.id"), primary_key=True),
    Column("channel", String(8), primary_key=True),
    Column("recipient", String(80), nullable=False),
    Column("state", String(12), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Column("done_at", DateTime(timezone=True)),
    Column("reason", String(40)),
)  # fmt: skip
Index("delivery_waiting", delivery.c.next_at, postgresql_where=delivery.c.state == "waiting")

EMAIL = "email"
_INBOX_KEPT = timedelta(days=45)  # longer than any topic or dead-letter topic keeps its messages


@dataclass(frozen=True, slots=True)
class SealedContact:
    """A contact point as it is kept."""

    email: bytes | None
    language: Language
    notices: Frequency


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that is due."""

    notice: str
    recipient: str
    tries: int


async def find_contact(conn: AsyncConnection, recipient: str, *, lock: bool = False) -> SealedContact | None:
    """The contact point; with `lock` it stays as it is until the transaction ends."""
    asked = select(contact.c.email, contact.c.language, contact.c.notices).where(contact.c.recipient == recipient)
    row = (await conn.execute(asked.with_for_update() if lock else asked)).first()
    return None if row is None else SealedContact(*row)


async def keep_contact(conn: AsyncConnection, recipient: str, kept: SealedContact, now: datetime) -> None:
    """Make or replace the contact point."""
    values: dict[str, Any] = {
        "email": kept.email, "language": kept.language, "notices": kept.notices, "changed_at": now,
    }  # fmt: skip
    made = insert(contact).values(recipient=recipient, **values)
    await conn.execute(made.on_conflict_do_update(index_elements=[contact.c.recipient], set_=values))


async def add_notice(
    conn: AsyncConnection, known: str, recipient: str, cause: str | None, state: State, now: datetime
) -> bool:
    """Notice and delivery together; False, and nothing happens, when the notice is there already."""
    made = insert(notice).values(id=known, recipient=recipient, cause=cause, received_at=now)
    row = (await conn.execute(made.on_conflict_do_nothing().returning(notice.c.id))).first()
    if row is None:
        return False
    await conn.execute(
        insert(delivery).values(
            notice=known, channel=EMAIL, recipient=recipient, state=state, tries=0, next_at=now,
            done_at=None if state == "waiting" else now,
        )
    )  # fmt: skip
    return True


async def settle(
    conn: AsyncConnection, notices: Sequence[str], state: State, now: datetime, *, reason: str | None = None
) -> None:
    """Bring these deliveries to a state in which nothing waits any more."""
    changed = update(delivery).where(delivery.c.notice.in_(notices), delivery.c.channel == EMAIL)
    await conn.execute(changed.values(state=state, done_at=now, reason=reason))


async def revoke(conn: AsyncConnection, known: str, now: datetime) -> bool:
    """Revoke what has not been sent; one that is being sent right now is waited for. True: in time."""
    open_states = ("waiting", "no-contact", "turned-off")
    changed = update(delivery).where(delivery.c.notice == known, delivery.c.state.in_(open_states))
    done = await conn.execute(changed.values(state="revoked", done_at=now, reason=None))
    return done.rowcount > 0


async def wake_newest(conn: AsyncConnection, recipient: str, since: datetime, now: datetime) -> None:
    """Let the newest notice that had nowhere to go be sent: one e-mail says as much as many."""
    newest = (
        select(delivery.c.notice)
        .join(notice, notice.c.id == delivery.c.notice)
        .where(delivery.c.recipient == recipient, delivery.c.state == "no-contact", notice.c.received_at >= since)
        .order_by(notice.c.received_at.desc(), notice.c.id)
        .limit(1)
        .scalar_subquery()
    )
    changed = update(delivery).where(delivery.c.notice == newest)
    await conn.execute(changed.values(state="waiting", next_at=now, done_at=None))


async def claim(conn: AsyncConnection, now: datetime) -> list[Waiting]:
    """Everything that is due for one recipient, oldest first, locked until the transaction ends; [] when nothing is."""
    found = (delivery.c.state == "waiting", delivery.c.next_at <= now, delivery.c.channel == EMAIL)
    first = select(delivery.c.recipient).where(*found).order_by(delivery.c.next_at).limit(1)
    recipient = (await conn.execute(first.with_for_update(skip_locked=True))).scalar()
    if recipient is None:
        return []
    due = (
        select(delivery.c.notice, delivery.c.recipient, delivery.c.tries)
        .join(notice, notice.c.id == delivery.c.notice)
        .where(*found, delivery.c.recipient == recipient)
        .order_by(notice.c.received_at, notice.c.id)
        .with_for_update(skip_locked=True, of=delivery)
    )
    return [Waiting(*row) for row in await conn.execute(due)]


async def try_again(conn: AsyncConnection, one: Waiting, at: datetime, reason: str) -> None:
    """Leave it waiting until `at`."""
    changed = update(delivery).where(delivery.c.notice == one.notice, delivery.c.channel == EMAIL)
    await conn.execute(changed.values(tries=one.tries + 1, next_at=at, reason=reason))


async def notices_of(
    conn: AsyncConnection, recipient: str, before: tuple[datetime, str] | None, limit: int
) -> list[Any]:
    """Rows (id, at, state, reason), newest first."""
    asked = (
        select(notice.c.id, notice.c.received_at, delivery.c.state, delivery.c.reason)
        .join(delivery, delivery.c.notice == notice.c.id)
        .where(notice.c.recipient == recipient)
        .order_by(notice.c.received_at.desc(), notice.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        moment, known = before
        later = (notice.c.received_at < moment) | ((notice.c.received_at == moment) & (notice.c.id < known))
        asked = asked.where(later)
    return list(await conn.execute(asked))


async def sweep(conn: AsyncConnection, now: datetime) -> None:
    """Forget inbox rows that no message can come twice for any more, and idempotency keys whose time is over.

    now: of the wall clock, which stamps them.
    """
    await forget_messages(conn, inbox, now - _INBOX_KEPT)
    await forget_keys(conn, idempotency, now - KEPT)


async def counts(conn: AsyncConnection) -> dict[State, int]:
    """How many deliveries are in each state."""
    rows = await conn.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
    return {cast("State", state): int(number) for state, number in rows}
