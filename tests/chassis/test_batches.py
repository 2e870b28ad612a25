"""Reading in batches on a real Kafka: some in one go, and of what fails only that is set aside, or waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain

import pytest
from aiokafka import AIOKafkaConsumer

from chassis.batches import Batches, Record
from chassis.consuming import PART, consume
from chassis.delivery import Delivery, Limits, PartFailure
from chassis.events import BadEvent
from chassis.health import Health
from tests.bus import Bus, open_bus, until
from tests.stack import Kafka, Postgres

Handle = Callable[[Sequence[int]], Awaitable[None]]


@dataclass
class Probe:
    """A bus with one topic of three partitions, and a reader of it in batches."""

    bus: Bus
    topic: str

    async def put(self, *numbers: int, partition: int = 0) -> None:
        for n in numbers:
            await self.bus.put(self.topic, json.dumps(n).encode(), kind="probe.v1", partition=partition)

    async def letters(self, count: int, within: float = 10.0) -> list[int]:
        return [json.loads(one.value or b"") for one in await self.bus.records(f"{self.topic}.dlq", count, within)]

    async def committed(self) -> dict[int, int]:
        return await self.bus.committed(f"{self.topic}.group", self.topic)

    @asynccontextmanager
    async def reading(self, delivery: Delivery, handle: Handle) -> AsyncIterator[Health]:
        """Zeroes are for somebody else; numbers below zero cannot be read."""

        def read(record: Record) -> int | None:
            n = int(json.loads(record.value or b""))
            if n < 0:
                raise BadEvent("below zero")
            return n or None

        async def take(found: Sequence[int], _: AIOKafkaConsumer) -> None:
            await handle(found)

        def make() -> Batches[int]:
            return Batches(self.bus.settings, [self.topic], f"{self.topic}.group", delivery, read, take)

        health = Health(PART)
        task = asyncio.create_task(consume(self.bus.settings, delivery, make, health))
        try:
            yield health
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def probe(kafka: Kafka, postgres: Postgres) -> AsyncIterator[Probe]:
    async with open_bus(kafka, postgres.fresh_database("batches")) as bus:
        yield Probe(bus, bus.topic("batches", 3))


async def test_what_waits_is_handled_in_one_go_in_its_order_and_committed(probe: Probe) -> None:
    goes: list[list[int]] = []

    async def handle(found: Sequence[int]) -> None:
        goes.append(list(found))

    await probe.put(*range(40))
    async with probe.reading(Delivery("probe"), handle) as health:
        await until(lambda: list(chain(*goes)) == list(range(1, 40)))
        await until(lambda: not health.reasons())
        assert len(goes) < 10
        assert (await probe.committed())[0] == 40
        await probe.put(40, 41)
        await until(lambda: list(chain(*goes))[-2:] == [40, 41])


async def test_of_a_batch_only_what_is_to_blame_is_set_aside(probe: Probe) -> None:
    kept: list[int] = []

    async def handle(found: Sequence[int]) -> None:
        if 7 in found:
            raise ValueError
        kept.extend(found)

    await probe.put(1, 2, -3, 4, 5, 6, 7, 8, 9)
    async with probe.reading(Delivery("probe"), handle):
        await until(lambda: kept == [1, 2, 4, 5, 6, 8, 9])
        assert await probe.letters(2) == [-3, 7]
        await probe.put(10)
        await until(lambda: kept[-1] == 10)
    assert (await probe.committed())[0] == 10
    assert await probe.letters(3, within=1.0) == [-3, 7]


async def test_what_a_part_holds_up_waits_with_what_comes_after_it_and_other_partitions_go_on(probe: Probe) -> None:
    away = True
    kept: list[int] = []
    delivery = Delivery("probe", Limits(longest_wait=1.0))

    async def handle(found: Sequence[int]) -> None:
        if away and 3 in found:
            raise PartFailure("the part")
        kept.extend(found)

    await probe.put(1, 2, 3, 4)
    await probe.put(11, 12, 13, partition=1)
    async with probe.reading(delivery, handle) as health:
        await until(lambda: {1, 2, 11, 12, 13} == set(kept))
        await until(lambda: delivery.check() is not None)
        await probe.put(14, partition=1)
        await until(lambda: 14 in kept)
        assert "delivery" in health.reasons()
        assert (await probe.committed())[0] == 2
        away = False
        await until(lambda: 4 in kept)
        assert [n for n in kept if n < 10] == [1, 2, 3, 4]
        await until(lambda: delivery.check() is None)
    assert await probe.letters(1, within=1.0) == []


async def test_too_many_dead_letters_stop_the_topic_and_lose_nothing(probe: Probe) -> None:
    delivery = Delivery("probe", Limits(in_a_row=3))

    async def handle(found: Sequence[int]) -> None:
        raise ValueError(len(found))

    await probe.put(*range(1, 8))
    async with probe.reading(delivery, handle):
        await until(lambda: delivery.stopped(probe.topic))
        await asyncio.sleep(0.5)
        assert await probe.letters(3) == [1, 2, 3]
        assert (await probe.committed())[0] == 3
        await probe.put(8)
        assert await probe.letters(4, within=1.0) == [1, 2, 3]


async def test_what_was_not_done_when_it_was_stopped_comes_again(probe: Probe) -> None:
    kept: list[int] = []
    begun = asyncio.Event()

    async def hangs(found: Sequence[int]) -> None:
        begun.set()
        await asyncio.sleep(60)
        kept.extend(found)

    async def handle(found: Sequence[int]) -> None:
        kept.extend(found)

    await probe.put(1, 2, 3)
    async with probe.reading(Delivery("probe"), hangs):
        await asyncio.wait_for(begun.wait(), 20)
    assert kept == []
    async with probe.reading(Delivery("probe"), handle):
        await until(lambda: kept == [1, 2, 3], 40.0)


async def test_a_reader_that_ends_by_an_error_of_its_own_is_made_anew_and_skips_nothing(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    broken = True
    round_ = Batches._round

    async def handle(found: Sequence[int]) -> None:
        kept.extend(found)

    async def stumbles(self: Batches[int]) -> None:
        if broken:  # with records that it was handed and has not handled
            await self.consumer.getmany(timeout_ms=250)
            raise RuntimeError("unable to perform operation on a closed transport")
        await round_(self)

    monkeypatch.setattr(Batches, "_round", stumbles)
    await probe.put(1, 2, 3)
    async with probe.reading(Delivery("probe"), handle) as health:
        await until(lambda: health.reasons().get(PART) == "KafkaError")
        broken = False
        await until(lambda: kept == [1, 2, 3], 40.0)
        await until(lambda: not health.reasons())
