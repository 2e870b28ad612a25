"""Records on their way to Kafka: those that come together leave together, and the busier, the more."""

import asyncio
import contextlib
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from aiokafka.partitioner import murmur2

# A request costs broker and gateway as much as ten records do. One that comes alone leaves at once; the more left
# together last, the longer the next ones wait for each other, and no longer than an owner takes to answer.
_EACH_SECONDS = 0.0015
_LONGEST_SECONDS = 0.012
_AGAIN_SECONDS = 0.2
_MOST = 20_000
"""Records at once: some seconds of more than one gateway can answer; without a broker there is soon no lease."""


class NotRecorded(Exception):
    """The record is not known to be durable; it may still land. There is no answer."""


class Batch(Protocol):
    """The part of aiokafka's batch that is used here."""

    def append(self, *, timestamp: int | None, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
        """None when it is full."""


class Batches(Protocol):
    """The part of aiokafka's producer that sends batches."""

    async def partitions_for(self, topic: str) -> set[int]:
        """Waits for a topic that is not known yet."""

    def create_batch(self) -> Batch:
        """An empty one."""

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[Any]:
        """Returns once it is the next to leave for its partition; its result is there when it is acknowledged."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record, what it is counted as, and what is done once it is durable, or NotRecorded."""

    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    outcome: str
    durable: "Future[None]"


Told: TypeAlias = Callable[[Sequence[Record]], None]


class Gathering:
    """Sends records, those of one key in their order. aiokafka never gives a batch up, and nor does this: whoever waits
    for a record is let go after a while, and the record lands when the broker is there again.

    Of each partition one batch is under way at a time: one that has no leader holds up its own records and no others.
    seconds: from `add` until a record counts as not recorded. landed, missed: told of records that were waited for,
    before those who wait.
    """

    def __init__(self, producer: Batches, topic: str, seconds: float, landed: Told, missed: Told) -> None:
        self._producer, self._topic, self._seconds = producer, topic, seconds
        self._landed, self._missed = landed, missed
        self._count = 0
        self._early: list[Record] = []
        self._waiting: dict[int, list[Record]] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._learning: asyncio.Task[None] | None = None
        self._leaving: asyncio.Handle | None = None
        self._left, self._left_at = 0, float("-inf")
        self._waited_for: deque[tuple[float, Record]] = deque()
        self._expiring: asyncio.Handle | None = None

    def add(self, record: Record) -> None:
        """It leaves with the next batch of its partition. NotRecorded when too many wait already."""
        if len(self._waited_for) >= _MOST:
            raise NotRecorded
        loop = asyncio.get_running_loop()
        self._waited_for.append((loop.time() + self._seconds, record))
        if self._expiring is None:
            self._expiring = loop.call_later(self._seconds, self._expire)
        if self._count:
            self._line_up(record)
            return
        self._early.append(record)
        if self._learning is None:
            self._learning = asyncio.create_task(self._learn())

    async def close(self) -> None:
        """Nothing waits for others any more; returns when all has landed, or after the deadline."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                while under_way := self._last_ones():
                    await asyncio.wait(under_way)
        left = self._last_ones()
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for timer in (self._leaving, self._expiring):
            if timer is not None:
                timer.cancel()
        self._fail([record for _, record in self._waited_for if not record.durable.done()])

    def _last_ones(self) -> "list[asyncio.Task[None]]":
        if self._leaving is not None:
            self._leaving.cancel()
            self._leave()
        return [*self._under_way.values(), *([] if self._learning is None else [self._learning])]

    def _expire(self) -> None:
        """Let go of whoever has waited for too long. Those that are done pass by: no timer for each."""
        loop, late = asyncio.get_running_loop(), list[Record]()
        while self._waited_for and (self._waited_for[0][0] <= loop.time() or self._waited_for[0][1].durable.done()):
            _, record = self._waited_for.popleft()
            if not record.durable.done():
                late.append(record)
        self._fail(late)
        first = self._waited_for[0][0] if self._waited_for else None
        self._expiring = None if first is None else loop.call_at(first, self._expire)

    async def _learn(self) -> None:
        """How many partitions there are: asked once, since a partition that came later takes nothing away."""
        while not self._count:
            try:
                self._count = len(await self._producer.partitions_for(self._topic))
            except Exception:  # noqa: BLE001  whatever the client raises: the topic may come
                await asyncio.sleep(_AGAIN_SECONDS)
        early, self._early, self._learning = self._early, [], None
        for record in early:
            self._line_up(record)

    def _line_up(self, record: Record) -> None:
        partition = (_hashed(record.key) & 0x7FFFFFFF) % self._count
        self._waiting.setdefault(partition, []).append(record)
        if partition not in self._under_way:
            self._leave_soon()

    def _leave_soon(self) -> None:
        if self._leaving is not None:
            return
        loop = asyncio.get_running_loop()
        together = self._left if self._left > 1 else 0
        due = self._left_at + min(_LONGEST_SECONDS, together * _EACH_SECONDS)
        self._leaving = loop.call_at(due, self._leave) if due > loop.time() else loop.call_soon(self._leave)

    def _leave(self) -> None:
        self._leaving, self._left, self._left_at = None, 0, asyncio.get_running_loop().time()
        for partition in self._waiting.keys() - self._under_way.keys():
            part = self._waiting.pop(partition)
            self._left += len(part)
            self._under_way[partition] = asyncio.create_task(self._send(partition, part))

    async def _send(self, partition: int, part: Sequence[Record]) -> None:
        try:
            for batch in self._batches(part):
                await (await self._producer.send_batch(batch, self._topic, partition=partition))
        except Exception:  # noqa: BLE001  whatever the client raises, not all of it is known to be durable
            self._fail([record for record in part if not record.durable.done()])
        else:
            self._land([record for record in part if not record.durable.done()])
        finally:
            del self._under_way[partition]
            if partition in self._waiting:
                self._leave_soon()

    def _batches(self, records: Sequence[Record]) -> Iterator[Batch]:
        """One, unless it is full before the last record."""
        batch = self._producer.create_batch()
        for record in records:
            if _appended(batch, record) is None:
                yield batch
                batch = self._producer.create_batch()
                _appended(batch, record)
        yield batch

    def _land(self, records: Sequence[Record]) -> None:
        self._landed(records)
        for record in records:
            record.durable.set_result(None)

    def _fail(self, records: Sequence[Record]) -> None:
        if records:
            self._missed(records)
        for record in records:
            record.durable.set_exception(NotRecorded())


def _appended(batch: Batch, record: Record) -> Any:
    return batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)


_hashed = lru_cache(10_000)(murmur2)
"""As every Kafka client places a key: what is sent beside the batches lands in the same partition."""
