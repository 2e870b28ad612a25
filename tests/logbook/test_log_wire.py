"""The whole service on a real Kafka and PostgreSQL: what comes in, what goes out, and a start from nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from chassis import events
from chassis.clock import rfc3339
from logbook import messages
from logbook.app import create_app
from tests.bus import Bus, open_bus
from tests.logbook.callers import DISTRICT, NURSE, SCHOOL, Door, settings_for, staff
from tests.stack import Kafka, Postgres

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def put(bus: Bus, topic: str, kind: str, key: str, data: dict[str, Any], event: str | None = None) -> None:
    made = events.Event(event or str(uuid4()), kind, "/samlogg/test", key, datetime.now(UTC), data)
    await bus.producer.send_and_wait(topic, events.value(made), key=key.encode(), headers=events.headers(made))


async def ready(client: httpx.AsyncClient, within: float = 40.0) -> None:
    answer: Any = None
    for _ in range(int(within / 0.1)):
        answer = await client.get("/ready")
        if answer.status_code == 200:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not ready: {answer.text}")


@asynccontextmanager
async def running(kafka: Kafka, urls: tuple[str, str], replica: str) -> AsyncIterator[httpx.AsyncClient]:
    """The app with its bus, as `python -m logbook` starts it."""
    app = create_app(settings_for(*urls, **kafka.settings, replica=replica))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://logbook") as client,
    ):
        await ready(client)
        yield client


@pytest.fixture
async def bus(kafka: Kafka, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """Topics of this test alone in the place of the service's own."""
    async with open_bus(kafka, postgres.url("postgres")) as found:
        for name, partitions in (("TOPIC", 3), ("CONSENT_EVENTS", 3), ("DIRECTORY_STATE", 1)):
            real, topic = getattr(messages, name), found.topic("logbook-test", partitions)
            monkeypatch.setattr(messages, name, topic)
            monkeypatch.setitem(messages.PUBLISHED, topic, messages.PUBLISHED.get(real, {}))
        yield found


async def test_the_service_lives_on_a_real_bus(bus: Bus, kafka: Kafka, postgres: Postgres) -> None:
    district = {"version": 1, "kind": "district", "id": DISTRICT, "levels": [0, 1], "settings": {"log_from_level": 1}}
    await put(bus, messages.DIRECTORY_STATE, "consent.barrier.v1", "!barrier", {"epoch": 1})
    await put(bus, messages.DIRECTORY_STATE, messages.DIRECTORY_CHANGED, f"district:{DISTRICT}", district)
    urls = (postgres.fresh_database("logbook_wire"), postgres.fresh_database("logbook_wire_keys"))
    subject, replica = str(uuid4()), uuid4().hex[:8]
    grant = {
        "grant": str(uuid4()), "subject": subject, "recipient": f"service:{SCHOOL}", "categories": ["school"],
        "actions": ["read", "contribute"], "from": rfc3339(datetime.now(UTC) - timedelta(hours=1)), "until": None,
    }  # fmt: skip
    nurse = staff(NURSE)
    async with running(kafka, urls, replica) as client:
        door = Door(client)
        door.subject = subject
        opened = await door.open(nurse)
        await put(bus, messages.CONSENT_EVENTS, "consent.horizon-passed.v1", "horizon", {"topic": "x"})
        await put(bus, messages.CONSENT_EVENTS, messages.CONSENT_GRANTED, subject, {"grant": 1})  # a dead letter
        await put(bus, messages.CONSENT_EVENTS, messages.CONSENT_GRANTED, subject, grant, "event-1")
        await put(bus, messages.CONSENT_EVENTS, messages.CONSENT_GRANTED, subject, grant, "event-1")
        for _ in range(200):
            if (await door.get("log", nurse))["participants"]:
                break
            await asyncio.sleep(0.1)
        assert [each["id"] for each in (await door.get("log", nurse))["participants"]] == [SCHOOL]

        client.headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-01"
        entry = await door.entry(nurse, text="HEMMELIG")
        [first, second] = await bus.records(messages.TOPIC, 2)
        assert [record.key for record in (first, second)] == [subject.encode()] * 2
        headers = events.text_headers(second.headers)
        assert headers["ce_type"] == messages.ENTRY_ADDED
        assert headers["ce_subject"] == subject
        assert headers["ce_dataclassification"] == "restricted"
        assert headers["traceparent"].split("-")[1] == TRACE
        assert json.loads(second.value)["item"] == entry["id"]
        assert b"HEMMELIG" not in second.value
        [dead] = await bus.records(f"{messages.CONSENT_EVENTS}.dlq", 1)
        assert events.text_headers(dead.headers)["dlq_consumer"] == "logbook"

    async with running(kafka, urls, replica) as client:  # a second start: nothing comes twice, nothing is lost
        door = Door(client)
        door.subject = subject
        assert [each["id"] for each in (await door.get("log", nurse))["participants"]] == [SCHOOL]
        assert (await door.get("log", nurse))["id"] == opened["id"]
        assert (await door.get(f"items/{entry['id']}", nurse))["text"] == "HEMMELIG"
        assert len(await bus.records(messages.TOPIC, 3, within=1.0)) == 2
