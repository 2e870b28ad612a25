"""Notices as they come from the gateway: inbox, notice and delivery in one transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import from_rfc3339, rfc3339
from chassis.inbox import first_time
from notify import storage
from notify.messages import NoticeDue, NoticeRevoked
from notify.model import Contact, first_state

HANDLER = "notices"


async def take_notice(conn: AsyncConnection, due: NoticeDue, event: str, now: datetime) -> None:
    """Keep the notice and its delivery, once per event; one that was revoked first stays revoked."""
    if not await first_time(conn, storage.inbox, event, HANDLER):
        return
    kept = await storage.find_contact(conn, due.recipient)
    known = None if kept is None else Contact("" if kept.email is not None else None, kept.language, kept.notices)
    await storage.add_notice(conn, due.notice, due.recipient, due.cause, first_state(known), now)


async def revoke_notice(conn: AsyncConnection, revoked: NoticeRevoked, event: str, now: datetime) -> None:
    """Stop a notice that has not been sent. If it has not come yet, it is kept as revoked, and will not be sent."""
    if not await first_time(conn, storage.inbox, event, HANDLER):
        return
    if not await storage.add_notice(conn, revoked.notice, revoked.recipient, None, "revoked", now):
        await storage.revoke(conn, revoked.notice, now)


async def list_notices(
    conn: AsyncConnection, recipient: str, after: list[str] | None, limit: int
) -> tuple[list[dict[str, Any]], list[str] | None]:
    """The owner's notices, newest first, with the state of each e-mail; and where the next page begins."""
    before = None if after is None else (from_rfc3339(after[0]), after[1])
    rows = await storage.notices_of(conn, recipient, before, limit + 1)
    items = [
        {"id": row.id, "kind": "notice", "category": None, "at": rfc3339(row.received_at), "state": row.state,
         "reason": row.reason}
        for row in rows[:limit]
    ]  # fmt: skip
    last = rows[limit - 1] if len(rows) > limit else None
    return items, None if last is None else [last.received_at.isoformat(), last.id]
