"""What nothing can bring back is forgotten, and nothing sooner; a database that is away ends nothing."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import MetaData, insert, select

from chassis import housekeeping, idempotency, inbox
from chassis.storage import make_engine
from tests.stack import Postgres

METADATA = MetaData()
KEYS, INBOX = idempotency.idempotency_table(METADATA), inbox.inbox_table(METADATA)
NOW = datetime(2026, 6, 1, tzinfo=UTC)


async def test_only_what_is_old_enough_is_forgotten(postgres: Postgres) -> None:
    engine = make_engine(postgres.fresh_database("housekeeping"))
    old = {"keys": NOW - timedelta(hours=49), "handled": NOW - housekeeping.REMEMBERED - timedelta(hours=1)}
    young = {"keys": NOW - timedelta(hours=47), "handled": NOW - timedelta(days=91)}
    async with engine.begin() as conn:
        await conn.run_sync(METADATA.create_all)
        for name, times in (("old", old), ("young", young)):
            row = {"scope": name, "body": "b", "status": 201, "resource": "r", "created_at": times["keys"]}
            await conn.execute(insert(KEYS).values(row))
            await conn.execute(insert(INBOX).values(event=name, handler="h", handled_at=times["handled"]))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(housekeeping.forget(engine, lambda: NOW, keys=KEYS, handled=INBOX), 1.0)
    async with engine.connect() as conn:
        assert list(await conn.scalars(select(KEYS.c.scope))) == ["young"]
        assert list(await conn.scalars(select(INBOX.c.event))) == ["young"]
    await engine.dispose()


async def test_a_database_that_is_away_is_tried_again() -> None:
    engine = make_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    with pytest.raises(TimeoutError):  # it still goes on
        await asyncio.wait_for(housekeeping.forget(engine, lambda: NOW, keys=KEYS), 0.5)
    await engine.dispose()
