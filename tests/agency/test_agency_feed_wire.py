"""The example agency on a real Kafka: where it begins, when it commits, and what a kill between two commits does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from police import feed
from police.store import Store
from tests.stack import Kafka


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "police.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
async def producer(kafka: Kafka) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(**kafka.options)
    await made.start()
    yield made
    await made.stop()


def credential(kafka: Kafka) -> feed.Credential:
    topic = kafka.fresh_topic(3, name="agency")
    return feed.Credential(kafka.user, kafka.password, (kafka.agency_bootstrap,), topic, tls=False)


async def point(producer: AIOKafkaProducer, topic: str, event: str, what: str = "changed") -> None:
    value = json.dumps({"handle": "h1", "what": what, "href": "/subjects/h1/items"}).encode()
    headers = [("ce_id", event.encode()), ("ce_type", b"samlogg.pointer.v1")]
    await producer.send_and_wait(topic, value, key=b"h1", headers=headers)


async def listen_until(given: feed.Credential, store: Store, events: int, *, killed: bool = False) -> None:
    """Listen until so many deliveries are stored; `killed`: end before Kafka has been told of any of them."""
    reader = feed.consumer(given)
    if killed:

        async def never(_: object) -> None:
            await asyncio.Event().wait()

        reader.commit = never
    await reader.start()
    listening = asyncio.create_task(feed.listen(reader, store, asyncio.Event()))
    try:
        async with asyncio.timeout(30):
            while sum(event["times"] for event in store.held()["events"]) < events:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0 if killed else 0.3)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await reader.stop()


async def test_a_new_agency_hears_what_was_said_before_it_listened(
    kafka: Kafka, producer: AIOKafkaProducer, store: Store
) -> None:
    given = credential(kafka)
    await point(producer, given.feed, "e1")
    await listen_until(given, store, 1)
    assert [event["id"] for event in store.held()["events"]] == ["e1"]


async def test_a_kill_between_the_two_commits_repeats_the_event_and_not_its_effect(
    kafka: Kafka, producer: AIOKafkaProducer, store: Store
) -> None:
    given = credential(kafka)
    await point(producer, given.feed, "e1")
    await listen_until(given, store, 1, killed=True)
    [work] = store.work()
    await listen_until(given, store, 2)
    assert [(event["id"], event["times"]) for event in store.held()["events"]] == [("e1", 2)]
    assert store.work() == [work]


async def test_what_was_committed_does_not_come_again(kafka: Kafka, producer: AIOKafkaProducer, store: Store) -> None:
    given = credential(kafka)
    await point(producer, given.feed, "e1")
    await listen_until(given, store, 1)
    await point(producer, given.feed, "e2")
    await listen_until(given, store, 2)
    assert [(event["id"], event["times"]) for event in store.held()["events"]] == [("e1", 1), ("e2", 1)]
