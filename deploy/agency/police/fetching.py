"""Fetches what our pointers point to: whom the handle means, and the items that were granted to us."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from police.gateway import Gateway, Refused, UnavailableError, Unchanged, pause
from police.store import Store, Work

log = logging.getLogger("police")


async def fetch(work: Work, gateway: Gateway, store: Store) -> None:
    """Fetch one handle and store the outcome; raises UnavailableError when there is no answer to be had now.

    Whom a handle means is asked once: every look is on record, and one that is not needed should not be there.
    """
    person = None if work.known else await gateway.identity(work.handle)
    if isinstance(person, Refused):
        store.refused(work, person.status, _now())
        return
    answer = await gateway.items(work.handle, work.etag)
    who = None if person is None else person.body
    if isinstance(answer, Refused):
        store.refused(work, answer.status, _now())
    elif isinstance(answer, Unchanged):
        store.keep(work, who, None, work.etag)
    else:
        store.keep(work, who, answer.body["items"], answer.etag)


async def fetch_all(gateway: Gateway, store: Store, arrived: asyncio.Event) -> None:
    """Do the work that is there, then wait for more; one handle that fails does not stop the others."""
    while True:
        arrived.clear()
        waits: list[float | None] = []
        tries = 0
        for work in store.work():
            try:
                await fetch(work, gateway, store)
            except UnavailableError as error:
                store.tried(work)
                waits.append(error.wait)
                tries = max(tries, work.tries)
                log.info("a fetch has to wait; tries so far: %d", work.tries + 1)
        if waits:
            known = [wait for wait in waits if wait is not None]
            await pause(tries, max(known) if known else None)
        elif not store.work():
            await arrived.wait()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
