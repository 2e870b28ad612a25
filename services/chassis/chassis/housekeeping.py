"""Forgetting what nothing can bring back: repeated writes' keys and handled events' ids."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import idempotency, inbox

REMEMBERED = timedelta(days=120)
"""Handled event ids: longer than dead letters are kept, which may be replayed (90 days, deploy/topics.toml)."""

_HOUR, _AGAIN = 3_600.0, 60.0
_log = logging.getLogger(__name__)


async def forget(
    engine: AsyncEngine, now: Callable[[], datetime], *, keys: Table, handled: Table | None = None
) -> None:
    """Once an hour, for ever: idempotency keys after 48 hours, and event ids after REMEMBERED where there is an inbox.

    A database that is away is tried again: housekeeping must not end a process whose doors still answer.
    """
    while True:
        try:
            async with engine.begin() as conn:
                await idempotency.forget_before(conn, keys, now() - idempotency.KEPT)
                if handled is not None:
                    await inbox.forget_before(conn, handled, now() - REMEMBERED)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("housekeeping waits", extra={"error": type(error).__name__})
            await asyncio.sleep(_AGAIN)
        else:
            await asyncio.sleep(_HOUR)
