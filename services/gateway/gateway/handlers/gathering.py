"""Records on their way to Kafka: those that come together leave together, and the busier, the more."""

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from aiokafka.partitioner import murmur2

# A request costs broker and gateway as much as ten records do. One that comes alone leaves at once; the more left
# together last, the longer the next ones wait for each other, and no longer than an owner takes to answer.
_EACH_SECONDS = 0.0015
_LONGEST_SECONDS = 0.012


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
_Waiting: TypeAlias = tuple[float, Record]
"""A record, and the moment of the loop's clock after which it counts as not recorded."""


class Gathering:
    """Sends records, those of one key in their order. aiokafka never gives a batch up, so each has a deadline here.

    Of each partition one batch is under way at a time: one that has no leader holds up its own records and no others.
    seconds: from `add` until a record counts as not recorded. landed, failed: told of the records, before those who
    wait for them.
    """

    def __init__(self, producer: Batches, topic: str, seconds: float, landed: Told, failed: Told) -> None:
        self._producer, self._topic, self._seconds = producer, topic, seconds
        self._landed, self._failed = landed, failed
        self._count = 0
        self._early: list[_Waiting] = []
        self._waiting: dict[int, list[_Waiting]] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._learning: asyncio.Task[None] | None = None
        self._leaving: asyncio.Handle | None = None
        self._left, self._left_at = 0, float("-inf")

    def add(self, record: Record) -> None:
        """It leaves with the next batch of its partition."""
        waiting = asyncio.get_running_loop().time() + self._seconds, record
        if self._count:
            self._line_up(waiting)
            return
        self._early.append(waiting)
        if self._learning is None:
            self._learning = asyncio.create_task(self._learn())

    async def close(self) -> None:
        """Nothing waits for others any more; returns when all has landed or failed by its deadline."""
        while True:
            if self._leaving is not None:
                self._leaving.cancel()
                self._leave()
            under_way = [*self._under_way.values(), *([] if self._learning is None else [self._learning])]
            if not under_way:
                return
            await asyncio.wait(under_way)

    async def _learn(self) -> None:
        """How many partitions there are: asked once, since a partition that came later takes nothing away."""
        early: Sequence[_Waiting]
        try:
            async with asyncio.timeout(self._seconds):
                self._count = len(await self._producer.partitions_for(self._topic))
        except Exception:  # noqa: BLE001  whatever the client raises, nothing is durable
            early, self._early = self._early, []
            self._fail([record for _, record in early])
        else:
            early, self._early = self._early, []
            for waiting in early:
                self._line_up(waiting)
        finally:
            self._learning = None

    def _line_up(self, waiting: _Waiting) -> None:
        partition = (_hashed(waiting[1].key) & 0x7FFFFFFF) % self._count
        self._waiting.setdefault(partition, []).append(waiting)
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

    async def _send(self, partition: int, part: Sequence[_Waiting]) -> None:
        records = [record for _, record in part]
        try:
            async with asyncio.timeout_at(part[0][0]):
                for batch in self._batches(records):
                    await (await self._producer.send_batch(batch, self._topic, partition=partition))
        except Exception:  # noqa: BLE001  whatever the client raises, not all of it is known to be durable
            self._fail(records)
        else:
            self._landed(records)
            for record in records:
                if not record.durable.done():
                    record.durable.set_result(None)
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

    def _fail(self, records: Sequence[Record]) -> None:
        self._failed(records)
        for record in records:
            if not record.durable.done():
                record.durable.set_exception(NotRecorded())


def _appended(batch: Batch, record: Record) -> Any:
    return batch.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)


_hashed = lru_cache(10_000)(murmur2)
"""As every Kafka client places a key: what is sent beside the batches lands in the same partition."""
