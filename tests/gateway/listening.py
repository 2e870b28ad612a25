"""A client of live streams: what it read and when, and how its connection ended."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiokafka.partitioner import murmur2

from gateway.model.streams import Change, Place
from tests.gateway.door_parts import CHILD, Rig

_offsets = itertools.count()


@dataclass(frozen=True)
class Message:
    """One message, and when its last byte was read (the loop's time)."""

    event: str
    id: str
    data: Any
    at: float


@dataclass
class Heard:
    """What came over one stream."""

    status: int
    head: Mapping[str, str]
    messages: list[Message] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    last_id: str = ""
    ended: str | None = None
    """`closed` (an orderly end) or `reset`."""
    ended_at: float = 0.0
    body: bytes = b""

    def take(self, block: bytes) -> None:
        """One block of lines, as an EventSource reads it."""
        told: dict[str, str] = {}
        for line in block.decode().split("\n"):
            name, _, value = line.partition(":")
            if name:
                told[name] = value.strip()
        self.last_id = told.get("id", self.last_id)
        if "data" in told:
            self.messages.append(Message(told.get("event", "message"), self.last_id, json.loads(told["data"]), now()))
        elif not told:
            self.beats.append(now())

    async def until(self, count: int, within: float = 5.0) -> list[Message]:
        """The messages, once there are so many."""
        end = now() + within
        while len(self.messages) < count and self.ended is None:
            assert now() < end, self.messages
            await asyncio.sleep(0.002)
        return self.messages

    async def over(self, within: float = 5.0) -> str:
        """How it ended."""
        end = now() + within
        while self.ended is None:
            assert now() < end, "still open"
            await asyncio.sleep(0.002)
        return self.ended


def now() -> float:
    return time.monotonic()


class Lag:
    """How late this loop was at the most: on a busy machine everything is late, and no fault of the gateway's."""

    most = 0.0

    def within(self, seconds: float) -> float:
        """So many seconds, and what the machine adds."""
        return seconds + 2 * self.most

    async def __aenter__(self) -> "Lag":
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _look(self) -> None:
        while True:
            began = now()
            await asyncio.sleep(0.005)
            self.most = max(self.most, now() - began)


@asynccontextmanager
async def listening(address: tuple[str, int], path: str, token: str, **headers: str) -> AsyncIterator[Heard]:
    """Listen until the block ends."""
    reader, writer = await asyncio.open_connection(*address)
    lines = [f"GET {path} HTTP/1.1", "host: x", f"authorization: Bearer {token}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    told = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    heard = Heard(int(head[0].split()[1]), told)
    if "content-length" in told:
        heard.body = await reader.readexactly(int(told["content-length"]))
    taking = asyncio.create_task(_take(reader, heard))
    try:
        yield heard
    finally:
        taking.cancel()
        writer.transport.abort()
        await asyncio.gather(taking, return_exceptions=True)


async def _take(reader: asyncio.StreamReader, heard: Heard) -> None:
    try:
        while True:
            heard.take((await reader.readuntil(b"\n\n"))[:-2])
    except asyncio.IncompleteReadError as error:
        assert error.partial == b"", "cut off in the middle of a message"
        heard.ended = "closed"
    except ConnectionResetError:
        heard.ended = "reset"
    heard.ended_at = now()


def listen(door: Rig, who: str = "teacher", **headers: str) -> Any:
    """This caller listens to the child's log."""
    return listening(door.address, f"/subjects/{door.handle(who)}/stream", who, **headers)


def happens(door: Rig, category: str | None = "school", *, subject: str = CHILD, **more: Any) -> Change:
    """Something happens in a log, and this gateway reads of it."""
    partition = (murmur2(subject.encode()) & 0x7FFFFFFF) % 12
    place = Place(partition, next(_offsets))
    given: dict[str, Any] = {"kind": "entry.added", "item": None if category is None else str(uuid4()), "at": 100.0}
    change = Change(str(uuid4()), place, subject, category=category, **{**given, **more})
    door.streams.heard(place, change)
    return change
