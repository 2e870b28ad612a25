"""The ledger: how fast looks are taken in, how soon each can be proved, and a long list's first page with proofs."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events
from chassis.clock import Clock
from chassis.delivery import Delivery
from chassis.health import Health
from chassis.kafka import make_producer
from chassis.keys import SubjectKeys
from chassis.permit import Actor, Cell, Permit
from chassis.settings import Settings
from chassis.storage import make_engine, migrate
from consent import storage
from consent.app import MIGRATIONS
from consent.handlers import checkpoints, ledger, looks, proofs
from consent.handlers.checkpoints import Checkpoints
from consent.model.errors import RuleBroken
from consent.model.ledger import Pseudonyms
from consent.model.looks import Wanted
from consent.model.notes import Signer
from consent.subscribers import LedgerFeed, to_ledger
from tests.bench.report import Figure
from tests.stack import Kafka, Postgres

TAKEN_IN = 60_000
SUBJECTS = 2_000
SAMPLES, AT_ONCE = 400, 8
LONG_LIST, OTHERS = 10_000, 90_000
PAGES, PAGE = 60, 50

NAMES, SIGNER = Pseudonyms(b"h" * 32), Signer("samlogg.bench/ledger", b"l" * 32)


def measure(postgres: Postgres, kafka: Kafka) -> Iterator[Figure]:
    """From the topic into the tree, from the topic to a proof, and from the tree to a page."""
    rate, soon, page = asyncio.run(_all(postgres, kafka))
    yield Figure("ledger: records taken in", rate, "records/s", ">= 5000", "15000")
    yield Figure("ledger: from a look to its proof, p99", soon, "ms", "<= 1000", "500")
    yield Figure("ledger: first page of 10,000 looks, with proofs, p50", page, "ms", "<= 30", "15")


async def _all(postgres: Postgres, kafka: Kafka) -> tuple[float, float, float]:
    return await _taken_in(postgres, kafka), await _proved(postgres, kafka), await _first_page(postgres)


def _look(subject: str) -> dict[str, Any]:
    return {
        "id": str(uuid4()), "at": "2026-11-22T12:00:00.000Z", "subject": subject,
        "actor": {
            "kind": "staff", "id": str(uuid4()), "services": ["school-health"], "role": "professional",
            "agency": "gamlebyen-health",
        },
        "route": "logbook.list-items", "action": "read", "categories": ["school", "leisure"], "grants": [str(uuid4())],
        "basis": "grant", "purpose": "follow-up", "outcome": "answered", "reason": None, "count": 1,
    }  # fmt: skip


def _event(subject: str) -> events.Event:
    return events.new_event("gateway", "access.recorded.v1", subject, _look(subject), datetime.now(UTC))


@asynccontextmanager
async def _database(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(postgres.fresh_database("bench_ledger"))
    await migrate(engine, MIGRATIONS)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def _feed(engine: AsyncEngine, kafka: Kafka, topic: str) -> AsyncIterator[None]:
    """Consent's own consumer of looks, and its checkpoints."""

    async def nothing() -> str | None:
        return None

    settings, health = _settings(engine, kafka), Health()
    signing = Checkpoints(engine, SIGNER, Clock(), health, nothing)
    feed = LedgerFeed(settings, engine, NAMES, Delivery("consent"), health, signing.grown, topic=topic, group=topic)
    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(signing.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _settings(engine: AsyncEngine, kafka: Kafka) -> Settings:
    url = engine.url.render_as_string(hide_password=False)
    given: dict[str, Any] = {"database_url": url, "inner_key": b"k" * 32, **kafka.settings}
    return Settings.model_validate(given)


async def _publish(producer: Any, topic: str, *found: events.Event) -> None:
    sent = [
        await producer.send(topic, events.value(event), event.key.encode(), headers=events.headers(event))
        for event in found
    ]
    await asyncio.gather(*sent)


async def _taken_in(postgres: Postgres, kafka: Kafka) -> float:
    """Records a second from the topic into the committed tree, once the consumer is at work, and with signing."""
    topic, subjects = kafka.fresh_topic(12), [str(uuid4()) for _ in range(SUBJECTS)]
    async with _database(postgres) as engine:
        producer = make_producer(_settings(engine, kafka), linger_ms=5)
        await producer.start()
        for start in range(0, TAKEN_IN, 5_000):
            await _publish(producer, topic, *(_event(subjects[n % SUBJECTS]) for n in range(start, start + 5_000)))
        await producer.stop()
        async with _feed(engine, kafka, topic):
            first = 0, 0.0
            while True:
                async with engine.connect() as conn:
                    size = (await storage.tree(conn)).size
                if size and not first[0]:
                    first = size, time.perf_counter()
                if size == TAKEN_IN:
                    return (size - first[0]) / (time.perf_counter() - first[1])
                await asyncio.sleep(0.02)


async def _proved(postgres: Postgres, kafka: Kafka) -> float:
    """p99 of milliseconds from the look's being durable on the topic until its document is given out."""
    topic, taken = kafka.fresh_topic(12), []
    chance = random.Random(1)
    async with _database(postgres) as engine:
        producer = make_producer(_settings(engine, kafka))
        await producer.start()

        async def one() -> None:
            event = _event(str(uuid4()))
            await _publish(producer, topic, event)
            began = time.perf_counter()
            while True:
                async with engine.connect() as conn:
                    try:
                        await proofs.look(conn, SIGNER, NAMES, event.key, event.data["id"])
                        break
                    except RuleBroken:
                        await asyncio.sleep(0.01)
            taken.append(1_000 * (time.perf_counter() - began))

        async def several() -> None:
            for _ in range(SAMPLES // AT_ONCE):
                await asyncio.sleep(chance.uniform(0.0, 0.3))
                await one()

        async with _feed(engine, kafka, topic):
            await one()  # until the consumer is at work
            taken.clear()
            await asyncio.gather(*(several() for _ in range(AT_ONCE)))
        await producer.stop()
    return sorted(taken)[int(0.99 * len(taken))]


async def _first_page(postgres: Postgres) -> float:
    """p50 of milliseconds for the newest looks as the subject is shown them, each with its document, as JSON."""
    subject = str(uuid4())
    async with _database(postgres) as engine:
        made = [to_ledger(_event(subject)) for _ in range(LONG_LIST)]
        made += [to_ledger(_event(str(uuid4()))) for _ in range(OTHERS)]
        random.Random(2).shuffle(made)
        for start in range(0, len(made), 2_000):
            async with engine.begin() as conn:
                await ledger.append(conn, NAMES, [one for one in made[start : start + 2_000] if one is not None])
        async with engine.begin() as conn:
            await checkpoints.sign(conn, SIGNER, datetime.now(UTC))
            await conn.exec_driver_sql("ANALYZE ledger")
        keys_engine = make_engine(postgres.fresh_database("bench_ledger_keys"), pool_size=1)
        keys = SubjectKeys(keys_engine, b"w" * 32)
        await keys.prepare()
        reader, permit = Actor("person", subject), Permit(subject, "read", "insight", (Cell("looks", str(uuid4())),))
        taken = []
        for _ in range(PAGES):
            began = time.perf_counter()
            async with engine.connect() as conn:
                page = await looks.looks(conn, keys, permit, reader, Wanted(), None, PAGE, ["nb"])
                documents = await proofs.looks(conn, SIGNER, NAMES, subject, [item["id"] for item in page.items])
            msgspec.json.encode([page.items, documents])
            taken.append(1_000 * (time.perf_counter() - began))
            if len(documents) != PAGE:
                raise AssertionError("a page without all its proofs")
        await keys_engine.dispose()
    return sorted(taken)[len(taken) // 2]
