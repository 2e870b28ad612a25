"""What writes made or changed: brought by the logbook's events, beside the ledger and never in it."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import from_rfc3339
from chassis.events import Event
from chassis.inbox import first_time
from consent import storage
from consent.messages import LogChanged
from consent.model.looks import Effect

_HANDLER = "made"


async def take(conn: AsyncConnection, event: Event, told: LogChanged) -> None:
    """Keep it once per event; whether its look is in the ledger yet does not matter. Nothing of a write without one."""
    if told.record is None or not await first_time(conn, storage.inbox, event.id, _HANDLER):
        return
    item = None if told.category is None else told.item
    above = frozenset(name for one in told.above for name in (one.item, one.category))
    effect = Effect(event.type, item, told.category, above)
    at = from_rfc3339(told.at)
    await storage.keep_made(conn, event.id, told.record, told.subject, effect, event.version or 0, at)
