"""Queries for what writes made or changed."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.looks import Effect
from consent.storage.tables import made


async def keep_made(
    conn: AsyncConnection, event: str, record: str, subject: str, effect: Effect, number: int, at: datetime
) -> None:
    """Add what an event says that this write made or changed. number: the place of the event among those of its log."""
    await conn.execute(
        insert(made).values(
            event=event, record=record, subject=subject, item=effect.item, category=effect.category, type=effect.type,
            number=number, at=at, above=sorted(effect.above),
        )
    )  # fmt: skip


async def made_by(conn: AsyncConnection, subject: str, records: Collection[str]) -> dict[str, list[Effect]]:
    """What these writes about the subject made or changed, in the order in which it happened."""
    query = select(made.c.record, made.c.type, made.c.item, made.c.category, made.c.above)
    query = query.where(made.c.subject == subject, made.c.record.in_(records)).order_by(made.c.number, made.c.event)
    found: dict[str, list[Effect]] = {}
    for row in await conn.execute(query):
        found.setdefault(row.record, []).append(Effect(row.type, row.item, row.category, frozenset(row.above)))
    return found


async def forget_made(conn: AsyncConnection, subject: str) -> None:
    """Which items there are about somebody, and which write made them: gone."""
    await conn.execute(delete(made).where(made.c.subject == subject))
