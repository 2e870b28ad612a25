"""How fast the outbox reaches Kafka, and how soon a committed event is with its consumer."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import MetaData, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events, outbox
from chassis.health import Health
from chassis.kafka import from_beginning
from chassis.settings import Settings
from chassis.storage import make_engine
from tests.bench.report import Figure
from tests.stack import Kafka, Postgres

ROWS = 30_000
KEYS = 500
SINGLE = 300

METADATA = MetaData()
OUTBOX = outbox.outbox_table(METADATA)


def measure(postgres: Postgres, kafka: Kafka) -> Iterator[Figure]:
    """Throughput of the relay with order per key, and p50 from commit to consumer."""
    rate, latency = asyncio.run(_both(postgres.fresh_database("bench"), kafka))
    yield Figure("outbox relay into Kafka", rate, "messages/s", ">= 5000", "15000")
    yield Figure("commit to consumer, p50", latency, "ms", "<= 15", "6")


async def _both(url: str, kafka: Kafka) -> tuple[float, float]:
    engine = make_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(METADATA.create_all)
    try:
        return await _throughput(engine, url, kafka), await _latency(engine, url, kafka)
    finally:
        await engine.dispose()


def _event(number: int) -> events.Event:
    data = {"n": number, "filler": "x" * 150}
    return events.new_event("bench", "bench.done.v1", f"key-{number % KEYS}", data, datetime.now(UTC))


async def _throughput(engine: AsyncEngine, url: str, kafka: Kafka) -> float:
    topic = kafka.fresh_topic(12)
    rows = [outbox._row(topic, _event(number)) for number in range(ROWS)]
    async with engine.begin() as conn:
        await conn.execute(insert(OUTBOX), rows)
    async with _relay(url, kafka):
        began = time.perf_counter()
        async with engine.connect() as conn:
            await conn.execution_options(isolation_level="AUTOCOMMIT")
            while await conn.scalar(text("SELECT EXISTS (SELECT FROM outbox)")):
                await asyncio.sleep(0.02)
        return ROWS / (time.perf_counter() - began)


async def _latency(engine: AsyncEngine, url: str, kafka: Kafka) -> float:
    topic = kafka.fresh_topic(12)
    consumer = AIOKafkaConsumer(**kafka.options)
    await consumer.start()
    taken = []
    try:
        await from_beginning(consumer, [TopicPartition(topic, number) for number in range(12)])
        async with _relay(url, kafka):
            for number in range(SINGLE):
                async with engine.begin() as conn:
                    await outbox.announce(conn, OUTBOX, topic, _event(number))
                committed = time.perf_counter()
                await consumer.getone()
                taken.append(1_000 * (time.perf_counter() - committed))
    finally:
        await consumer.stop()
    return statistics.median(taken[20:])


@contextlib.asynccontextmanager
async def _relay(url: str, kafka: Kafka) -> AsyncIterator[None]:
    given: dict[str, Any] = {"database_url": url, "inner_key": b"k" * 32, **kafka.settings}
    task = asyncio.create_task(outbox.Relay(Settings.model_validate(given), Health()).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
