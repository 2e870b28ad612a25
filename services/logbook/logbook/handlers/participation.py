"""Who takes part, as `consent` tells it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.inbox import first_time
from logbook import messages, storage
from logbook.model import Participation

_HANDLER = "participation"


async def take_grant(conn: AsyncConnection, event: str, grant: messages.ConsentGranted) -> None:
    """Somebody takes part from now on. Has its effect once per event."""
    if await first_time(conn, storage.inbox, event, _HANDLER):
        found = Participation(grant.grant, grant.recipient, tuple(grant.categories), tuple(grant.actions), grant.since)
        await storage.keep_grant(conn, grant.subject, found, grant.until)


async def take_withdrawal(
    conn: AsyncConnection, event: str, withdrawn: messages.ConsentWithdrawn, at: datetime
) -> None:
    """A grant has ended. Has its effect once per event, also when it comes before the grant itself."""
    if await first_time(conn, storage.inbox, event, _HANDLER):
        await storage.end_grant(conn, withdrawn.subject, withdrawn.grant, withdrawn.recipient, at)
