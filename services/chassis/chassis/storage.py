"""PostgreSQL: one engine per process, migrations at start, and sessions that cannot hang."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, MetaData, Select, event, exc, text
from sqlalchemy.dialects.postgresql import asyncpg as written_for
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_MIGRATION_LOCK = 7_264_001
_TRUSTED_SECONDS = 5.0
_AWAKE_SECONDS = 0.5
_SESSION = {
    "statement_timeout": "15000",
    "lock_timeout": "10000",
    "jit": "off",  # our queries are short: compiling them costs more than it saves
}
_IDLE = "idle_in_transaction_session_timeout"


def make_engine(url: str, *, pool_size: int = 8, idle_seconds: int = 30) -> AsyncEngine:
    """An engine whose statements, locks and idle transactions all end by themselves. Opens nothing yet.

    idle_seconds: how long a transaction may say nothing, as that of a stopped process does, and keep its locks.
    """
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=5, hide_parameters=True,
        connect_args={"timeout": 5, "command_timeout": 20, "server_settings": {**_SESSION, _IDLE: f"{idle_seconds}s"}},
        json_serializer=_as_text, json_deserializer=msgspec.json.decode,
    )  # fmt: skip
    _only_living(engine)
    return engine


def _as_text(found: Any) -> str:
    return msgspec.json.encode(found).decode()


def _only_living(engine: AsyncEngine) -> None:
    """Hand out no connection that is known to be closed, nor one that lay idle for seconds and does not answer.

    Asking each time (`pool_pre_ping`) costs three round trips, more than most queries. What dies unseen within those
    seconds fails one request; the engine then throws away the whole pool, as after a failed question.
    """
    dialect = engine.dialect

    def returned(_: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    def taken(connection: Any, record: Any, _: Any) -> None:
        since = record.info.get("idle_since")
        if since is None:
            return
        try:
            gone = connection.driver_connection.is_closed()
            if not gone and time.monotonic() - since > _TRUSTED_SECONDS:
                gone = not dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise exc.InvalidatePoolError from error
        if gone:
            raise exc.InvalidatePoolError

    event.listen(engine.sync_engine, "checkin", returned)
    event.listen(engine.sync_engine, "checkout", taken)


class Direct:
    """A query that SQLAlchemy writes once and the driver fetches, for what is asked hundreds of times a second.

    The same query costs a third of what it costs through `execute`. It is asked by itself, on a connection of the pool
    that nobody else has, so it sees nothing of a transaction of the caller's. Errors are asyncpg's.
    """

    def __init__(self, query: Select[Any]) -> None:
        compiled = query.compile(dialect=written_for.dialect())  # type: ignore[no-untyped-call]
        self._sql = str(compiled)
        self._fixed: Mapping[str, Any] = compiled.params
        self._names: list[str] = compiled.positiontup or []

    async def fetch(self, engine: AsyncEngine, values: Mapping[str, Any]) -> "list[asyncpg.Record]":
        """All rows, their columns in the order of the query. Values go to the driver as they are."""
        given = {**self._fixed, **values}
        pooled = await engine.raw_connection()
        driver: Any = pooled.driver_connection
        try:
            rows: list[asyncpg.Record] = await driver.fetch(self._sql, *(given[name] for name in self._names))
        except BaseException:
            pooled.invalidate()  # an answer that is still under way must not meet the next question
            raise
        pooled.close()
        return rows


async def raw_connection(url: str, *, idle_timeout: str | None = None) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of its own, outside every pool, for LISTEN and for advisory locks.

    idle_timeout: PostgreSQL's `idle_session_timeout`; with it a stopped process loses its session and its lock.
    """
    parts = make_url(url)
    plain = parts.set(drivername="postgresql").render_as_string(hide_password=False)
    server_settings = {} if idle_timeout is None else {"idle_session_timeout": idle_timeout}
    return await asyncpg.connect(plain, timeout=5, command_timeout=10, server_settings=server_settings)


async def while_awake(conn: "asyncpg.Connection[asyncpg.Record]", work: Coroutine[Any, Any, Any]) -> None:
    """Do `work` while keeping a lock's session awake: its silence would give the lock away, as that of a stopped
    process must."""
    task = asyncio.create_task(work)
    try:
        while True:
            await conn.fetchval("SELECT 1")
            done, _ = await asyncio.wait({task}, timeout=_AWAKE_SECONDS)
            if done:
                task.result()
                return
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def migrate(engine: AsyncEngine, folder: Path) -> None:
    """Bring the database to the newest revision in `folder`. Replicas that start together wait for one another."""

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    async with engine.connect() as conn:
        await conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        await conn.commit()
        try:
            await conn.run_sync(upgrade)
            await conn.commit()
        finally:
            await conn.rollback()
            await conn.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
            await conn.commit()


def run_migrations(context: EnvironmentContext, metadata: MetaData) -> None:
    """The whole of a service's `migrations/env.py`: run on the connection that `migrate` opened."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
