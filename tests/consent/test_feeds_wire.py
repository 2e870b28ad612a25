"""On a real Kafka: access records reach the ledger once, bad ones the dead letters; the directory is followed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events
from chassis.clock import Clock
from chassis.delivery import Delivery
from chassis.health import Health
from chassis.kafka import make_producer
from consent import storage
from consent.settings import Settings
from consent.subscribers import DIRECTORY, LEDGER, DirectoryFeed, LedgerFeed
from tests.bus import Bus, open_bus, until
from tests.consent.callers import NAMES
from tests.stack import Kafka

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def bus(kafka: Kafka, settings: Settings) -> AsyncIterator[Bus]:
    async with open_bus(kafka, settings.database_url.get_secret_value()) as found:
        yield found


def look(subject: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "at": "2026-11-22T12:00:00.000Z", "subject": subject,
        "actor": {"kind": "staff", "id": "staff-1", "services": ["police"], "role": "professional", "agency": "police"},
        "route": "logbook.list-items", "action": "read", "categories": ["school"], "grants": ["g"], "basis": "grant",
        "purpose": "follow-up", "outcome": "answered", "reason": None,
    } | changes  # fmt: skip


async def send(bus: Bus, topic: str, *records: dict[str, Any], kind: str = "access.recorded.v1") -> None:
    for data in records:
        key = str(data.get("subject") or "nobody")
        event = events.new_event("gateway", kind, key, data, datetime.now(UTC))
        await bus.producer.send_and_wait(topic, events.value(event), key.encode(), headers=events.headers(event))


@asynccontextmanager
async def running(bus: Bus, engine: Any, topic: str, group: str, health: Health) -> AsyncIterator[None]:
    feed = LedgerFeed(bus.settings, engine, NAMES, Delivery("consent"), health, lambda: None, topic=topic, group=group)
    task = asyncio.create_task(feed.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ledger_of(engine: AsyncEngine, *subjects: str) -> list[str]:
    async with engine.connect() as conn:
        query = text("SELECT id FROM ledger WHERE subject::text = ANY(:s) ORDER BY chain, sequence")
        return [row[0] for row in await conn.execute(query, {"s": list(subjects)})]


async def soon(engine: AsyncEngine, count: int, *subjects: str) -> None:
    """Until the ledger has so many records of these subjects."""
    for _ in range(300):
        if len(await ledger_of(engine, *subjects)) >= count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{len(await ledger_of(engine, *subjects))} of {count} records came")


async def test_every_record_is_in_the_ledger_once_in_its_order(bus: Bus, engine: AsyncEngine) -> None:
    topic, health, subjects = bus.topic("access"), Health(LEDGER), [str(uuid4()) for _ in range(3)]
    records = [look(subject) for subject in subjects for _ in range(20)]
    doubled = [one for one in records for _ in range(2)]
    await send(bus, topic, *doubled)
    async with running(bus, engine, topic, topic, health):
        await soon(engine, 60, *subjects)
        await until(lambda: not health.reasons())
    for subject in subjects:
        assert await ledger_of(engine, subject) == [one["id"] for one in records if one["subject"] == subject]


async def test_after_a_restart_nothing_is_doubled_and_nothing_is_missing(bus: Bus, engine: AsyncEngine) -> None:
    topic, subject = bus.topic("access"), str(uuid4())
    first, second = [look(subject) for _ in range(5)], [look(subject) for _ in range(5)]
    await send(bus, topic, *first)
    async with running(bus, engine, topic, "lost-" + topic, Health()):
        await soon(engine, 5, subject)
    await send(bus, topic, *second)
    async with running(bus, engine, topic, "again-" + topic, Health()):  # another group: no offset was ever committed
        await soon(engine, 10, subject)
    assert await ledger_of(engine, subject) == [one["id"] for one in first + second]


async def test_what_cannot_be_read_goes_to_the_dead_letters_with_its_reason_and_holds_up_nothing(
    bus: Bus, engine: AsyncEngine
) -> None:
    topic, subject, health = bus.topic("access", 1), str(uuid4()), Health(LEDGER)
    before, after = look(subject), look(subject)
    await send(bus, topic, before, look(subject, at="yesterday"))
    await bus.producer.send_and_wait(topic, b"not json", b"k", headers=[("ce_type", b"access.recorded.v1")])
    await send(bus, topic, {"anything": 1}, kind="access.from-the-future.v1")
    await send(bus, topic, after)
    async with running(bus, engine, topic, topic, health):
        await soon(engine, 2, subject)
        letters = await bus.records(f"{topic}.dlq", 2)
        for _ in range(100):
            if await bus.committed(topic, topic) == {0: 5}:
                break
            await asyncio.sleep(0.1)
    assert await ledger_of(engine, subject) == [before["id"], after["id"]]
    assert await bus.committed(topic, topic) == {0: 5}
    reasons = sorted(dict(one.headers)["dlq_reason"].decode() for one in letters)
    assert "string_pattern_mismatch at at" in reasons[1]
    assert "BadEvent" in reasons[0]
    assert "yesterday" not in str(reasons)


class Failing:
    """An engine whose database is away for the first tries."""

    def __init__(self, engine: AsyncEngine, times: int) -> None:
        self._engine, self.left = engine, times

    def begin(self) -> Any:
        if self.left > 0:
            self.left -= 1
            raise OperationalError("", {}, ConnectionRefusedError())
        return self._engine.begin()


async def test_a_database_that_is_away_is_waited_for_and_shows(bus: Bus, engine: AsyncEngine) -> None:
    topic, subject, health = bus.topic("access", 1), str(uuid4()), Health(LEDGER)
    records = [look(subject) for _ in range(3)]
    await send(bus, topic, *records)
    failing = Failing(engine, 3)
    async with running(bus, failing, topic, topic, health):
        await until(lambda: health.reasons().get(LEDGER) == "OperationalError")
        await soon(engine, 3, subject)
        await until(lambda: not health.reasons())
    assert failing.left == 0
    assert await ledger_of(engine, subject) == [one["id"] for one in records]
    assert await bus.records(f"{topic}.dlq", 1, within=1.0) == []


async def test_only_the_record_that_the_database_turns_down_is_set_aside(
    bus: Bus, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consent.handlers import ledger

    topic, subject = bus.topic("access", 1), str(uuid4())
    records = [look(subject) for _ in range(3)]
    real = ledger.append

    async def picky(conn: Any, names: Any, found: Any) -> int:
        if any(one.id == records[1]["id"] for one in found):
            await conn.exec_driver_sql("SELECT 1/0")
        return await real(conn, names, found)

    monkeypatch.setattr("consent.subscribers.ledger.append", picky)
    await send(bus, topic, *records)
    async with running(bus, engine, topic, topic, Health()):
        await soon(engine, 2, subject)
        [letter] = await bus.records(f"{topic}.dlq", 1)
    assert await ledger_of(engine, subject) == [records[0]["id"], records[2]["id"]]
    assert json.loads(letter.value or b"")["id"] == records[1]["id"]


async def test_the_directory_is_followed_through_transactions_and_barriers(bus: Bus, engine: AsyncEngine) -> None:
    topic, name, health = bus.topic("directory-state", 1), f"c-{uuid4().hex[:8]}", Health(DIRECTORY)
    producer = make_producer(bus.settings, transactional_id=f"test-{topic}")
    await producer.start()

    async def publish(version: int, *, barrier: bool = False) -> None:
        data: dict[str, Any] = {"version": version, "kind": "category", "id": name, "special": False}
        event = events.new_event(
            "directory", "directory.state.v1", f"category:{name}", data, datetime.now(UTC), version=version
        )
        async with producer.transaction():
            await producer.send_and_wait(topic, events.value(event), event.key.encode(), headers=events.headers(event))
            if barrier:
                await producer.send_and_wait(topic, b'{"epoch":1}', b"!barrier", headers=[])

    async def held() -> int:
        async with engine.connect() as conn:
            return (await storage.held_entry(conn, "category", name))[0]

    try:
        await publish(1, barrier=True)
        feed = DirectoryFeed(bus.settings, engine, Clock(), health, topic=topic)
        task = asyncio.create_task(feed.run())
        try:
            await until(lambda: not health.reasons())
            assert await held() == 1
            await publish(2)
            for _ in range(100):
                if await held() == 2:
                    break
                await asyncio.sleep(0.05)
            assert await held() == 2
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        await producer.stop()
    assert await bus.ends(topic) == {TopicPartition(topic, 0): 5}
