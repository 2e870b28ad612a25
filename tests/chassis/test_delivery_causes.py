"""Whose fault an error is: errors as they really come from PostgreSQL, its driver and the framework."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import ClientConnectionError
from aiokafka.errors import KafkaTimeoutError
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.causes import PartFailure, caused_by_a_part, reason
from chassis.events import BadEvent
from chassis.storage import make_engine
from tests.stack import Postgres

NAME = "Kari Nordmann"


@pytest.fixture
async def engine(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    made = make_engine(postgres.fresh_database("causes"), pool_size=2)
    async with made.begin() as conn:
        await conn.execute(text("CREATE TABLE one (n integer PRIMARY KEY, word varchar(5) CHECK (word <> 'never'))"))
        await conn.execute(text("INSERT INTO one VALUES (1, 'first')"))
    yield made
    await made.dispose()


async def error_of(work: Awaitable[object]) -> Exception:
    try:
        await work
    except Exception as error:
        return error
    raise AssertionError("it did not fail")


async def run(engine: AsyncEngine, statement: str, **values: object) -> None:
    async with engine.begin() as conn:
        await conn.execute(text(statement), values)


BY_THE_MESSAGE: dict[str, tuple[str, dict[str, object]]] = {
    "a key that is taken": ("INSERT INTO one VALUES (1, 'x')", {}),
    "a rule of the table": ("INSERT INTO one VALUES (2, 'never')", {}),
    "a word too long": ("INSERT INTO one VALUES (3, :word)", {"word": NAME}),
    "a zero byte": ("INSERT INTO one VALUES (4, :word)", {"word": "a\0b"}),
    "a value of another type": ("INSERT INTO one VALUES (:n, 'x')", {"n": NAME}),
    "a number too large": ("INSERT INTO one VALUES (:n, 'x')", {"n": 2**40}),
    "not an id": ("SELECT CAST(CAST(:n AS text) AS uuid)", {"n": NAME}),
}

BY_A_PART = {
    "a table that is missing": "SELECT * FROM nowhere",
    "a statement that takes too long": "SET LOCAL statement_timeout = 50; SELECT pg_sleep(5)",
    "a session that is ended": "SELECT pg_terminate_backend(pg_backend_pid())",
    "a database that only reads": "SET TRANSACTION READ ONLY; DELETE FROM one",
}


@pytest.mark.parametrize("case", sorted(BY_THE_MESSAGE))
async def test_what_the_database_turns_down_is_the_messages_fault(engine: AsyncEngine, case: str) -> None:
    statement, values = BY_THE_MESSAGE[case]
    error = await error_of(run(engine, statement, **values))
    assert not caused_by_a_part(error), repr(error)
    assert "Kari" not in reason(error)


@pytest.mark.parametrize("case", sorted(BY_A_PART))
async def test_what_the_database_cannot_do_now_is_not_the_messages_fault(engine: AsyncEngine, case: str) -> None:
    async def work() -> None:
        async with engine.begin() as conn:
            for statement in BY_A_PART[case].split("; "):
                await conn.execute(text(statement))

    assert caused_by_a_part(await error_of(work()))


async def test_a_deadlock_is_not_the_messages_fault(engine: AsyncEngine) -> None:
    await run(engine, "INSERT INTO one VALUES (2, 'x')")
    met = asyncio.Barrier(2)

    async def cross(first: int, then: int) -> None:
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE one SET word = 'y' WHERE n = :n"), {"n": first})
            await met.wait()
            await conn.execute(text("UPDATE one SET word = 'y' WHERE n = :n"), {"n": then})

    ends = await asyncio.gather(cross(1, 2), cross(2, 1), return_exceptions=True)
    (error,) = [one for one in ends if one is not None]
    assert caused_by_a_part(error)
    assert "40P01" in reason(error)


async def test_a_database_that_is_away_or_full_is_not_the_messages_fault(engine: AsyncEngine) -> None:
    away = make_engine("postgresql+asyncpg://nobody:none@127.0.0.1:9/none", pool_size=1)
    wrong = make_engine(engine.url.set(password="wrong").render_as_string(hide_password=False), pool_size=1)
    for other in (away, wrong):
        assert caused_by_a_part(await error_of(run(other, "SELECT 1")))
        await other.dispose()
    async with engine.connect(), engine.connect():
        assert caused_by_a_part(await error_of(run(engine, "SELECT 1")))


def chained(cause: Exception) -> Exception:
    error = RuntimeError(NAME)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (PartFailure("lease"), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (KafkaTimeoutError(), True),
        (ClientConnectionError(), True),
        (chained(ConnectionResetError()), True),
        (ExceptionGroup("both", [ValueError(), OSError()]), True),
        (ValueError(NAME), False),
        (KeyError(NAME), False),
        (BadEvent("no value"), False),
        (chained(ValueError(NAME)), False),
        (ExceptionGroup("both", [ValueError(NAME)]), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_other_errors_are_told_apart(error: Exception, part: bool) -> None:
    assert caused_by_a_part(error) is part
    assert "Kari" not in reason(error)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    n: int


class Outer(BaseModel):
    inner: list[Inner]


def test_a_reason_tells_kind_and_place_and_never_what_was_there() -> None:
    async def parse(build: Callable[[], object]) -> None:
        build()

    error = asyncio.run(error_of(parse(lambda: Outer.model_validate({"inner": [{"n": NAME, NAME: NAME}]}))))
    assert reason(error) == "int_parsing at inner.0.n; extra_forbidden at inner.0"
