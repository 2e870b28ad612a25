"""The ledger on a real Kafka: two replicas at once make one tree, it is signed and told, and a stop loses nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from chassis.delivery import Delivery
from chassis.health import Health
from chassis.outbox import Relay
from consent import messages, storage
from consent.handlers import checkpoints
from consent.handlers.checkpoints import Checkpoints
from consent.subscribers import LEDGER, LedgerFeed
from tests.bus import Bus, open_bus, until
from tests.consent.callers import NAMES
from tests.consent.test_checkpoints import SIGNER, own
from tests.consent.test_feeds_wire import look, send
from tests.consent.test_ledger import verify_tree
from tests.stack import Kafka

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["own"]


@pytest_asyncio.fixture(loop_scope="session")
async def bus(kafka: Kafka, own: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    async with open_bus(kafka, own.url.render_as_string(hide_password=False)) as found:
        monkeypatch.setattr(messages, "CHECKPOINTS", found.topic("checkpoints", 1))
        yield found


@asynccontextmanager
async def replica(bus: Bus, engine: AsyncEngine, topic: str, name: str, health: Health) -> AsyncIterator[None]:
    """One replica's part in the ledger."""
    settings = bus.settings.model_copy(update={"replica": name})

    async def read() -> str | None:
        return await checkpoints.newest_published(settings)

    signing = Checkpoints(engine, SIGNER, Clock(), health, read)
    feed = LedgerFeed(settings, engine, NAMES, Delivery("consent"), health, signing.grown, topic=topic, group=topic)
    running = [asyncio.create_task(work) for work in (feed.run(), signing.run(), Relay(settings, health).run())]
    try:
        yield
    finally:
        waiting = set(running)
        while waiting:  # a library may swallow one cancellation
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=0.5)


async def count(engine: AsyncEngine, query: str) -> int:
    async with engine.connect() as conn:
        return int((await conn.execute(text(query))).scalar() or 0)


async def comes(engine: AsyncEngine, query: str, wanted: Callable[[int], bool]) -> None:
    for _ in range(400):
        if wanted(await count(engine, query)):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await count(engine, query)} is what came of {query}")


async def test_two_replicas_and_a_restart_make_one_tree_of_doubled_and_late_records(bus: Bus, own: AsyncEngine) -> None:
    topic, subjects = bus.topic("access", 6), [str(uuid4()) for _ in range(12)]
    early, late = ([look(subject) for subject in subjects for _ in range(10)] for _ in range(2))
    await send(bus, topic, *early, *early[::-1])
    first, second = Health(), Health()
    async with replica(bus, own, topic, "1", first):
        await comes(own, "SELECT size FROM ledger_tree", lambda size: size > 3)
        async with replica(bus, own, topic, "2", second):
            await send(bus, topic, *late, *early)
            await comes(own, "SELECT size FROM ledger_tree", lambda size: size == 243)
    async with replica(bus, own, topic, "1", first):
        await send(bus, topic, *late)
        await comes(own, "SELECT max(size) FROM ledger_checkpoint", lambda size: size == 243)
        await comes(own, "SELECT count(*) FROM outbox", lambda waiting: waiting == 0)
    await verify_tree(own)
    assert await count(own, "SELECT count(*) FROM ledger") == 243
    told = await bus.records(messages.CHECKPOINTS, 1_000, within=2.0)
    sizes = [messages.CheckpointSigned.model_validate_json(one.value or b"").size for one in told]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == 243
    assert await bus.records(f"{topic}.dlq", 1, within=0.5) == []


async def test_a_stopped_ledger_shows_and_loses_no_look(bus: Bus, own: AsyncEngine) -> None:
    topic, subject, health = bus.topic("access", 1), str(uuid4()), Health(LEDGER)
    async with own.begin() as conn:
        await storage.stop_ledger(conn, "for a reason")
    await send(bus, topic, *(look(subject) for _ in range(5)))
    async with replica(bus, own, topic, "1", health):
        await until(lambda: health.reasons().get(LEDGER) == "for a reason")
        assert await count(own, "SELECT count(*) FROM ledger") == 3
        async with own.begin() as conn:
            await conn.exec_driver_sql("UPDATE ledger_tree SET stopped = NULL")
        await comes(own, "SELECT size FROM ledger_tree", lambda size: size == 8)
        await until(lambda: not health.reasons())
    assert await bus.records(f"{topic}.dlq", 1, within=0.5) == []


async def test_a_database_from_before_the_newest_published_checkpoint_takes_nothing_in(
    bus: Bus, own: AsyncEngine
) -> None:
    topic, health = bus.topic("access", 1), Health()
    await send(bus, topic, look(str(uuid4())))
    async with replica(bus, own, topic, "1", health):
        await comes(own, "SELECT max(size) FROM ledger_checkpoint", lambda size: size == 4)
        await comes(own, "SELECT count(*) FROM outbox", lambda waiting: waiting == 0)
    async with own.begin() as conn:  # as if it had been brought back from a copy
        for table in ("ledger", "ledger_checkpoint"):
            await conn.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        await conn.exec_driver_sql("DELETE FROM ledger_checkpoint")
        await conn.exec_driver_sql("DELETE FROM ledger WHERE index = 3")
        edge = "(SELECT substr(hashes, 65, 32) || substr(hashes, 97, 32) FROM ledger_tile)"
        await conn.exec_driver_sql(f"UPDATE ledger_tree SET size = 3, edge = {edge}")
        await conn.exec_driver_sql("UPDATE ledger_tile SET hashes = substr(hashes, 1, 128)")
    await verify_tree(own)
    await send(bus, topic, look(str(uuid4())))
    async with replica(bus, own, topic, "1", health):
        await until(lambda: health.reasons().get(checkpoints.CHECKPOINTS) == "the tree is shorter than a checkpoint")
        await comes(own, "SELECT count(stopped) FROM ledger_tree", lambda stopped: stopped == 1)
    assert await count(own, "SELECT count(*) FROM ledger") == 3
