"""The ledger: every record once, in its place of tree and chain, never changed, and erased without a hole."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.causes import caused_by_a_part
from chassis.events import BadEvent, Event
from chassis.storage import make_engine
from consent import storage
from consent.handlers import ledger
from consent.handlers.ledger import LedgerStopped, Record
from consent.model.ledger import canonical, leaf_hash
from consent.model.tree import Hashes, grow, root_of, tiles_of
from consent.subscribers import to_ledger
from tests.consent.callers import NAMES

pytestmark = pytest.mark.asyncio(loop_scope="session")


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def record(chain: str, subject: str | None = None, **content: Any) -> Record:
    id_ = str(uuid4())
    return Record(id_, "look", chain, subject, _content(id_) | content, "staff", "staff-1", ("school",), ("g", "h"))


def _content(id_: str) -> dict[str, Any]:
    actor = {"kind": "staff", "id": "staff-1", "services": ["police"], "role": "professional", "agency": "police"}
    return {"id": id_, "at": "2026-11-22T12:00:00.000Z", "actor": actor, "action": "read", "outcome": "answered"}


async def append(engine: AsyncEngine, *records: Record) -> int:
    async with engine.begin() as conn:
        return await ledger.append(conn, NAMES, records)


async def chain_of(engine: AsyncEngine, chain: str) -> list[Any]:
    async with engine.connect() as conn:
        query = text("SELECT * FROM ledger WHERE chain = :c ORDER BY sequence")
        return list((await conn.execute(query, {"c": NAMES.of(chain)})).all())


def verify(rows: list[Any]) -> None:
    """Numbers without a gap, each leaf the hash of its row, each row bound to the leaf before it."""
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert [row.index for row in rows] == sorted(row.index for row in rows)
    previous = None
    for row in rows:
        assert row.leaf == leaf_hash(row.salt, row.canonical)
        body = json.loads(row.canonical)
        assert canonical(body) == row.canonical
        assert (body["chain"], body["sequence"], body["previous"]) == (row.chain, row.sequence, previous)
        previous = row.leaf.hex()


async def verify_tree(engine: AsyncEngine) -> None:
    """Places without a gap; the tree's row and its tiles are those of the leaves in their places."""
    async with engine.connect() as conn:
        rows = (await conn.execute(text("SELECT index, leaf FROM ledger ORDER BY index"))).all()
        tree = await storage.tree(conn)
        tiles = await storage.tiles(conn, tiles_of([(0, tree.size)]))
    assert [row[0] for row in rows] == list(range(tree.size))
    assert grow(0, b"", [row[1] for row in rows]).edge == tree.edge
    assert Hashes(tiles).of((0, tree.size)) == root_of(tree.edge)


async def test_records_are_numbered_salted_chained_and_in_the_tree(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    await append(engine, *(record(chain, chain) for _ in range(3)))
    await append(engine, record(chain))
    rows = await chain_of(engine, chain)
    verify(rows)
    assert len({row.salt for row in rows}) == 4
    assert (str(rows[0].subject), rows[0].actor_kind, rows[0].actor) == (chain, "staff", "staff-1")
    assert (rows[0].categories, rows[0].grants) == (["school"], ["g", "h"])
    await verify_tree(engine)


async def test_no_id_of_a_person_is_in_what_is_proved(engine: AsyncEngine) -> None:
    child, mother = str(uuid4()), str(uuid4())
    content: dict[str, Any]
    content = {"id": str(uuid4()), "subject": child, "actor": {"kind": "person", "id": mother}}
    await append(engine, Record(content["id"], "look", child, child, content, "person", mother))
    [row] = await chain_of(engine, child)
    assert child.encode() not in row.canonical
    assert mother.encode() not in row.canonical
    said = json.loads(row.canonical)
    assert (said["chain"], said["record"]["subject"]) == (NAMES.of(child), NAMES.of(child))
    assert said["record"]["actor"] == {"kind": "person", "id": NAMES.of(mother)}


async def test_a_record_that_comes_twice_is_there_once(engine: AsyncEngine) -> None:
    chain, twice = str(uuid4()), record(str(uuid4()))
    twice = Record(twice.id, "look", chain, None, twice.content)
    assert await append(engine, twice, record(chain), twice) == 2
    assert await append(engine, twice) == 0
    assert len(await chain_of(engine, chain)) == 2
    await verify_tree(engine)


async def test_a_batch_of_nothing_new_leaves_the_tree_as_it_is(engine: AsyncEngine) -> None:
    old = record(str(uuid4()))
    await append(engine, old)
    async with engine.connect() as conn:
        before = await storage.tree(conn)
    assert await append(engine) == 0
    assert await append(engine, old) == 0
    async with engine.connect() as conn:
        assert await storage.tree(conn) == before


async def test_many_at_once_from_two_replicas_give_every_record_one_place(engine: AsyncEngine, settings: Any) -> None:
    """Doubled, shuffled and late records, in batches that cross: one place, one number, no deadlock."""
    other = make_engine(settings.database_url.get_secret_value(), pool_size=8)
    try:
        chains = [str(uuid4()) for _ in range(5)]
        records = [record(chain) for chain in chains for _ in range(60)]
        batches = []
        for _ in range(12):
            random.shuffle(records)
            batches.append(list(records[:150]))
        added = await asyncio.gather(*(append(engine if n % 2 else other, *batch) for n, batch in enumerate(batches)))
        assert sum(added) == len({one.id for batch in batches for one in batch})
        for chain in chains:
            verify(await chain_of(engine, chain))
        await verify_tree(engine)
    finally:
        await other.dispose()


async def test_a_failed_append_leaves_no_gap(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    await append(engine, record(chain))
    with pytest.raises(RuntimeError, match="on purpose"):
        async with engine.begin() as conn:
            await ledger.append(conn, NAMES, [record(chain)])
            raise RuntimeError("on purpose")
    await append(engine, record(chain))
    verify(await chain_of(engine, chain))
    await verify_tree(engine)


async def test_a_replica_that_stops_in_the_middle_of_appending_lets_the_others_go_on(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    stopped = await engine.connect()
    try:
        await storage.lock_tree(stopped)  # and then not another word
        began = asyncio.get_running_loop().time()
        await append(engine, record(chain))
        assert 1.0 < asyncio.get_running_loop().time() - began < 5.0
    finally:
        await stopped.invalidate()
        await stopped.close()
    verify(await chain_of(engine, chain))


_ERASING = "UPDATE ledger SET salt = NULL, canonical = NULL, subject = NULL, actor = NULL, actor_kind = NULL"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET actor = 'x'", "DELETE FROM ledger", "TRUNCATE ledger",
        "UPDATE ledger SET salt = NULL, canonical = NULL", f"{_ERASING}, categories = '{{}}'",
        f"{_ERASING}, categories = '{{}}', grants = '{{}}', leaf = '\\x00'",
        f"{_ERASING}, categories = '{{}}', grants = '{{}}', sequence = sequence + 1000000",
        "UPDATE ledger_checkpoint SET note = 'x'", "DELETE FROM ledger_checkpoint",
        "TRUNCATE ledger_checkpoint CASCADE", "TRUNCATE ledger_cosignature",
    ],
)  # fmt: skip
async def test_nobody_changes_or_deletes_a_record(engine: AsyncEngine, statement: str) -> None:
    chain = str(uuid4())
    await append(engine, record(chain, chain))
    async with engine.begin() as conn:
        signed = "INSERT INTO ledger_checkpoint VALUES (1, '', '', now()) ON CONFLICT DO NOTHING"
        with pytest.raises(Exception, match="only ever added"):
            async with conn.begin_nested():
                await conn.exec_driver_sql(signed)
                await conn.exec_driver_sql(statement)
    assert len(await chain_of(engine, chain)) == 1


# -- erasure -------------------------------------------------------------------------------------------------------


async def test_erasure_destroys_what_is_said_and_about_whom_and_keeps_the_tree(engine: AsyncEngine) -> None:
    gone, stays = str(uuid4()), str(uuid4())
    records = [record(chain, chain) for chain in (gone, stays, gone)]
    await append(engine, *records)
    before = await chain_of(engine, gone)
    async with engine.begin() as conn:
        assert await ledger.erase(conn, NAMES, gone) == 2
    after = await chain_of(engine, gone)
    kept = ("index", "id", "kind", "chain", "sequence", "about", "leaf")
    assert [[getattr(row, name) for name in kept] for row in after] == [
        [getattr(row, name) for name in kept] for row in before
    ]
    for row in after:
        assert (row.salt, row.canonical, row.subject, row.actor_kind, row.actor) == (None, None, None, None, None)
        assert (row.categories, row.grants) == ([], [])
        assert (row.at, row.services, row.action, row.outcome) == (None, None, None, None)
    verify(await chain_of(engine, stays))
    await verify_tree(engine)
    async with engine.begin() as conn:
        assert await ledger.erase(conn, NAMES, gone) == 0


async def test_after_erasure_a_double_is_still_told_and_the_chain_goes_on(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    old = record(chain, chain)
    await append(engine, old)
    async with engine.begin() as conn:
        await ledger.erase(conn, NAMES, chain)
    assert await append(engine, old, record(chain, chain)) == 1
    rows = await chain_of(engine, chain)
    assert [row.sequence for row in rows] == [1, 2]
    assert json.loads(rows[1].canonical)["previous"] == rows[0].leaf.hex()


# -- a ledger that has stopped -------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def torn(engine: AsyncEngine) -> AsyncIterator[Any]:
    """A transaction in which anything may be done to the ledger; it is rolled back."""
    async with engine.connect() as conn:
        await conn.begin()
        yield conn
        await conn.rollback()


async def test_nothing_is_appended_to_a_tree_that_is_shorter_than_a_checkpoint(torn: Any) -> None:
    size = (await storage.tree(torn)).size
    await torn.exec_driver_sql(f"INSERT INTO ledger_checkpoint VALUES ({size + 1}, '', '', now())")
    with pytest.raises(LedgerStopped, match="shorter") as raised:
        await ledger.append(torn, NAMES, [record(str(uuid4()))])
    assert caused_by_a_part(raised.value)  # no record's fault: it is waited for, and nothing goes to the dead letters


async def test_nothing_is_appended_to_a_ledger_that_was_stopped(torn: Any) -> None:
    await storage.stop_ledger(torn, "for a reason")
    await storage.stop_ledger(torn, "for another")
    with pytest.raises(LedgerStopped, match=r"^for a reason$"):
        await ledger.append(torn, NAMES, [record(str(uuid4()))])


async def test_an_own_act_waits_beside_a_stopped_ledger_and_goes_before_the_next_record(torn: Any) -> None:
    await storage.stop_ledger(torn, "for a reason")
    first, second, later = (record(str(uuid4())) for _ in range(3))
    await ledger.append_act(torn, NAMES, first, NOW)
    await ledger.append_act(torn, NAMES, second, NOW + timedelta(seconds=1))
    await ledger.append_act(torn, NAMES, first, NOW + timedelta(seconds=2))  # repeated
    size = (await storage.tree(torn)).size
    await torn.exec_driver_sql("UPDATE ledger_tree SET stopped = NULL")
    assert await ledger.append(torn, NAMES, [later]) == 3
    query = select(storage.ledger.c.id).where(storage.ledger.c.index >= size).order_by(storage.ledger.c.index)
    assert (await torn.execute(query)).scalars().all() == [first.id, second.id, later.id]
    assert await storage.take_waiting(torn) == []


async def test_what_waits_of_somebody_is_erased_with_the_rest(torn: Any) -> None:
    await storage.stop_ledger(torn, "for a reason")
    gone, stays = record(str(uuid4())), record(str(uuid4()))
    for act in (gone, stays):
        await ledger.append_act(torn, NAMES, act, NOW)
    await ledger.erase(torn, NAMES, gone.chain)
    assert [one["id"] for one in await storage.take_waiting(torn)] == [stays.id]


# -- what comes on the bus -----------------------------------------------------------------------------------------


def looked(**changes: Any) -> Event:
    subject = str(uuid4())
    data: dict[str, Any] = {
        "id": str(uuid4()), "at": "2026-11-22T12:00:00.000Z", "subject": subject,
        "actor": {"kind": "staff", "id": "staff-1", "services": ["police"], "role": "professional", "agency": "police"},
        "route": "logbook.list-items", "action": "read", "categories": ["school", "school"], "grants": ["g"],
        "basis": "grant", "purpose": "follow-up", "outcome": "answered", "reason": None, "count": 1,
    }  # fmt: skip
    return Event(str(uuid4()), "access.recorded.v1", "/samlogg/gateway", subject, datetime.now(UTC), data | changes)


async def test_a_look_is_kept_whole_under_its_subject() -> None:
    event = looked()
    found = to_ledger(event)
    assert found is not None
    assert (found.id, found.chain, found.subject) == (event.data["id"], event.key, event.key)
    assert (found.categories, found.grants, found.actor) == (("school",), ("g",), "staff-1")
    assert found.content == event.data


async def test_a_look_without_a_subject_is_kept_under_its_caller() -> None:
    event = looked(subject=None)
    caller = Event(event.id, event.type, event.source, "staff-1", event.time, event.data)
    found = to_ledger(caller)
    assert found is not None
    assert (found.chain, found.subject) == ("staff-1", None)


async def test_a_held_back_answer_is_kept_about_its_look() -> None:
    data = {"record": "r1", "reason": "withdrawn"}
    event = Event("e1", "access.held-back.v1", "/samlogg/gateway", "s1", datetime.now(UTC), data)
    found = to_ledger(event)
    assert found is not None
    assert (found.id, found.kind, found.chain, found.about) == ("e1", "held-back", "s1", "r1")


async def test_a_type_that_came_later_is_left_alone() -> None:
    event = looked()
    assert to_ledger(Event(event.id, "access.sealed.v1", event.source, event.key, event.time, {})) is None


@pytest.mark.parametrize(
    "change",
    [
        {"id": None}, {"id": "x" * 65}, {"id": "a\x00b"}, {"subject": "Ola"}, {"at": "yesterday"},
        {"categories": "school"}, {"categories": ["a b"]}, {"categories": ["a,b"]}, {"outcome": "maybe"},
        {"grants": None}, {"actor": {"kind": "ghost", "id": "x"}}, {"extra": 1.5}, {"extra": {"å": 1}},
        {"extra": 2**53}, {"extra": "\ud800"},
    ],
)  # fmt: skip
async def test_a_record_of_the_wrong_form_is_told_and_not_taken(change: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, BadEvent)):
        to_ledger(looked(**change))
