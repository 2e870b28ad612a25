"""Outbox, inbox, idempotency and subject keys on a real PostgreSQL; the relay into a real Kafka."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events, idempotency, inbox, outbox
from chassis.clock import rfc3339
from chassis.health import Health
from chassis.idempotency import Earlier, Once
from chassis.kafka import make_producer
from chassis.keys import KeyGone, SubjectKeys
from chassis.permit import Actor, Signed
from chassis.problems import Problem
from chassis.settings import Settings
from chassis.storage import make_engine
from tests.stack import Kafka, Postgres

METADATA = MetaData()
OUTBOX, INBOX = outbox.outbox_table(METADATA), inbox.inbox_table(METADATA)
KEYS = idempotency.idempotency_table(METADATA)
CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND query ILIKE '%outbox%' AND pid <> pg_backend_pid()"
)
SIGNED = Signed(Actor("staff", "s1"), "subject-1", "logbook.add-entry", None, None, 0.0)


@pytest_asyncio.fixture
async def database(postgres: Postgres) -> AsyncIterator[tuple[str, AsyncEngine]]:
    url = postgres.fresh_database("chassis")
    engine = make_engine(url)
    async with engine.begin() as conn:
        await conn.run_sync(METADATA.create_all)
    yield url, engine
    await engine.dispose()


HAPPENED = datetime(2026, 1, 31, 12, tzinfo=UTC)


def event(number: int, key: str = "k") -> events.Event:
    return events.new_event("test", "thing.done.v1", key, {"n": number}, HAPPENED)


async def test_an_event_is_first_once_and_only_if_its_effect_commits(database: tuple[str, AsyncEngine]) -> None:
    engine = database[1]
    with contextlib.suppress(RuntimeError):
        async with engine.begin() as conn:
            assert await inbox.first_time(conn, INBOX, "e1", "h")
            raise RuntimeError("the effect failed")
    async with engine.begin() as conn:
        assert await inbox.first_time(conn, INBOX, "e1", "h")
        assert await inbox.first_time(conn, INBOX, "e1", "another handler")
    async with engine.begin() as conn:
        assert not await inbox.first_time(conn, INBOX, "e1", "h")


async def test_a_repeated_write_is_recognised_and_another_body_is_refused(database: tuple[str, AsyncEngine]) -> None:
    engine = database[1]
    once = Once(KEYS, b"s" * 32, SIGNED, "key-1", b"body")
    async with engine.begin() as conn:
        assert await once.earlier(conn) is None
        await once.remember(conn, 201, "entry-1")
    async with engine.begin() as conn:
        assert await once.earlier(conn) == Earlier(201, "entry-1")
        for other in (replace(SIGNED, actor=Actor("staff", "s2")), replace(SIGNED, subject="subject-2")):
            assert await replace(once, signed=other).earlier(conn) is None
        with pytest.raises(Problem) as refused:
            await replace(once, body=b"another").earlier(conn)
    assert refused.value.slug == "idempotency-key-reused"


async def test_two_equal_writes_at_once_have_one_effect(database: tuple[str, AsyncEngine]) -> None:
    engine = database[1]

    async def write(number: int) -> bool:
        once = Once(KEYS, b"s" * 32, SIGNED, "key-2", b"body")
        async with engine.begin() as conn:
            if await once.earlier(conn) is not None:
                return False
            await asyncio.sleep(0.05)
            await once.remember(conn, 201, f"entry-{number}")
            return True

    assert sorted(await asyncio.gather(*(write(n) for n in range(6)))) == [False] * 5 + [True]


async def test_what_a_subjects_key_sealed_opens_only_for_it_in_its_place_and_not_after_erasure(
    postgres: Postgres,
) -> None:
    engine = make_engine(postgres.fresh_database("keys"))
    keys = SubjectKeys(engine, b"w" * 32)
    await keys.prepare()
    sealed = await keys.seal("a", "Kari", "person.name")
    assert b"Kari" not in sealed
    assert await SubjectKeys(engine, b"w" * 32).open("a", sealed, "person.name") == "Kari"
    await keys.seal("b", "x")
    for subject, place in (("b", "person.name"), ("a", "entry.text")):
        with pytest.raises(KeyGone):
            await keys.open(subject, sealed, place)
    await keys.destroy("a")
    with pytest.raises(KeyGone):
        await keys.open("a", sealed, "person.name")
    await engine.dispose()


def settings(url: str, kafka: Kafka) -> Settings:
    given: dict[str, Any] = {"database_url": url, "inner_key": b"k" * 32, **kafka.settings}
    return Settings.model_validate(given)


async def received(kafka: Kafka, topic: str, count: int) -> list[tuple[str, int, str]]:
    consumer = AIOKafkaConsumer(topic, **kafka.options, auto_offset_reset="earliest")
    await consumer.start()
    found: list[tuple[str, int, str]] = []
    try:
        async with asyncio.timeout(20):
            while len({id_ for _, _, id_ in found}) < count:
                record = await consumer.getone()
                # the moment of sending would let two agencies join their feeds
                assert record.timestamp == HAPPENED.timestamp() * 1_000
                found.append(
                    (record.key.decode(), json.loads(record.value)["n"], dict(record.headers)["ce_id"].decode())
                )
    finally:
        await consumer.stop()
    return found


async def stop(*relays: asyncio.Task[None]) -> None:
    for relay in relays:
        relay.cancel()
    await asyncio.gather(*relays, return_exceptions=True)
    await asyncio.sleep(0.1)  # aiokafka closes its connections a turn later


async def emptied(engine: AsyncEngine) -> None:
    async with asyncio.timeout(20), engine.connect() as conn:
        await conn.execution_options(isolation_level="AUTOCOMMIT")
        while await conn.scalar(text("SELECT count(*) FROM outbox")):
            await asyncio.sleep(0.05)


async def test_facts_and_events_commit_together_and_leave_in_order(
    database: tuple[str, AsyncEngine], kafka: Kafka
) -> None:
    url, engine = database
    topic = kafka.fresh_topic(3)
    with contextlib.suppress(RuntimeError):
        async with engine.begin() as conn:
            await outbox.announce(conn, OUTBOX, topic, event(-1))
            raise RuntimeError("rolled back")
    relay = asyncio.create_task(outbox.Relay(settings(url, kafka), Health()).run())
    for start in range(0, 300, 30):
        async with engine.begin() as conn:
            await outbox.announce(conn, OUTBOX, topic, *(event(n, f"k{n % 7}") for n in range(start, start + 30)))
    found = await received(kafka, topic, 300)
    await emptied(engine)
    await stop(relay)
    assert sorted(n for _, n, _ in found) == list(range(300))
    for key in {key for key, _, _ in found}:
        numbers = [n for k, n, _ in found if k == key]
        assert numbers == sorted(numbers)


async def test_an_event_from_after_today_is_stamped_with_the_moment_it_is_sent(
    database: tuple[str, AsyncEngine], kafka: Kafka
) -> None:
    url, engine = database
    topic = kafka.fresh_topic(1)
    later = replace(event(1), time=datetime.now(UTC) + timedelta(days=900))
    async with engine.begin() as conn:
        await outbox.announce(conn, OUTBOX, topic, later)
    relay = asyncio.create_task(outbox.Relay(settings(url, kafka), Health()).run())
    consumer = AIOKafkaConsumer(topic, **kafka.options, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            record = await consumer.getone()
    finally:
        await consumer.stop()
        await stop(relay)
    assert abs(record.timestamp / 1_000 - time.time()) < 60
    assert dict(record.headers)["ce_time"].decode() == rfc3339(later.time)


async def test_a_relay_that_is_cut_off_repeats_with_the_same_id_and_loses_nothing(
    database: tuple[str, AsyncEngine], kafka: Kafka
) -> None:
    url, engine = database
    topic = kafka.fresh_topic(1)
    for start in range(0, 2_000, 500):
        async with engine.begin() as conn:
            await outbox.announce(conn, OUTBOX, topic, *(event(n) for n in range(start, start + 500)))
    relay = asyncio.create_task(outbox.Relay(settings(url, kafka), Health()).run())
    cut = 0
    for _ in range(8):
        await asyncio.sleep(0.1)
        async with engine.begin() as conn:
            cut += len((await conn.execute(text(CUT_OFF))).all())
    assert cut > 0
    await emptied(engine)
    await stop(relay)
    found = await received(kafka, topic, 2_000)
    ids: dict[int, set[str]] = {}
    for _, number, id_ in found:
        ids.setdefault(number, set()).add(id_)
    assert sorted(ids) == list(range(2_000))
    assert all(len(same) == 1 for same in ids.values())


async def test_only_one_relay_works_at_a_time(database: tuple[str, AsyncEngine], kafka: Kafka) -> None:
    url, engine = database
    topic = kafka.fresh_topic(1)
    relays = [asyncio.create_task(outbox.Relay(settings(url, kafka), Health()).run()) for _ in range(3)]
    for start in range(0, 900, 30):
        async with engine.begin() as conn:
            await outbox.announce(conn, OUTBOX, topic, *(event(n) for n in range(start, start + 30)))
    found = await received(kafka, topic, 900)
    await stop(*relays)
    assert [n for _, n, _ in found] == list(range(900))


@pytest.mark.parametrize("slow", ["start", "send"])
async def test_a_relay_keeps_its_turn_while_the_broker_is_slow(
    database: tuple[str, AsyncEngine], kafka: Kafka, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """Longer than the two seconds of silence after which a stopped one loses its turn."""
    url, engine = database
    topic = kafka.fresh_topic(1)
    make, begun = make_producer, list[str]()

    def slowly(*given: Any, **more: Any) -> Any:
        producer = make(*given, **more)
        work = getattr(producer, slow)

        async def late(*given: Any, **more: Any) -> Any:
            begun.append(slow)
            await asyncio.sleep(3.0)
            return await work(*given, **more)

        setattr(producer, slow, late)
        return producer

    monkeypatch.setattr("chassis.outbox.make_producer", slowly)
    async with engine.begin() as conn:
        await outbox.announce(conn, OUTBOX, topic, event(1))
    relays = [asyncio.create_task(outbox.Relay(settings(url, kafka), Health()).run()) for _ in range(2)]
    await emptied(engine)
    await stop(*relays)
    assert begun == [slow], "another one took over, or it had to begin again"
