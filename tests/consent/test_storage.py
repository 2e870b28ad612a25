"""The tables as the migrations make them, and what the database itself forbids."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from consent.storage import APPEND_ONLY, metadata

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_migrations_make_exactly_the_tables_of_the_code(engine: AsyncEngine) -> None:
    def compare(conn: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(conn), metadata))

    async with engine.connect() as conn:
        assert await conn.run_sync(compare) == []


async def test_the_leader_has_one_row_and_there_can_be_no_other(engine: AsyncEngine) -> None:
    async with engine.connect() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM leader"))).scalar() == 1
    with pytest.raises(Exception, match="check constraint"):
        async with engine.begin() as conn:
            await conn.execute(text("INSERT INTO leader (id, epoch, lease_max, address) VALUES (2, 0, 0, '')"))


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_rows_that_prove_something_are_only_ever_added(engine: AsyncEngine, table: str) -> None:
    async with engine.connect() as conn:
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = CAST(:t AS regclass) AND NOT tgisinternal"
        triggers = await conn.execute(text(query), {"t": table})
        assert {row[0] for row in triggers} >= {"only_add", "never_empty"}
