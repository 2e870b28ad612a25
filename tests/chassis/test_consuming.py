"""The consumer that runs the typed handlers is made anew when its position cannot be had."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from chassis import consuming
from chassis.health import Health
from tests.bus import until


async def test_a_position_that_never_comes_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: KafkaBroker) -> dict[Any, int]:
        raise TimeoutError

    monkeypatch.setattr(consuming, "_behind", never)
    health = Health(consuming.PART)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consuming.watch_progress(KafkaBroker(), health, every=0.01, patience=0.1), 5)
    assert health.reasons() == {consuming.PART: "TimeoutError"}


async def test_a_kafka_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: KafkaBroker) -> dict[Any, int]:
        raise ConnectionRefusedError

    monkeypatch.setattr(consuming, "_behind", away)
    watch = asyncio.create_task(
        consuming.watch_progress(KafkaBroker(), Health(consuming.PART), every=0.01, patience=0.1)
    )
    await asyncio.sleep(0.5)
    assert not watch.done()
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_a_consumer_that_has_stopped_fetching_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead:
        error_future = asyncio.get_running_loop().create_future()

    class Consumer:
        _fetcher = Dead

    async def at_its_end(_: KafkaBroker) -> dict[Any, int]:
        return {}

    monkeypatch.setattr(consuming, "_behind", at_its_end)
    monkeypatch.setattr(consuming, "_consumers", lambda _: [Consumer])
    monkeypatch.setattr(Consumer, "assignment", lambda: {1}, raising=False)
    health = Health(consuming.PART)
    watch = asyncio.create_task(consuming.watch_progress(KafkaBroker(), health, every=0.01))
    await asyncio.sleep(0.1)
    assert not watch.done() and not health.reasons()
    Dead.error_future.set_result(None)
    with pytest.raises(KafkaError, match="stopped fetching"):
        await asyncio.wait_for(watch, 5)


async def test_a_partition_that_waits_for_its_turn_is_no_trouble_until_it_waits_for_very_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits, other = TopicPartition("t", 0), TopicPartition("t", 1)
    at, moving = {(1, waits): 5, (1, other): 0}, True

    async def behind(_: KafkaBroker) -> dict[Any, int]:
        at[1, other] += moving
        return dict(at)

    monkeypatch.setattr(consuming, "_behind", behind)
    health = Health(consuming.PART)
    watch = asyncio.create_task(consuming.watch_progress(KafkaBroker(), health, every=0.01, patience=0.4))
    await asyncio.sleep(1.5)
    assert health.reasons() == {}, "it is behind, and at work"
    await until(lambda: health.reasons() == {consuming.PART: "no progress: t 0"})
    moving = False
    await until(lambda: health.reasons() == {consuming.PART: "no progress: t 0, t 1"})
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
