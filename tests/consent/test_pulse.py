"""Whether a reader makes progress: its position against the ends of its partitions, asked of the broker."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition

from chassis.causes import PartFailure
from consent import subscribers
from consent.subscribers import _Pulse

ONE, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)


class Consumer:
    """Two partitions, where it is in them, where they end, and which of them wait for a part."""

    def __init__(self) -> None:
        self.at = {ONE: 5, OTHER: 3}
        self.ends = {ONE: 5, OTHER: 3}
        self.held: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return set(self.at)

    def paused(self) -> set[TopicPartition]:
        return self.held

    async def position(self, tp: TopicPartition) -> int:
        return self.at[tp]

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.ends[tp] for tp in tps}


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(subscribers, "_PATIENCE", 0.3)
    monkeypatch.setattr(subscribers, "_ASK_EVERY", 0.0)
    return Consumer()


async def for_a_while(pulse: _Pulse, consumer: Any, seconds: float) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        assert await pulse.beats(consumer)
        await asyncio.sleep(0.01)


async def test_who_is_behind_and_does_not_move_is_made_anew(consumer: Any) -> None:
    pulse = _Pulse()
    await for_a_while(pulse, consumer, 0.6)  # at its ends it may stay for ever
    consumer.ends[ONE] = 9
    assert await pulse.beats(consumer), "what has only just come is no trouble"
    with pytest.raises(PartFailure, match="no progress"):
        await for_a_while(pulse, consumer, 5.0)


async def test_who_moves_however_slowly_goes_on(consumer: Any) -> None:
    pulse = _Pulse()
    consumer.ends[ONE] = 10_000
    for _ in range(8):
        consumer.at[ONE] += 1
        await for_a_while(pulse, consumer, 0.1)


async def test_what_delivery_holds_is_its_own_to_tell(consumer: Any) -> None:
    pulse = _Pulse()
    consumer.ends[OTHER], consumer.held = 9, {OTHER}
    await for_a_while(pulse, consumer, 0.6)
