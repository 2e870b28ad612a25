"""Who listens to live streams in a race: each message is judged like an answer, and each needs its record."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.races.wire import now

OPEN_SECONDS = 15.0
_END = b"\n\n"

Told = Callable[[float, Any], None]
"""When a message's last byte was read, and what it says."""


@dataclass(frozen=True, slots=True)
class Listened:
    """How a stream went: its status (0: nobody answered), and when the gateway ended it (None: it did not)."""

    status: int
    ended: float | None


class _Reading(asyncio.Protocol):
    """Takes the time where bytes are read: a task that waits for them would run later, and blame the gateway."""

    def __init__(self, told: Told) -> None:
        self.told, self.status, self.over = told, 0, asyncio.Event()
        self.ended: float | None = None
        self.opened: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._read = b""

    def data_received(self, data: bytes) -> None:
        at = now()
        self._read += data
        if not self.status and b"\r\n\r\n" in self._read:
            head, self._read = self._read.split(b"\r\n\r\n", 1)
            self.status = int(head[9:12])
            if not self.opened.done():
                self.opened.set_result(self.status)
        while self.status == 200 and _END in self._read:
            block, self._read = self._read.split(_END, 1)
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    self.told(at, json.loads(line[6:]))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = now()
        self.over.set()
        if not self.opened.done():
            self.opened.set_result(0)


async def listen(port: int, path: str, headers: dict[str, str], told: Told, until: Callable[[], bool]) -> Listened:
    """One stream, until it ends, `until` says so, or OPEN_SECONDS are over."""
    loop, end = asyncio.get_running_loop(), now() + OPEN_SECONDS
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {text}" for name, text in headers.items())]
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            transport, reading = await loop.create_connection(lambda: _Reading(told), "127.0.0.1", port)
    except (OSError, TimeoutError):
        return Listened(0, None)
    transport.write("\r\n".join([*lines, "", ""]).encode())
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await reading.opened
        while reading.status == 200 and not reading.over.is_set() and not until() and now() < end:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await reading.over.wait()
        return Listened(reading.status, reading.ended)
    finally:
        transport.abort()
