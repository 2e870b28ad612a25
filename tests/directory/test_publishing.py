"""The publisher on a real Kafka: order, restart, take-over, fencing, and when it must keep silent."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ProducerFenced
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.events import Event, decode
from chassis.health import Health
from chassis.kafka import make_producer
from directory import storage
from directory.api.document import DocumentIn
from directory.handlers import districts
from directory.handlers.publishing import PART, Publisher
from directory.messages import DirectoryState
from directory.settings import Settings
from directory.storage import Change
from tests import stack
from tests.directory.conftest import NURSE, Make

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHANGE = Change("tester", NOW)
Compact = {"cleanup.policy": "compact", "min.compaction.lag.ms": "3600000"}


@dataclass(slots=True)
class Bus:
    """The state topic of one test, its publishers, and what lies on it."""

    kafka: stack.Kafka
    settings: Settings
    engine: AsyncEngine
    topic: str
    health: Health = field(default_factory=lambda: Health(PART))

    def publisher(self, health: Health | None = None) -> Publisher:
        """One more replica's publisher."""
        return Publisher(self.settings, self.engine, health or self.health, self.topic, f"directory-{self.topic}")

    @asynccontextmanager
    async def publishing(self, health: Health | None = None) -> AsyncIterator[None]:
        """A publisher runs meanwhile."""
        task = asyncio.create_task(self.publisher(health).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def load(self, document: dict[str, Any]) -> int:
        """Load the district; how many entries changed."""
        parsed = DocumentIn.model_validate(document).document("gamlebyen")
        inviting = districts.Inviting(b"secret", timedelta(days=1))
        async with self.engine.begin() as conn:
            return (await districts.load(conn, parsed, CHANGE, inviting, synthetic=True)).changed

    async def save(self, number: int) -> None:
        """Change one category."""
        async with self.engine.begin() as conn:
            body = {"special": False, "names": {"nb": str(number)}}
            await storage.save(conn, "category", "school", CHANGE, body=body)

    async def published(self) -> None:
        """Wait until everything that was changed is marked as published."""
        table = storage.entity

        async def done() -> bool:
            async with self.engine.connect() as conn:
                return not await conn.scalar(select(func.count()).where(table.c.version > table.c.published))

        await until(done)

    async def events(self) -> list[Event]:
        """Every committed record of the topic, in its order."""
        partition = TopicPartition(self.topic, 0)
        consumer = AIOKafkaConsumer(**self.kafka.options, isolation_level="read_committed", enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            end = (await consumer.end_offsets([partition]))[partition]
            found: list[Event] = []
            while await consumer.position(partition) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [decode(record.key, record.value, record.headers) for record in records]
            return found
        finally:
            await consumer.stop()


async def until(done: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Wait for it; a TimeoutError when it does not come."""
    async with asyncio.timeout(seconds):
        while not await done():
            await asyncio.sleep(0.05)


@pytest.fixture
async def bus(kafka: stack.Kafka, make_settings: Make, engine: AsyncEngine) -> Bus:
    """A fresh topic and a fresh database."""
    return Bus(kafka, make_settings(**kafka.settings), engine, kafka.fresh_topic(1, Compact, name="directory.state"))


def _key(event: Event) -> tuple[str, int | None]:
    return event.key, event.version


async def test_a_loaded_district_is_published_whole_and_without_names(bus: Bus, document: dict[str, Any]) -> None:
    async with bus.publishing():
        changed = await bus.load(document)
        await bus.published()
    found = await bus.events()
    assert len(found) == changed - 1, "all but the guide, which is read over HTTP"
    assert len({event.key for event in found}) == len(found) and {event.version for event in found} == {1}
    for event in found:
        state = DirectoryState.model_validate(event.data).root
        assert event.key == f"{state.kind}:{state.id}" and event.type == "directory.state.v1"
        assert event.source == "/samlogg/directory" and event.version == state.version
    kinds = [event.key.split(":")[0] for event in found]
    assert kinds == sorted(kinds, key=["category", "agency", "service", "staff", "district"].index)
    everything = json.dumps([dict(event.data) for event in found], ensure_ascii=False)
    assert not [member["name"] for member in document["staff"] if member["name"].split()[0] in everything]
    assert bus.health.reasons() == {}


async def test_a_district_that_is_loaded_twice_is_published_once(bus: Bus, document: dict[str, Any]) -> None:
    async with bus.publishing():
        await bus.load(document)
        await bus.published()
        before = await bus.events()
        assert await bus.load(document) == 0
        await asyncio.sleep(1.2)
    assert len(await bus.events()) == len(before)


async def test_changes_of_one_entry_are_published_in_their_order_also_over_restarts(bus: Bus) -> None:
    for part in range(3):
        async with bus.publishing():
            for number in range(5):
                await bus.save(part * 10 + number)
            await bus.published()
        await bus.save(part * 10 + 9)
    async with bus.publishing():
        await bus.published()
    versions = [event.version for event in await bus.events()]
    assert versions == sorted(set(versions)), "never an older state after a newer, and none twice"  # type: ignore[type-var]
    assert versions[-1] == 18


async def test_a_crash_before_the_mark_repeats_the_state_under_the_same_id(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise OSError("killed")

    await bus.save(1)
    monkeypatch.setattr(storage, "mark_published", crash)
    async with bus.publishing():

        async def there() -> bool:
            return bool(await bus.events())

        await until(there)
    monkeypatch.undo()
    async with bus.publishing():
        await bus.published()
    found = await bus.events()
    assert len(found) >= 2 and {_key(event) for event in found} == {("category:school", 1)}
    assert len({event.id for event in found}) == 1
    async with bus.engine.connect() as conn:
        row = await storage.find(conn, "category", "school")
    assert row is not None and row["position"] > 0


async def test_one_replica_publishes_and_the_other_takes_over(bus: Bus) -> None:
    second = Health(PART)
    async with bus.publishing():
        await bus.save(1)
        await bus.published()
        async with bus.publishing(second):

            async def waiting() -> bool:
                return second.reasons() == {}

            await until(waiting)
            await bus.save(2)
            await bus.published()
    async with bus.publishing(second):
        await bus.save(3)
        await bus.published()
    assert [event.version for event in await bus.events()] == [1, 2, 3]


async def test_a_publisher_that_was_paused_is_fenced_and_marks_nothing(bus: Bus) -> None:
    paused = bus.publisher()
    producer = make_producer(bus.settings, transactional_id=f"directory-{bus.topic}")
    await producer.start()
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the client tells the fencing once more, late
    try:
        await bus.save(1)
        async with bus.publishing():
            await bus.published()
        await bus.save(2)
        with pytest.raises(ProducerFenced):
            await paused._publish_batch(producer)
    finally:
        await producer.stop()
        gc.collect()
    assert [event.version for event in await bus.events()] == [1]
    async with bus.engine.connect() as conn:
        row = await storage.find(conn, "category", "school")
    assert row is not None and (row["version"], row["published"]) == (2, 1)


async def _keeps_silent(bus: Bus) -> str:
    async with bus.publishing():

        async def alarmed() -> bool:
            return "topic" in bus.health.reasons().get(PART, "")

        await until(alarmed)
    return bus.health.reasons()[PART]


async def test_a_restored_database_publishes_nothing_and_raises_the_alarm(bus: Bus) -> None:
    async with bus.publishing():
        for number in range(3):
            await bus.save(number)
            await bus.published()
    async with bus.engine.begin() as conn:
        await conn.execute(update(storage.entity).values(version=2, published=1))
    assert "newer on the topic" in await _keeps_silent(bus)
    async with bus.engine.begin() as conn:
        await conn.execute(delete(storage.entity))
    assert "newer on the topic" in await _keeps_silent(bus)
    assert [event.version for event in await bus.events()] == [1, 2, 3]


async def test_what_the_topic_has_lost_is_published_again(bus: Bus) -> None:
    await bus.save(1)
    async with bus.engine.begin() as conn:
        await conn.execute(update(storage.entity).values(published=1, position=7))
    async with bus.publishing():

        async def there() -> bool:
            return bool(await bus.events())

        await until(there)
    async with bus.engine.begin() as conn:
        await storage.move_horizon(conn, bus.topic, 99)
    assert "ends before" in await _keeps_silent(bus)


async def test_barriers_of_others_on_the_topic_do_not_disturb(bus: Bus) -> None:
    barrier = [
        ("ce_id", b"x"), ("ce_type", b"consent.barrier.v1"), ("ce_source", b"/samlogg/consent"),
        ("ce_time", b"2026-11-22T12:00:00Z"), ("ce_dataclassification", b"restricted"),
    ]  # fmt: skip
    await bus.save(1)
    async with bus.publishing():
        await bus.published()
    producer = make_producer(bus.settings)
    await producer.start()
    await producer.send_and_wait(bus.topic, key=b"!barrier", value=b'{"epoch":1}', headers=barrier)
    await producer.stop()
    async with bus.publishing():
        await bus.save(2)
        await bus.published()
    assert [_key(event)[0] for event in await bus.events()] == ["category:school", "!barrier", "category:school"]


async def test_the_identity_of_somebody_who_has_left_is_not_told(bus: Bus, document: dict[str, Any]) -> None:
    await bus.load(document)
    async with bus.engine.begin() as conn:
        await storage.save(conn, "staff", NURSE, CHANGE, identity="ab" * 32)
    async with bus.publishing():
        await bus.published()
        async with bus.engine.begin() as conn:
            await storage.save(conn, "staff", NURSE, CHANGE, active=False)
        await bus.published()
    states = [event.data for event in await bus.events() if event.key == f"staff:{NURSE}"]
    assert [(state["version"], state["active"], state["identity"]) for state in states] == [
        (2, True, "ab" * 32), (3, False, None),
    ]  # fmt: skip
