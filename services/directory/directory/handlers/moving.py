"""Moving the business clock: forward only, in synthetic installations only, and published like any other entry."""

import asyncio
import logging
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock, wall_now
from directory import model, storage
from directory.storage import Change

KIND, ID = "clock", "business"
_FARTHEST = timedelta(days=366 * 40)
_SECOND = timedelta(seconds=1)
_POLL_SECONDS = 0.5
_log = logging.getLogger(__name__)


async def ahead(conn: AsyncConnection) -> timedelta:
    """How far the clock has been moved."""
    row = await storage.find(conn, KIND, ID)
    return timedelta(0) if row is None else timedelta(seconds=row["body"]["ahead"])


async def move(conn: AsyncConnection, clock: Clock, to: datetime, change: Change) -> None:
    """Let it be this moment from now on. model.Refused in production, backwards, and beyond forty years.

    It never goes back: what a day has brought, a grant's end or a warning, is not taken back either.
    """
    if not clock.movable:
        raise model.Refused(model.Finding("to", "clock-fixed"))
    row = await storage.find(conn, KIND, ID, lock=True)
    held = timedelta(0) if row is None else timedelta(seconds=row["body"]["ahead"])
    wanted = to - wall_now()
    if wanted + _SECOND < held:
        raise model.Refused(model.Finding("to", "clock-goes-forward"))
    if wanted > _FARTHEST:
        raise model.Refused(model.Finding("to", "too-far"))
    seconds = max(held, wanted) // _SECOND
    await storage.save(conn, KIND, ID, change, body={"ahead": seconds}, active=True)


async def catch_up(engine: AsyncEngine, clock: Clock) -> None:
    """Go by the clock as it was moved. ClockFixed where a production installation has the database of a moved one."""
    async with engine.connect() as conn:
        clock.move(await ahead(conn))


async def follow(engine: AsyncEngine, clock: Clock) -> None:
    """For ever: what another replica has moved."""
    while True:
        try:
            await catch_up(engine, clock)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("the clock waits for the database", extra={"error": type(error).__name__})
        await asyncio.sleep(_POLL_SECONDS)
