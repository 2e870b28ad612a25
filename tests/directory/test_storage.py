"""The tables: what the migrations make is what the code expects, and what saving an entity means."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from directory import storage
from directory.handlers.confirming import confirmed, horizon_passed
from directory.messages import STATE_TOPIC, HorizonPassed
from directory.storage import Change, Published

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CHANGE = Change("tester", NOW)
BODY: dict[str, Any] = {"special": False, "names": {"nb": "Skole"}}


async def test_the_migrations_make_the_tables_that_the_code_expects(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), storage.metadata))

    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []


async def test_a_change_raises_the_version_and_the_same_again_does_not(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        assert await storage.save(conn, "category", "school", CHANGE, body=BODY) == 1
        assert await storage.save(conn, "category", "school", CHANGE, body=dict(BODY), active=True) is None
        assert await storage.save(conn, "category", "school", CHANGE, body={**BODY, "special": True}) == 2
        assert await storage.save(conn, "category", "school", CHANGE, active=False) == 3
        rows = (await conn.execute(select(storage.history.c.version, storage.history.c.active))).all()
    assert sorted(rows) == [(1, True), (2, True), (3, False)]


async def test_one_login_is_bound_to_one_active_member_only(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await storage.save(conn, "staff", "a", CHANGE, body={}, identity="login")
        await storage.save(conn, "staff", "a", CHANGE, active=False)
        await storage.save(conn, "staff", "b", CHANGE, body={}, identity="login")
    with pytest.raises(IntegrityError):
        async with engine.begin() as conn:
            await storage.save(conn, "staff", "c", CHANGE, body={}, identity="login")


async def _saved(conn: AsyncConnection, *positions: int) -> None:
    """One entity, changed and published once for each position."""
    for version, position in enumerate(positions, 1):
        await storage.save(conn, "category", "school", CHANGE, body={"n": version})
        await storage.mark_published(conn, STATE_TOPIC, [Published("category", "school", version, position)])


async def _pass(conn: AsyncConnection, position: int, topic: str = STATE_TOPIC, partition: int = 0) -> int:
    return await horizon_passed(conn, HorizonPassed(topic=topic, partition=partition, position=position))


async def test_a_change_is_confirmed_when_the_horizon_lies_beyond_it_and_not_at_it(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await _saved(conn, 10)
        assert not await confirmed(conn, "category", "school")
        assert await _pass(conn, 10) == 0
        assert not await confirmed(conn, "category", "school")
        assert await _pass(conn, 11) == 1
        assert await confirmed(conn, "category", "school")


async def test_another_topic_another_partition_and_an_older_position_confirm_nothing(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await _saved(conn, 10)
        await _pass(conn, 99, "consent.state.v1")
        await _pass(conn, 99, partition=1)
        assert not await confirmed(conn, "category", "school")
        await _pass(conn, 11)
        assert await _pass(conn, 5) == 0
        assert await storage.horizon_of(conn, STATE_TOPIC) == 11


async def test_a_later_change_is_not_confirmed_by_the_horizon_of_an_earlier_one(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await _saved(conn, 10)
        await _pass(conn, 11)
        await storage.save(conn, "category", "school", CHANGE, body={"n": 9})
        assert not await confirmed(conn, "category", "school")
        await _pass(conn, 12)
        assert not await confirmed(conn, "category", "school"), "unpublished, so nobody can have passed it"


async def test_a_horizon_that_came_before_the_mark_confirms_with_the_mark(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await _pass(conn, 50)
        await _saved(conn, 10)
        assert await confirmed(conn, "category", "school")


async def test_many_changes_marks_and_horizons_at_once_do_not_wait_for_each_other_for_ever(engine: AsyncEngine) -> None:
    names = [f"category-{number:02d}" for number in range(40)]

    async def change(number: int) -> None:
        async with engine.begin() as conn:
            await storage.one_at_a_time(conn)
            for name in names:
                await storage.save(conn, "category", name, CHANGE, body={"n": number})

    async def mark(number: int) -> None:
        async with engine.begin() as conn:
            marks = [Published("category", name, number, number * 100 + place) for place, name in enumerate(names)]
            await storage.mark_published(conn, STATE_TOPIC, reversed(marks))

    async def pass_(number: int) -> None:
        async with engine.begin() as conn:
            await _pass(conn, number * 100 + 20)

    await change(0)
    for number in range(1, 6):
        await asyncio.gather(change(number), mark(number), pass_(number))
    async with engine.begin() as conn:
        await _pass(conn, 10_000)
        rows = await storage.listed(conn, "category")
    assert {(row["version"], row["published"], row["confirmed"]) for row in rows} == {(6, 5, 5)}


async def test_a_mark_for_an_older_version_changes_nothing(engine: AsyncEngine) -> None:
    async with engine.begin() as conn:
        await _saved(conn, 10, 20)
        await storage.mark_published(conn, STATE_TOPIC, [Published("category", "school", 1, 30)])
        row = await storage.find(conn, "category", "school")
    assert row is not None and (row["published"], row["position"]) == (2, 20)
