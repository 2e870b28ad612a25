"""What was handled, in the same transaction as its effect: a doubled message has no second effect."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, DateTime, MetaData, String, Table, delete, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection


def inbox_table(metadata: MetaData) -> Table:
    """Handled event ids, one row per handler that had an effect."""
    return Table(
        "inbox", metadata,
        Column("event", String(64), primary_key=True),
        Column("handler", String(64), primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
    )  # fmt: skip


async def first_time(conn: AsyncConnection, table: Table, event: str, handler: str) -> bool:
    """True once per event and handler. The caller's transaction commits it together with the effect."""
    row = await conn.execute(
        insert(table).values(event=event, handler=handler).on_conflict_do_nothing().returning(table.c.event)
    )
    return row.first() is not None


async def first_times(conn: AsyncConnection, table: Table, events: Iterable[str], handler: str) -> frozenset[str]:
    """Those of these events for which `first_time` would be true. Always in one order: no deadlock between readers."""
    told = func.unnest(literal(sorted(set(events)), ARRAY(String))).alias("told")
    query = insert(table).from_select(["event", "handler"], select(told.column, literal(handler)))
    return frozenset(row.event for row in await conn.execute(query.on_conflict_do_nothing().returning(table.c.event)))


async def forget_before(conn: AsyncConnection, table: Table, moment: datetime) -> int:
    """Drop rows older than the longest time a topic keeps its messages; returns how many."""
    done = await conn.execute(delete(table).where(table.c.handled_at < moment))
    return done.rowcount
