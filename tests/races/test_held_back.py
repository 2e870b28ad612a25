"""A look whose answer was held back says so as soon as the broker is there again; after a kill it counts as a look."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer

from gateway.handlers.records import TOPIC
from gateway.model.handles import agency_audience
from local_stack.kafka import answers
from tests import stack
from tests.gateway.door_parts import grant
from tests.gateway.test_door_kafka_down import gateway_process, process_of


@pytest.fixture
def own_kafka() -> Iterator[stack.Kafka]:
    """A broker of this test's own, because it is stopped in the middle."""
    with stack.Local().kafka() as broker:
        yield broker


@dataclass
class Seen:
    """The access topic, followed: when each answered look and each `held-back` came, by the look's id."""

    looks: dict[str, float] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)

    async def follow(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            kind, value = dict(record.headers)["ce_type"], json.loads(record.value)
            if kind == b"access.held-back.v1":
                self.held.setdefault(value["record"], time.monotonic())
            elif value["outcome"] == "answered":
                self.looks.setdefault(value["id"], time.monotonic())


@asynccontextmanager
async def following(kafka: stack.Kafka) -> AsyncIterator[Seen]:
    """Everything on the topic from now on."""
    consumer = AIOKafkaConsumer(TOPIC, **kafka.options, auto_offset_reset="earliest", fetch_max_wait_ms=20)
    await consumer.start()
    seen = Seen()
    task = asyncio.create_task(seen.follow(consumer))
    try:
        yield seen
    finally:
        task.cancel()
        await consumer.stop()


async def reachable(kafka: stack.Kafka) -> float:
    """When the broker answers somebody who comes anew."""
    port = int(kafka.bootstrap.rsplit(":", 1)[1])
    while not await asyncio.to_thread(answers, port):
        await asyncio.sleep(0.01)
    return time.monotonic()


async def until(check: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not check() and time.monotonic() < end:
        await asyncio.sleep(0.01)


async def test_what_was_held_back_says_so_within_a_second_and_after_a_kill_it_counts(
    own_kafka: stack.Kafka, postgres: stack.Postgres, tmp_path: Path
) -> None:
    async with gateway_process(own_kafka, postgres, tmp_path) as (running, child), following(own_kafka) as seen:
        path = f"/subjects/{running.handle(agency_audience('police'))}/items"
        await running.state(grant("g1", "service:police-1", ["school"]))
        await running.until(path, 200)
        await until(lambda: seen.looks, 10)
        before = set(seen.looks)
        broker = process_of(own_kafka)

        broker.send_signal(signal.SIGSTOP)
        try:
            told = await asyncio.gather(*(running.get(path) for _ in range(5)))
        finally:
            broker.send_signal(signal.SIGCONT)
        assert {status for status, _ in told} == {503}
        back = await reachable(own_kafka)
        await until(lambda: len(seen.held) == 5 == len(seen.looks.keys() - before), 10)
        assert seen.held.keys() == seen.looks.keys() - before, (
            "each look that landed, and no other, says it was held back"
        )
        assert max(seen.held.values()) < back + 1.0

        await running.until(path, 200, within=30)
        await asyncio.sleep(0.5)
        before = set(seen.looks)
        broker.send_signal(signal.SIGSTOP)
        try:
            asking = asyncio.create_task(running.get(path))
            await asyncio.sleep(0.5)
            child.kill()
        finally:
            broker.send_signal(signal.SIGCONT)
        with pytest.raises(aiohttp.ClientError):
            await asking
        await until(lambda: seen.looks.keys() - before, 20)
        await asyncio.sleep(1.0)
        [landed] = seen.looks.keys() - before
        assert landed not in seen.held
