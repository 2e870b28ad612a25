"""PostgreSQL: one engine per process, migrations at start, and sessions that cannot hang."""

from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_MIGRATION_LOCK = 7_264_001
_TIMEOUTS = {
    "statement_timeout": "15000",
    "lock_timeout": "10000",
    "idle_in_transaction_session_timeout": "30000",
}


def make_engine(url: str, *, pool_size: int = 8) -> AsyncEngine:
    """An engine whose statements, locks and idle transactions all end by themselves. Opens nothing yet."""
    return create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=5, pool_pre_ping=True,
        connect_args={"timeout": 5, "command_timeout": 20, "server_settings": _TIMEOUTS},
    )  # fmt: skip


async def raw_connection(url: str, *, idle_timeout: str | None = None) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection of its own, outside every pool, for LISTEN and for advisory locks.

    idle_timeout: PostgreSQL's `idle_session_timeout`; with it a stopped process loses its session and its lock.
    """
    parts = make_url(url)
    plain = parts.set(drivername="postgresql").render_as_string(hide_password=False)
    server_settings = {} if idle_timeout is None else {"idle_session_timeout": idle_timeout}
    return await asyncpg.connect(plain, timeout=5, command_timeout=10, server_settings=server_settings)


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
