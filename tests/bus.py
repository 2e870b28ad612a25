"""A place on the real broker for one test: topics of its own, what is put there, and what comes out."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.kafka import client_options, make_producer
from chassis.settings import Settings
from tests import stack

Record: TypeAlias = ConsumerRecord[bytes, bytes]


async def until(true: Callable[[], object], within: float = 20.0) -> None:
    """Wait until it is true; it must be within so many seconds."""
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.02)


def settings_for(kafka: stack.Kafka, database_url: str) -> Settings:
    """Settings of a process that reaches the test's broker and database."""
    key = base64.b64encode(b"k" * 32).decode()
    given: dict[str, Any] = {"database_url": database_url, "inner_key": key, **kafka.settings}
    return Settings(**given)


@dataclass
class Bus:
    """A producer and an admin on the real broker; topics made here are deleted at the end."""

    settings: Settings
    kafka: stack.Kafka
    producer: AIOKafkaProducer
    admin: AIOKafkaAdminClient
    made: list[str] = field(default_factory=list)

    def topic(self, name: str = "messages", partitions: int = 3) -> str:
        """A fresh topic with its dead-letter topic."""
        topic = f"{name}.{uuid4().hex[:10]}"
        for one in (topic, f"{topic}.dlq"):
            self.kafka.make_topic(one, partitions)
            self.made.append(one)
        return topic

    async def real_topic(self, topic: str, partitions: int = 12) -> None:
        """Make a topic of the real name, with its dead letters, where it is missing. It is shared, and stays."""
        for one, number in ((topic, partitions), (f"{topic}.dlq", 1)):
            if (await self.admin.describe_topics([one]))[0]["error_code"]:
                self.kafka.make_topic(one, number)

    async def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Where a shared topic ends now: what a test puts there comes after it."""
        options = client_options(self.settings)
        reader = AIOKafkaConsumer(**options, isolation_level="read_committed")
        await reader.start()
        try:
            partitions = (await self.admin.describe_topics([topic]))[0]["partitions"]
            return dict(await reader.end_offsets([TopicPartition(topic, one["partition"]) for one in partitions]))
        finally:
            await reader.stop()

    async def alone(self, group: str, within: float = 40.0) -> None:
        """Wait until the group is stable with one member: one that was ended keeps its partitions for a while."""
        end = time.monotonic() + within
        while True:
            (answer,) = await self.admin.describe_consumer_groups([group])
            _, _, state, _, _, members, *_ = answer.groups[0]
            if state == "Stable" and len(members) == 1:
                return
            assert time.monotonic() < end, f"{group} has {len(members)} members and is {state}"
            await asyncio.sleep(0.1)

    async def put(
        self, topic: str, body: bytes, *, kind: str, key: str = "k", partition: int | None = None, **more: bytes
    ) -> str:
        """Send one record; returns its ce_id."""
        event = str(uuid4())
        headers = {"ce_id": event.encode(), "ce_type": kind.encode(), "content-type": b"application/json"} | more
        pairs = list(headers.items())
        await self.producer.send_and_wait(topic, body, key=key.encode(), partition=partition, headers=pairs)
        return event

    async def records(
        self, topic: str, count: int, within: float = 10.0, *, since: dict[TopicPartition, int] | None = None,
        wanted: Callable[[Record], bool] = lambda _: True,
    ) -> list[Record]:  # fmt: skip
        """The first `count` wanted records of a topic, or fewer when no more came within so many seconds."""
        options = client_options(self.settings) | {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        reader = AIOKafkaConsumer(**options, isolation_level="read_committed")
        await reader.start()
        try:
            found: list[Record] = []
            partitions = (await self.admin.describe_topics([topic]))[0]["partitions"]
            reader.assign([TopicPartition(topic, one["partition"]) for one in partitions])
            for place, offset in (since or {}).items():
                reader.seek(place, offset)
            end = time.monotonic() + within
            while len(found) < count and time.monotonic() < end:
                for some in (await reader.getmany(timeout_ms=200)).values():
                    found.extend(one for one in some if wanted(one))
            return found
        finally:
            await reader.stop()

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """The group's committed offset by partition."""
        offsets = await self.admin.list_consumer_group_offsets(group)
        return {tp.partition: meta.offset for tp, meta in offsets.items() if tp.topic == topic}


@asynccontextmanager
async def open_bus(kafka: stack.Kafka, database_url: str) -> AsyncIterator[Bus]:
    """A bus for one test."""
    settings = settings_for(kafka, database_url)
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    producer = make_producer(settings)
    await producer.start()
    bus = Bus(settings, kafka, producer, admin)
    try:
        yield bus
    finally:
        await producer.stop()
        if bus.made:
            await admin.delete_topics(bus.made)
        await admin.close()
