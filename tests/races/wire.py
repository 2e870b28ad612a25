"""One HTTP/1.1 connection as a client has it, and the moment at which an answer's first byte was there."""

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ETAG = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)

now = time.monotonic
"""The one clock of a run: every moment that is judged was read from it, in this process."""


class Gone(Exception):
    """No answer: nobody listens, the connection broke, or the time was over. What was asked may have happened."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, whole. `sent`: before the first byte of the request; `first`: when its first byte was read."""

    status: int
    body: bytes
    etag: bytes | None
    sent: float
    first: float


class _Protocol(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.waiting: asyncio.Future[tuple[bytes, bytes]] | None = None
        self.first = 0.0
        self._read = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._read:
            self.first = now()
        self._read += data
        end = self._read.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._read[: end + 2])
        found = _LENGTH.search(head)
        whole = end + 4 + (int(found[1]) if found else 0)
        if len(self._read) >= whole and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result((head, bytes(self._read[end + 4 : whole])))
            self._read.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(Gone())


class Line:
    """A kept-alive connection to one gateway; made anew when it broke. One request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._protocol: _Protocol | None = None

    async def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b"", *, seconds: float = 15.0
    ) -> Reply:
        """The whole answer. Gone when there is none within `seconds`."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {text}" for name, text in headers.items())]
        if body:
            lines += ["Content-Type: application/json"]
        if body or method == "POST":
            lines += [f"Content-Length: {len(body)}"]
        raw = "\r\n".join([*lines, "", ""]).encode() + body
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(raw)
        except (OSError, TimeoutError) as error:
            raise Gone from error
        finally:
            if self._protocol is not None and (self._protocol.waiting is None or not self._whole()):
                self.close()

    def _whole(self) -> bool:
        waiting = self._protocol.waiting if self._protocol else None
        return waiting is not None and waiting.done() and not waiting.cancelled() and waiting.exception() is None

    async def _exchange(self, raw: bytes) -> Reply:
        protocol = self._protocol
        loop = asyncio.get_running_loop()
        if protocol is None or protocol.transport is None or protocol.transport.is_closing():
            _, protocol = await loop.create_connection(_Protocol, "127.0.0.1", self._port)
            self._protocol = protocol
        assert protocol.waiting is None or protocol.waiting.done(), "one request at a time"
        protocol.waiting = loop.create_future()
        sent = now()
        assert protocol.transport is not None
        protocol.transport.write(raw)
        head, body = await protocol.waiting
        etag = _ETAG.search(head)
        reply = Reply(int(head[9:12]), body, etag[1] if etag else None, sent, protocol.first)
        if _CLOSE.search(head):
            self.close()
        return reply

    def close(self) -> None:
        """Break it off."""
        if self._protocol is not None and self._protocol.transport is not None:
            with suppress(OSError):
                self._protocol.transport.abort()
        self._protocol = None
