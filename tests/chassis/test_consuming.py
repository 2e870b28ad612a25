"""The consumer that runs the typed handlers is made anew when its position cannot be had."""

import asyncio
from typing import Any

import pytest
from faststream.kafka import KafkaBroker

from chassis import consuming
from chassis.health import Health


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
