"""Waiting in a background task."""

import asyncio
import time

from chassis.lifespan import woken


async def test_a_wait_ends_with_the_event_or_with_its_time() -> None:
    event, began = asyncio.Event(), time.monotonic()
    await woken(event, 0.05)
    assert 0.04 < time.monotonic() - began < 5.0
    event.set()
    await woken(event, 60.0)
    assert time.monotonic() - began < 5.0


async def test_who_is_told_to_end_in_the_very_step_in_which_it_wakes_ends() -> None:
    event = asyncio.Event()

    async def work() -> None:
        while True:
            await woken(event, 60.0)
            event.clear()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    event.set()
    await asyncio.sleep(0)  # the wait is over, and the task has not gone on yet
    task.cancel()
    _, left = await asyncio.wait([task], timeout=1.0)
    task.cancel()
    assert not left
