"""A process between two parts: passes bytes on, or late, or not at all, as it is told line by line.

`python -m tests.races.proxy`. First line on standard input: `{name: [listen, target]}`, ports on loopback. Then
`{"link": name, "mode": mode, "seconds": delay}`; each line is answered by one line when it is done. It ends with its
input. Modes: `pass`; `slow`, every chunk so many seconds late; `hang`, nothing is passed on until another mode comes,
and then all of it; `deaf`, the same for what a Kafka broker answers on connections that fetch: news is late while
records still leave; `cut`, connections are reset and new ones refused.
"""

import asyncio
import json
import socket
import struct
import sys
from collections import deque
from contextlib import suppress
from typing import Any, cast

import uvloop

_FETCH = 1
_UP, _DOWN = 0, 1
_RESET = struct.pack("ii", 1, 0)


class Link:
    """One listening port and where it leads."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = "pass"
        self.delay = 0.0
        self.pipes: set[Pipe] = set()

    def set(self, mode: str, seconds: float) -> None:
        """From now on so."""
        self.mode, self.delay = mode, seconds if mode == "slow" else 0.0
        for pipe in list(self.pipes):
            if mode == "cut":
                pipe.reset()
            else:
                pipe.pump(_UP)
                pipe.pump(_DOWN)


class Pipe:
    """One connection: two transports, and what is still to be passed on in each direction (None: its end)."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.ends: list[asyncio.Transport | None] = [None, None]  # the client's, the server's
        self._waiting: tuple[deque[tuple[float, bytes | None]], ...] = (deque(), deque())
        self._fetches = False
        link.pipes.add(self)

    def feed(self, way: int, data: bytes | None) -> None:
        """Bytes came, or the end."""
        if way == _UP and data is not None and len(data) > 8:
            length, kind = struct.unpack_from(">ih", data)
            self._fetches |= kind == _FETCH and length == len(data) - 4
        self._waiting[way].append((asyncio.get_running_loop().time() + self.link.delay, data))
        self.pump(way)

    def _held(self, way: int) -> bool:
        return self.link.mode == "hang" or (self.link.mode == "deaf" and way == _DOWN and self._fetches)

    def pump(self, way: int) -> None:
        """Pass on what is due."""
        waiting, to = self._waiting[way], self.ends[1 - way]
        loop = asyncio.get_running_loop()
        while waiting and to is not None and not self._held(way):
            due, data = waiting[0]
            if due > loop.time() + 0.0005:
                loop.call_at(due, self.pump, way)
                return
            waiting.popleft()
            if data is None:
                to.close()
            elif not to.is_closing():
                to.write(data)

    def reset(self) -> None:
        """Break both sides off."""
        self.link.pipes.discard(self)
        for end in self.ends:
            if end is not None:
                found = end.get_extra_info("socket")
                with suppress(OSError, AttributeError):  # it is closed already
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.abort()


class Side(asyncio.Protocol):
    """One end of a pipe."""

    def __init__(self, pipe: Pipe, way: int) -> None:
        self._pipe, self._way = pipe, way
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pipe.ends[self._way] = cast("asyncio.Transport", transport)
        if self._way == _UP:
            if self._pipe.link.mode == "cut":
                self._pipe.reset()
                return
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        else:
            self._pipe.pump(_UP)

    async def _connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: Side(self._pipe, _DOWN), "127.0.0.1", self._pipe.link.target
            )
        except OSError:
            self._pipe.reset()

    def data_received(self, data: bytes) -> None:
        self._pipe.feed(self._way, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.feed(self._way, None)
        if all(end is None or end.is_closing() for end in self._pipe.ends):
            self._pipe.link.pipes.discard(self._pipe)


async def main() -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    links: dict[str, Link] = {}
    for name, (listen, target) in json.loads(await reader.readline()).items():
        link = links[name] = Link(target)

        def made(link: Link = link) -> Side:
            return Side(Pipe(link), _UP)

        await loop.create_server(made, "127.0.0.1", listen, backlog=200)
    print("ready", flush=True)
    while line := await reader.readline():
        told: dict[str, Any] = json.loads(line)
        links[told["link"]].set(told["mode"], told.get("seconds", 0.0))
        print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
