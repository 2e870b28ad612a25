"""What comes over a real Kafka: the horizon that confirms, and credentials, once each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from faststream import AckPolicy
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import tracing
from chassis.delivery import Delivery
from chassis.events import headers, new_event, value
from chassis.kafka import make_broker
from directory import messages, storage, subscribers
from directory.app import create_app
from directory.handlers import attachments
from directory.settings import Settings
from directory.storage import Change, Published
from tests import stack
from tests.directory.conftest import NURSE, Door, Make
from tests.directory.test_publishing import until

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHANGE = Change("tester", NOW)


class Others:
    """The services that speak to the directory."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def say(self, topic: str, kind: str, data: dict[str, Any], id_: str | None = None) -> None:
        """One event, durable."""
        event = new_event("consent", kind, "horizon", data, NOW)
        named = [pair for pair in headers(event) if pair[0] != "ce_id"] + [("ce_id", (id_ or event.id).encode())]
        await self._producer.send_and_wait(topic, key=b"horizon", value=value(event), headers=named)

    async def horizon(self, position: int) -> None:
        """Everybody able to answer has passed this position of the directory's state."""
        data = {"topic": messages.STATE_TOPIC, "partition": 0, "position": position}
        await self.say(messages.CONSENT_TOPIC, messages.HORIZON_TYPE, data)


@pytest.fixture
def topics(kafka: stack.Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics and a group of this test's own."""
    for name, partitions in (("CONSENT_TOPIC", 2), ("PROVISIONER_TOPIC", 1)):
        topic = kafka.fresh_topic(partitions, name="directory-test")
        kafka.make_topic(f"{topic}.dlq")
        monkeypatch.setattr(messages, name, topic)
    monkeypatch.setattr(subscribers, "GROUP", f"directory-test-{uuid4()}")


@pytest.fixture
async def others(kafka: stack.Kafka, topics: None) -> AsyncIterator[Others]:
    """Somebody to speak to the directory."""
    producer = AIOKafkaProducer(**kafka.options, acks="all", enable_idempotence=True)
    await producer.start()
    yield Others(producer)
    await producer.stop()


@asynccontextmanager
async def _listening(settings: Settings, engine: AsyncEngine) -> AsyncIterator[None]:
    delivery = Delivery("directory")
    broker = make_broker(settings, tracing.setup("directory", "0"), [delivery])
    broker.include_router(subscribers.make_subscribers(settings, engine, lambda: NOW))
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


@pytest.fixture
def settings(make_settings: Make, kafka: stack.Kafka) -> Settings:
    """Settings that lead to the real Kafka."""
    return make_settings(**kafka.settings, confirmation_seconds=15.0)


async def test_a_deactivation_is_confirmed_once_everybody_has_passed_it(
    settings: Settings, engine: AsyncEngine, others: Others, document: dict[str, Any]
) -> None:
    app = create_app(settings, bus=False)
    async with app.router.lifespan_context(app), _listening(settings, engine):
        door = Door(app)

        async def changed() -> bool:
            table = storage.entity
            async with engine.connect() as conn:
                return bool(await conn.scalar(select(func.count()).where(table.c.version > table.c.published)))

        async def publish(position: int) -> None:
            async with engine.begin() as conn:
                rows = (await conn.execute(select(storage.entity))).mappings().all()
                marks = [Published(row["kind"], row["id"], row["version"], position) for row in rows]
                await storage.mark_published(conn, messages.STATE_TOPIC, marks)

        async def told(answer: Any, position: int) -> Any:
            """The answer, while publisher and consent do their part for what is changed."""
            task = asyncio.create_task(answer)
            await until(changed)
            await publish(position)
            await others.say(messages.CONSENT_TOPIC, "consent.granted.v1", {"grant": "none of our business"})
            await others.horizon(position)
            await asyncio.sleep(0.3)
            assert not task.done(), "nobody has passed it yet"
            await others.horizon(position + 1)
            return await task

        await publish(0)  # the first administrator's record, as it stands before anybody has joined
        admin = await told(door.admin(), 10)
        async with admin:
            loaded = await told(admin.put("/districts/gamlebyen", json=document), 20)
            assert loaded.json()["status"] == "confirmed"
            gone = await told(admin.post(f"/staff/{NURSE}/deactivation"), 30)
            assert (gone.status_code, gone.json()["status"]) == (200, "confirmed")
            assert (await admin.get(f"/staff/{NURSE}")).json()["status"] == "confirmed"


async def test_a_credential_is_kept_once_and_the_newest_counts(
    settings: Settings, engine: AsyncEngine, others: Others
) -> None:
    id_, double = str(uuid4()), str(uuid4())
    async with engine.begin() as conn:
        await storage.save(conn, "attachment", id_, CHANGE, body={"agency": "police"}, active=True)

    async def provisioned(sealed: str, event: str | None = None, attachment: str = id_) -> None:
        data = {"attachment": attachment, "user": "agency.x", "sealed": sealed, "more": "of a later version"}
        await others.say(messages.PROVISIONER_TOPIC, messages.PROVISIONED_TYPE, data, event)

    async with _listening(settings, engine):
        await provisioned("first", double)
        await provisioned("second")
        await provisioned("first", double)
        await others.say(messages.PROVISIONER_TOPIC, "attachment.unheard-of.v1", {})
        await provisioned("for nobody", attachment=str(uuid4()))
        await provisioned("last")

        async def handled() -> bool:
            async with engine.connect() as conn:
                return await conn.scalar(select(storage.credential.c.sealed)) == "last"

        await until(handled)
        async with engine.connect() as conn:
            assert await conn.scalar(select(func.count()).select_from(storage.inbox)) == 4
            assert await attachments.has_credential(conn, id_)


async def test_every_subscriber_reads_again_on_error_and_takes_types_it_does_not_know(settings: Settings) -> None:
    app = create_app(settings, bus=False)
    [heard] = app.state.broker.subscribers
    assert heard.ack_policy is AckPolicy.NACK_ON_ERROR
    assert len(heard.calls) == 3 and {topic.name for topic in heard.topics} == {
        messages.PROVISIONER_TOPIC, messages.CONSENT_TOPIC,
    }  # fmt: skip
