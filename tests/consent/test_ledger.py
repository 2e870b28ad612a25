"""The ledger: every record once, under its own number, bound to the one before it, never changed."""

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.events import BadEvent, Event
from consent.handlers import ledger
from consent.handlers.ledger import Record
from consent.model.ledger import canonical, leaf_hash
from consent.subscribers import to_ledger

pytestmark = pytest.mark.asyncio(loop_scope="session")


def record(chain: str, subject: str | None = None, **content: Any) -> Record:
    id_ = str(uuid4())
    return Record(id_, "look", chain, subject, {"id": id_, **content}, "staff", "staff-1", ("school",))


async def append(engine: AsyncEngine, *records: Record) -> int:
    async with engine.begin() as conn:
        return await ledger.append(conn, records)


async def chain_of(engine: AsyncEngine, chain: str) -> list[Any]:
    async with engine.connect() as conn:
        query = text("SELECT * FROM ledger WHERE chain = :c ORDER BY sequence")
        return list((await conn.execute(query, {"c": chain})).all())


def verify(rows: list[Any]) -> None:
    """Numbers without a gap, each leaf the hash of its row, each row bound to the leaf before it."""
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    previous = None
    for row in rows:
        assert bytes(row.leaf) == leaf_hash(bytes(row.salt), bytes(row.canonical))
        body = json.loads(row.canonical)
        assert canonical(body) == bytes(row.canonical)
        assert (body["sequence"], body["previous"]) == (row.sequence, previous)
        previous = bytes(row.leaf).hex()


async def test_records_are_numbered_salted_and_chained(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    await append(engine, *(record(chain) for _ in range(3)))
    await append(engine, record(chain))
    rows = await chain_of(engine, chain)
    verify(rows)
    assert len({bytes(row.salt) for row in rows}) == 4


async def test_a_record_that_comes_twice_is_there_once(engine: AsyncEngine) -> None:
    chain, twice = str(uuid4()), record(str(uuid4()))
    twice = Record(twice.id, "look", chain, None, twice.content)
    assert await append(engine, twice, record(chain), twice) == 2
    assert await append(engine, twice) == 0
    assert len(await chain_of(engine, chain)) == 2


async def test_many_at_once_give_every_record_one_number_and_no_deadlock(engine: AsyncEngine) -> None:
    chains = [str(uuid4()) for _ in range(5)]
    records = [record(chain) for chain in chains for _ in range(20)]
    batches = []
    for _ in range(10):
        random.shuffle(records)
        batches.append(list(records[:60]))
    added = await asyncio.gather(*(append(engine, *batch) for batch in batches))
    assert sum(added) == len({one.id for batch in batches for one in batch})
    for chain in chains:
        verify(await chain_of(engine, chain))


async def test_a_failed_append_leaves_no_gap(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    await append(engine, record(chain))
    with pytest.raises(RuntimeError, match="on purpose"):
        async with engine.begin() as conn:
            await ledger.append(conn, [record(chain)])
            raise RuntimeError("on purpose")
    await append(engine, record(chain))
    verify(await chain_of(engine, chain))


async def test_nobody_changes_or_deletes_a_record(engine: AsyncEngine) -> None:
    chain = str(uuid4())
    await append(engine, record(chain))
    for statement in ("UPDATE ledger SET actor = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"):
        with pytest.raises(Exception, match="only ever added"):
            async with engine.begin() as conn:
                await conn.exec_driver_sql(statement)
    assert len(await chain_of(engine, chain)) == 1


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
        {"categories": "school"}, {"categories": ["a b"]}, {"outcome": "maybe"}, {"grants": None},
        {"actor": {"kind": "ghost", "id": "x"}}, {"extra": 1.5}, {"extra": {"å": 1}},
    ],
)  # fmt: skip
async def test_a_record_of_the_wrong_form_is_told_and_not_taken(change: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, BadEvent)):
        to_ledger(looked(**change))
