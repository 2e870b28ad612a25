"""What the pool hands out: a living connection, without a question for each."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import Float, Integer, bindparam, func, literal, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import storage
from tests.stack import Postgres

_CUT_OFF = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return postgres.fresh_database("pool")


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    found = storage.make_engine(url, pool_size=1)
    yield found
    await found.dispose()


async def _backend(engine: AsyncEngine) -> int:
    async with engine.connect() as conn:
        return int((await conn.execute(text("SELECT pg_backend_pid()"))).scalar_one())


def _count_questions(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None
) -> list[Any]:
    asked: list[Any] = []
    ping = engine.dialect.do_ping

    def counted(connection: Any) -> bool:
        asked.append(connection)
        if failure is not None:
            raise failure
        return ping(connection)

    monkeypatch.setattr(engine.dialect, "do_ping", counted)
    return asked


async def test_a_connection_that_the_server_ended_is_not_handed_out(url: str, engine: AsyncEngine) -> None:
    first = await _backend(engine)
    async with engine.connect() as conn:
        pooled: Any = (await conn.get_raw_connection()).driver_connection
    other = await storage.raw_connection(url)
    try:
        await other.execute(_CUT_OFF)
    finally:
        await other.close()
    while not pooled.is_closed():  # the end is on its way: the server is asked to end it, and a proxy may be between
        await asyncio.sleep(0.01)
    assert await _backend(engine) != first


async def test_a_connection_in_use_a_moment_ago_is_not_asked(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _count_questions(engine, monkeypatch)
    first = await _backend(engine)
    assert await _backend(engine) == first
    assert asked == []


async def test_an_idle_connection_is_asked_and_kept_when_it_answers(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_TRUSTED_SECONDS", -1.0)
    asked = _count_questions(engine, monkeypatch)
    first = await _backend(engine)
    assert await _backend(engine) == first
    assert len(asked) == 1


async def test_an_idle_connection_that_does_not_answer_is_replaced(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_TRUSTED_SECONDS", -1.0)
    first = await _backend(engine)
    asked = _count_questions(engine, monkeypatch, engine.dialect.loaded_dbapi.OperationalError("gone"))
    assert await _backend(engine) != first
    assert len(asked) == 1


async def test_a_direct_query_gives_what_execute_gives(engine: AsyncEngine) -> None:
    numbers = func.generate_series(bindparam("first", type_=Integer), 5).table_valued("n").render_derived()
    query = select(numbers.c.n, literal("same")).where(numbers.c.n != bindparam("not_this", type_=Integer))
    direct, given = storage.Direct(query.order_by(numbers.c.n)), {"first": 2, "not_this": 4}
    found = [tuple(row) for row in await direct.fetch(engine, given)]
    assert found == [(2, "same"), (3, "same"), (5, "same")]
    async with engine.connect() as conn:
        assert [tuple(row) for row in await conn.execute(query, given)] == found


async def test_a_direct_query_that_is_given_up_takes_its_connection_with_it(engine: AsyncEngine) -> None:
    before = await _backend(engine)
    slow = storage.Direct(select(func.pg_sleep(bindparam("seconds", type_=Float))))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await slow.fetch(engine, {"seconds": 30.0})
    assert await _backend(engine) != before
    assert len(await slow.fetch(engine, {"seconds": 0.0})) == 1


async def test_a_direct_query_that_fails_leaves_the_pool_whole(engine: AsyncEngine) -> None:
    wrong = storage.Direct(select(literal(1) / bindparam("by", type_=Integer)))
    for _ in range(20):  # more than the pool has
        with pytest.raises(asyncpg.DivisionByZeroError):
            await wrong.fetch(engine, {"by": 0})
    assert await _backend(engine)
