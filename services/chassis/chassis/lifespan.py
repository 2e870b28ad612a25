"""The life of a process: its background tasks, and serving until it is told to stop."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any

import uvicorn
from fastapi import FastAPI

_log = logging.getLogger(__name__)


class Tasks:
    """Background tasks of one process. A task that ends by an error ends the process: no half a service."""

    def __init__(self) -> None:
        self._running: list[asyncio.Task[None]] = []
        self.failed = False

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until the process ends."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._done)
        self._running.append(task)

    def _done(self, task: "asyncio.Task[None]") -> None:
        if task.cancelled():
            return
        error = task.exception()
        self.failed = True
        _log.critical("a background task ended", extra={"task": task.get_name()}, exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)

    async def stop(self) -> None:
        """Cancel every task until it has ended: a library may swallow one cancellation (wait_for on 3.11 does)."""
        waiting = set(self._running)
        while waiting:
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=0.5)


async def woken(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, but no longer than this.

    Not with `asyncio.wait_for`: on Python 3.11 it swallows a cancellation that comes together with the end of the wait,
    and a process that wakes from a long stop has every timer due at once. What was told to end then goes on for ever.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def serve(app: FastAPI, *, host: str, port: int, **more: Any) -> None:
    """Serve on uvloop until SIGTERM or SIGINT; open requests get three seconds."""
    _spare_the_collector()
    config = uvicorn.Config(
        app, host=host, port=port, loop="uvloop", log_config=None, access_log=False, server_header=False,
        date_header=False, proxy_headers=False, timeout_graceful_shutdown=3, timeout_keep_alive=30,
        **{"http": "httptools", **more},
    )  # fmt: skip
    uvicorn.Server(config).run()


def _spare_the_collector() -> None:
    """Take what was loaded out of the collector's rounds, and make rounds rarer.

    A request makes thousands of short-lived objects; with the defaults each of them paid for rounds over a hundred
    megabytes of code and settings that never change.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
