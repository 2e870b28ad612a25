"""The last step of an answer: written into an empty buffer, chunk by chunk, each checked in the step that writes it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, Protocol

from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.handlers.answers import Changed
from gateway.model.lease import Lease

EXTENSION = "samlogg.wire"
CHUNK_BYTES = 16 * 1024
HAND_OVER_SECONDS = 0.15
"""An answer that is not in the kernel after this long is broken off: that plus one heartbeat stays below the grace."""

STREAM_BYTES = 8 * 1024
"""What the kernel may hold of a stream."""

_STATUS_LINE = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}

Header = tuple[bytes, bytes]


class Wire(Protocol):
    """The transport of one answer, as `hand_over` needs it."""

    def gone(self) -> bool:
        """Is nobody there any more?"""

    def empty(self) -> bool:
        """Has everything written so far left for the kernel?"""

    async def emptied(self, seconds: float) -> bool:
        """Wait until it has; False when it had not in time."""

    def write(self, data: bytes) -> None:
        """Give bytes to the transport, which tries to pass them on in this very step."""

    def finish(self) -> None:
        """The answer is complete; the connection may serve the next request."""

    def abort(self) -> None:
        """Break the connection off, and throw away what has not left."""

    def keeps_alive(self) -> bool:
        """Will the connection serve another request?"""


class Handed(Enum):
    """How a hand-over ended."""

    WHOLE = "whole"
    BROKEN = "broken"
    """The first bytes left, the rest did not: the connection was broken off."""
    NOTHING = "nothing"
    """Nobody was there, or the transport was not empty in time; nothing left."""


def head_of(status: int, headers: Sequence[Header], length: int | None, *, close: bool) -> bytes:
    """The bytes of an HTTP/1.1 head. Header values come from us or were checked. `length` None: none is told."""
    parts = [_STATUS_LINE[status]]
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    if length is not None:
        parts += (b"content-length: ", str(length).encode(), b"\r\n")
    parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    return b"".join(parts)


async def hand_over(
    wire: Wire,
    status: int,
    headers: Callable[[], Sequence[Header]],
    body: bytes,
    check: Callable[[], None],
    lease: Lease,
    *,
    more: bool = False,
    wrote: Callable[[int], None] | None = None,
) -> Handed:
    """Write the answer in chunks. `check` runs in the same step as each write and raises Changed to forbid it.

    Changed from the first check goes to the caller (nothing has left). Later the connection is broken off. `headers` is
    called after the first check, in its step. What the kernel does not take at once holds back the lease report until
    it has, or until the connection is broken off. more: it goes on with `hand_on`, and ends with the connection.
    wrote: called after each write with how much of the body was given to the transport by then.
    """
    if wire.gone() or (not wire.empty() and not await wire.emptied(HAND_OVER_SECONDS)) or wire.gone():
        wire.abort()
        return Handed.NOTHING
    check()
    length = None if more or status == 304 else len(body)
    data = head_of(status, headers(), length, close=more or not wire.keeps_alive())
    at = CHUNK_BYTES - len(data) % CHUNK_BYTES
    wire.write(data + body[:at])
    while True:
        if wrote is not None:
            wrote(min(at, len(body)))
        if not wire.empty() and not await _departed(wire, lease):
            return Handed.BROKEN
        if at >= len(body):
            break
        await asyncio.sleep(0)  # a long answer lets others have their turn: before the check, never after the write
        if not _may_go_on(wire, check):
            wire.abort()
            return Handed.BROKEN
        wire.write(body[at : at + CHUNK_BYTES])
        at += CHUNK_BYTES
    if not more:
        wire.finish()
    return Handed.WHOLE


def _may_go_on(wire: Wire, check: Callable[[], None]) -> bool:
    try:
        check()
    except Changed:
        return False
    return not wire.gone()


async def hand_on(
    wire: Wire, data: bytes, check: Callable[[], None], lease: Lease, wrote: Callable[[int], None] | None = None
) -> Handed:
    """One more chunk of a stream, by the rules of `hand_over`: Changed means that nothing of it has left."""
    if wire.gone() or not wire.empty():
        wire.abort()
        return Handed.NOTHING
    check()
    wire.write(data)
    if wrote is not None:
        wrote(len(data))
    return Handed.WHOLE if wire.empty() or await _departed(wire, lease) else Handed.BROKEN


async def _departed(wire: Wire, lease: Lease) -> bool:
    token = lease.checked()  # still in the step of the check: nothing was applied in between
    left = False
    try:
        left = await wire.emptied(HAND_OVER_SECONDS)
    finally:  # also where whoever serves this is cancelled: what has not left must not leave after the report
        if not left:
            wire.abort()
        lease.handed_over(token)
    return left


class UvicornWire:
    """The wire of one uvicorn request."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self.at_shutdown: Callable[[], None] | None = None
        """Called when the server stops taking requests: a stream would otherwise keep it from ending."""

    def gone(self) -> bool:
        """The client left, or the connection is closing."""
        return self._cycle.disconnected or self._transport.is_closing()

    def empty(self) -> bool:
        """uvloop and asyncio both count what the kernel has not taken."""
        return self._transport.get_write_buffer_size() == 0

    async def emptied(self, seconds: float) -> bool:
        """With a high-water mark of zero, writing is paused until the buffer is empty."""
        try:
            async with asyncio.timeout(seconds):
                while not self.empty() and not self.gone():
                    await self._cycle.flow.drain()
                    if not self.empty():
                        await asyncio.sleep(0.001)  # resumed, and written to again by somebody else
        except TimeoutError:
            return False
        return self.empty()

    def write(self, data: bytes) -> None:
        """The head is in `data` with the first chunk: uvicorn's own `send` would make two writes of them."""
        self._cycle.response_started = True
        self._transport.write(data)

    def finish(self) -> None:
        """What uvicorn's `send` does after the last chunk."""
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()

    def abort(self) -> None:
        """Reset the connection: what the kernel has not sent yet is thrown away too."""
        cycle = self._cycle
        cycle.response_started = cycle.response_complete = True
        cycle.disconnected = True
        _reset_on_close(self._transport)
        self._transport.abort()

    def narrow(self) -> None:
        """Let the kernel hold little: who reads slowly is then found out after some messages, not after thousands."""
        found = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_BYTES)

    def begun(self) -> bool:
        """Has the head of an answer left?"""
        return self._cycle.response_started

    def keeps_alive(self) -> bool:
        """As the client asked."""
        return self._cycle.keep_alive

    def close_after(self) -> None:
        """Serve no other request on this connection: what the client is still sending is not read."""
        self._cycle.keep_alive = False


def _reset_on_close(transport: asyncio.Transport) -> None:
    """Linger zero: `close` then sends a reset instead of what is left in the kernel's buffer."""
    found = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it is closed already
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class DoorProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an unbuffered transport and the wire of each request in its scope."""

    _wire: UvicornWire | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """High-water mark zero: what the kernel does not take at once pauses writing until it has."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        scope: Any = cycle.scope
        self._wire = scope.setdefault("extensions", {})[EXTENSION] = UvicornWire(cycle)
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        """The server stops: what goes on by itself is told to end."""
        super().shutdown()
        if self._wire is not None and self._wire.at_shutdown is not None:
            self._wire.at_shutdown()


def wire_of(scope: Scope) -> UvicornWire:
    """The wire of this request. RuntimeError where the server is not ours: an answer could then leave unchecked."""
    found: UvicornWire | None = scope.get("extensions", {}).get(EXTENSION)
    if found is None:
        raise RuntimeError("the door is only served by DoorProtocol")
    return found


async def emptied(scope: Scope) -> None:
    """Wait until an earlier answer on this connection has left; break the connection off when it does not."""
    wire: UvicornWire | None = scope.get("extensions", {}).get(EXTENSION)
    if wire is not None and not wire.empty() and not await wire.emptied(HAND_OVER_SECONDS):
        wire.abort()
