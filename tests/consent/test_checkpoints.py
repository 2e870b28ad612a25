"""Checkpoints: signed as the tree grows, stored with their announcement, and never against what was signed before."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import events
from chassis.clock import Clock
from chassis.health import Health
from chassis.storage import make_engine, migrate
from consent import messages, storage
from consent.app import MIGRATIONS
from consent.handlers import checkpoints, ledger
from consent.handlers.checkpoints import ANOTHER, CHECKPOINTS, FORGED, TAKEN_BACK, UNREADABLE, Checkpoints
from consent.handlers.ledger import SHORTER, LedgerStopped
from consent.model.notes import Signer
from consent.model.tree import root_of
from tests.bus import Bus, open_bus, until
from tests.consent.callers import NAMES
from tests.consent.test_ledger import append, record
from tests.stack import Kafka, Postgres

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIGNER = Signer("samlogg.test/ledger", b"l" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def nothing() -> str | None:
    return None


def signing(
    engine: AsyncEngine, health: Health | None = None, read: Callable[[], Awaitable[str | None]] = nothing
) -> Checkpoints:
    return Checkpoints(engine, SIGNER, Clock(), health or Health(CHECKPOINTS), read)


async def sign(engine: AsyncEngine) -> Any:
    async with engine.begin() as conn:
        return await checkpoints.sign(conn, SIGNER, NOW)


@pytest_asyncio.fixture(loop_scope="session")
async def own(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    """A database of its own, with three records in it."""
    engine = make_engine(postgres.fresh_database("ledger"), pool_size=6)
    await migrate(engine, MIGRATIONS)
    await append(engine, *(record(str(uuid4())) for _ in range(3)))
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def torn(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A signed ledger in a transaction in which anything may be done to it; it is rolled back."""
    async with engine.connect() as conn:
        await conn.begin()
        await ledger.append(conn, NAMES, [record(str(uuid4())) for _ in range(300)])
        await checkpoints.sign(conn, SIGNER, NOW)
        yield conn
        await conn.rollback()


async def test_a_checkpoint_is_stored_and_announced_in_one_transaction(own: AsyncEngine) -> None:
    async with own.connect() as conn, conn.begin() as given_up:
        assert await checkpoints.sign(conn, SIGNER, NOW) is not None
        await given_up.rollback()
    async with own.connect() as conn:
        assert await storage.newest_checkpoint(conn) is None
        assert (await conn.execute(text("SELECT count(*) FROM outbox"))).scalar() == 0
    made = await sign(own)
    async with own.connect() as conn:
        assert await storage.newest_checkpoint(conn) == made
        tree = await storage.tree(conn)
        [sent] = (await conn.execute(text("SELECT * FROM outbox"))).all()
    assert (made.size, made.root) == (3, root_of(tree.edge))
    assert SIGNER.read(made.note) == made
    assert (sent.aggregatetype, sent.type) == (messages.CHECKPOINTS, messages.CHECKPOINT_SIGNED)
    data = json.loads(sent.payload)
    assert data == {"origin": "samlogg.test/ledger", "size": 3, "note": made.note}
    messages.CheckpointSigned.model_validate(data)


async def test_nothing_new_is_not_signed_again(own: AsyncEngine) -> None:
    assert (await sign(own)).size == 3
    assert await sign(own) is None
    await append(own, record(str(uuid4())))
    assert (await sign(own)).size == 4


async def test_an_empty_ledger_has_a_checkpoint_too(postgres: Postgres) -> None:
    engine = make_engine(postgres.fresh_database("ledger"), pool_size=2)
    await migrate(engine, MIGRATIONS)
    assert (await sign(engine)).size == 0
    assert await sign(engine) is None
    await append(engine, record(str(uuid4())))
    assert (await sign(engine)).size == 1
    await engine.dispose()


async def test_two_replicas_never_sign_the_same_size_twice_nor_in_another_order(own: AsyncEngine) -> None:
    replicas = [signing(own) for _ in range(3)]
    made: list[Any] = []

    async def one(replica: Checkpoints) -> None:
        for _ in range(40):
            made.append(await replica.tick())

    async def growth() -> None:
        for _ in range(40):
            await append(own, record(str(uuid4())))

    await asyncio.gather(growth(), *(one(replica) for replica in replicas))
    await replicas[0].tick()
    signed = [found.size for found in made if found is not None]
    assert len(signed) == len(set(signed)) > 3
    async with own.connect() as conn:
        rows = (await conn.execute(text("SELECT payload FROM outbox ORDER BY seq"))).scalars()
        told = [json.loads(row)["size"] for row in rows]
    assert told == sorted(set(told))
    assert told[-1] == 43


async def test_while_one_signs_the_others_do_not_wait(own: AsyncEngine) -> None:
    async with own.begin() as conn:
        assert await storage.may_sign(conn)
        assert await sign(own) is None
    assert await sign(own) is not None


async def test_it_is_signed_at_least_four_times_a_second_while_there_is_something_new(own: AsyncEngine) -> None:
    """Not counting the signing itself, which takes longer on a machine that is busy with other things."""
    busy: list[float] = []
    signed: list[Any] = []

    class Timed(Checkpoints):
        async def tick(self) -> Any:
            began = time.perf_counter()
            signed.append(await super().tick())
            busy.append(time.perf_counter() - began)

    began = time.perf_counter()
    task = asyncio.create_task(Timed(own, SIGNER, Clock(), Health(CHECKPOINTS), nothing).run())
    try:
        while len(busy) < 8:
            await append(own, record(str(uuid4())))
            await asyncio.sleep(0.05)
        elapsed = time.perf_counter() - began
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (elapsed - sum(busy)) / len(busy) <= 0.25
    assert len([one for one in signed if one is not None]) >= 6


async def test_a_replica_that_starts_while_others_append_and_sign_raises_no_alarm(
    own: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just after it has read the tree, the tree grows and is signed."""
    real, grown = storage.tree, False
    await sign(own)

    async def and_then_it_grows(conn: AsyncConnection) -> Any:
        nonlocal grown
        found = await real(conn)
        if not grown:
            grown = True
            await append(own, record(str(uuid4())))
            await sign(own)
        return found

    monkeypatch.setattr(storage, "tree", and_then_it_grows)
    await signing(own).compare()
    assert grown


# -- what does not fit what was signed stops everything ------------------------------------------------------------


_LAST_TILE = "WHERE tier = 0 AND number = (SELECT (size - 1) / 256 FROM ledger_tree)"


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE ledger_tree SET size = size - 1", SHORTER),
        ("UPDATE ledger_tree SET edge = set_byte(edge, 0, get_byte(edge, 0) # 1)", ANOTHER),
        (f"UPDATE ledger_tile SET hashes = substr(hashes, 1, octet_length(hashes) - 1) || 'x' {_LAST_TILE}", ANOTHER),
        (f"DELETE FROM ledger_tile {_LAST_TILE}", ANOTHER),
        ("UPDATE ledger_tile SET hashes = substr(hashes, 33) WHERE tier = 0", ANOTHER),
    ],
)  # fmt: skip
async def test_a_tree_that_was_changed_is_not_signed(torn: AsyncConnection, statement: str, reason: str) -> None:
    changed = await torn.exec_driver_sql(statement)
    assert changed.rowcount > 0
    with pytest.raises(LedgerStopped, match=reason):
        if reason != SHORTER:
            await _grow_anyhow(torn)
        await checkpoints.sign(torn, SIGNER, NOW)


async def _grow_anyhow(conn: AsyncConnection) -> None:
    try:
        async with conn.begin_nested():
            await ledger.append(conn, NAMES, [record(str(uuid4())) for _ in range(3)])
    except ValueError:
        return


@pytest.mark.parametrize("forged", ["note = 'x'", "size = size + 1, root = root", "root = sha256('x')"])
async def test_a_stored_checkpoint_that_the_key_has_not_signed_stops_it(torn: AsyncConnection, forged: str) -> None:
    await torn.exec_driver_sql("ALTER TABLE ledger_checkpoint DISABLE TRIGGER only_add")
    newest = "WHERE size = (SELECT max(size) FROM ledger_checkpoint)"
    await torn.exec_driver_sql(f"UPDATE ledger_checkpoint SET {forged} {newest}")
    with pytest.raises(LedgerStopped, match=FORGED):
        await checkpoints.sign(torn, SIGNER, NOW)


async def test_a_checkpoint_of_another_tree_of_the_same_size_stops_it(own: AsyncEngine) -> None:
    there = Signer("samlogg.test/ledger", b"l" * 32).checkpoint(3, b"x" * 32)
    await sign(own)
    with pytest.raises(LedgerStopped, match=ANOTHER):
        await signing(own, read=lambda: told(there.note)).compare()


async def told(note: str | None) -> str | None:
    return note


async def test_a_database_from_before_what_was_published_stays_stopped_in_every_replica(own: AsyncEngine) -> None:
    published = SIGNER.checkpoint(4, b"x" * 32)
    await sign(own)
    health = Health(CHECKPOINTS)
    task = asyncio.create_task(signing(own, health, lambda: told(published.note)).run())
    try:
        await until(lambda: health.reasons() == {CHECKPOINTS: SHORTER})
        for _ in range(50):
            async with own.connect() as conn:
                stopped = (await storage.tree(conn)).stopped
            if stopped is not None:
                break
            await asyncio.sleep(0.05)
        assert stopped == SHORTER
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    with pytest.raises(LedgerStopped, match=SHORTER):
        await append(own, record(str(uuid4())))
    with pytest.raises(LedgerStopped, match=SHORTER):
        await sign(own)
    with pytest.raises(LedgerStopped, match=SHORTER):
        await signing(own).tick()


async def test_a_checkpoint_that_is_gone_is_noticed_by_whoever_has_seen_it(own: AsyncEngine) -> None:
    replica = signing(own)
    await replica.tick()
    async with own.begin() as conn:
        await conn.exec_driver_sql("ALTER TABLE ledger_checkpoint DISABLE TRIGGER only_add")
        await conn.exec_driver_sql("DELETE FROM ledger_checkpoint")
    with pytest.raises(LedgerStopped, match=TAKEN_BACK):
        await replica.tick()


async def test_a_stop_shows_until_an_operator_has_put_it_right(own: AsyncEngine) -> None:
    health = Health(CHECKPOINTS)
    task = asyncio.create_task(signing(own, health).run())
    try:
        await until(lambda: not health.reasons())
        async with own.begin() as conn:
            await storage.stop_ledger(conn, "for a reason")
        await until(lambda: health.reasons() == {CHECKPOINTS: "for a reason"})
        async with own.begin() as conn:
            await conn.exec_driver_sql("UPDATE ledger_tree SET stopped = NULL")
        await until(lambda: not health.reasons())
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_after_a_restart_signing_goes_on_from_what_is_stored(own: AsyncEngine) -> None:
    first = await signing(own).tick()
    await append(own, record(str(uuid4())))
    again = signing(own, read=lambda: told(first.note if first else None))
    await again.compare()
    second = await again.tick()
    assert first is not None
    assert second is not None
    assert (first.size, second.size) == (3, 4)


# -- the topic -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def bus(kafka: Kafka, own: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    async with open_bus(kafka, str(own.url)) as found:
        monkeypatch.setattr(messages, "CHECKPOINTS", found.topic("checkpoints", 1))
        yield found


async def test_the_newest_published_checkpoint_is_read_back(bus: Bus) -> None:
    assert await checkpoints.newest_published(bus.settings) is None

    async def publish(**data: Any) -> None:
        event = events.new_event("consent", messages.CHECKPOINT_SIGNED, "ledger", data, NOW)
        value, headers = events.value(event), events.headers(event)
        await bus.producer.send_and_wait(messages.CHECKPOINTS, value, b"ledger", headers=headers)

    for size in (1, 2):
        await publish(origin="o", size=size, note=f"note {size}")
    assert await checkpoints.newest_published(bus.settings) == "note 2"
    await publish()
    with pytest.raises(LedgerStopped, match=UNREADABLE):
        await checkpoints.newest_published(bus.settings)
