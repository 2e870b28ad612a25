"""Who takes part, as `consent` tells it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.inbox import first_times
from logbook import messages, storage
from logbook.model import Participation

_HANDLER = "participation"


@dataclass(frozen=True, slots=True)
class Told:
    """A grant that has begun or ended, in which event, when that was, and the trace it came with."""

    event: str
    at: datetime
    said: messages.ConsentGranted | messages.ConsentWithdrawn
    traceparent: str | None = None


async def take(conn: AsyncConnection, told: Sequence[Told]) -> None:
    """Somebody takes part from now on, or no longer. Each event has its effect once.

    The order of a grant and of its own end makes no difference: so all that began are kept, then all that ended.
    """
    fresh = await first_times(conn, storage.inbox, [one.event for one in told], _HANDLER)
    began: dict[str, tuple[str, Participation, datetime | None]] = {}
    ended: dict[str, tuple[str, str, datetime]] = {}
    for one in told:
        said = one.said
        if one.event not in fresh:
            continue
        if isinstance(said, messages.ConsentGranted):
            found = Participation(said.grant, said.recipient, tuple(said.categories), tuple(said.actions), said.since)
            began[said.grant] = (said.subject, found, said.until)
        else:
            ended[said.grant] = (said.subject, said.recipient, one.at)
    await storage.keep_grants(conn, list(began.values()))
    await storage.end_grants(conn, ended)
