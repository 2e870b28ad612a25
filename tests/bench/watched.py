"""A gateway that also tells how long its loop stood still: one JSON line a second into the file BENCH_STALLS."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chassis import lifespan, logs
from chassis.settings import load
from gateway.api.wire import DoorProtocol
from gateway.app import SERVICE, create_app
from gateway.settings import Settings

TICK = 0.002


async def watch(path: Path) -> None:
    """Every TICK: how late is it (`wall`), and how much of that this thread computed (`cpu`)? Milliseconds.

    On a busy machine `wall` holds what other processes took; `cpu` is what the gateway's own code cost in one go.
    """
    with path.open("a") as file:
        while True:
            wall = cpu = 0.0
            second = time.monotonic() + 1
            while time.monotonic() < second:
                began, computed = time.monotonic(), time.thread_time()
                await asyncio.sleep(TICK)
                wall = max(wall, time.monotonic() - began - TICK)
                cpu = max(cpu, time.thread_time() - computed)
            file.write(json.dumps({"at": time.monotonic(), "wall": 1_000 * wall, "cpu": 1_000 * cpu}) + "\n")
            file.flush()


def main() -> None:
    """Serve as `python -m gateway` does."""
    settings = load(Settings)
    logs.setup(SERVICE, settings.replica)
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def watching(served: Any) -> AsyncIterator[None]:
        task = asyncio.create_task(watch(Path(os.environ["BENCH_STALLS"])))
        try:
            async with inner(served):
                yield
        finally:
            task.cancel()

    app.router.lifespan_context = watching
    lifespan.serve(app, host=settings.host, port=settings.port, http=DoorProtocol)


if __name__ == "__main__":
    main()
