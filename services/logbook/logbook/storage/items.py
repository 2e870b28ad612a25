"""Items and the one query that fetches them. What fetches content demands a Permit and is cut to it in SQL."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, false, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Permit
from logbook import model
from logbook.model import Item, Log, Reference
from logbook.storage.logs import author_columns, author_of, next_number
from logbook.storage.tables import holder, item, log


async def add_item(conn: AsyncConnection, found: Log, new: Item, title: bytes | None, words: bytes | None) -> int:
    """Insert a new item under the log's next number and give that number; title and text come sealed."""
    number = await next_number(conn, found)
    await conn.execute(
        insert(item).values(
            id=new.id,
            log=found.id,
            subject=found.subject,
            number=number,
            kind=new.kind,
            category=new.category,
            at=new.at,
            title=title,
            text=words,
            goal=new.goal and new.goal.id,
            measure=new.measure and new.measure.id,
            state=new.state,
            responsible=new.responsible,
            accepted_at=new.accepted_at,
            evaluate_on=new.evaluate_on,
            outcome=new.outcome,
            version=new.version,
            **author_columns(new.by),
        )
    )
    return number


async def change_item(conn: AsyncConnection, changed: Item) -> None:
    """Keep the new state of a measure; the caller has locked the log and raised the version."""
    values = {
        "state": changed.state,
        "evaluate_on": changed.evaluate_on,
        "accepted_at": changed.accepted_at,
        "version": changed.version,
    }
    await conn.execute(update(item).where(item.c.id == changed.id).values(values))


def _left_by(permit: Permit) -> ColumnElement[bool]:
    """Rows that the permit leaves: one of its categories, as far back as that cell reaches."""
    cells = []
    for cell in permit.cells:
        if cell.category in model.SYSTEM_CATEGORIES:
            continue
        same = item.c.category == cell.category
        if cell.back is not None:
            same = and_(same, item.c.at >= datetime.fromtimestamp(cell.back, UTC))
        cells.append(same)
    return or_(false(), *cells)


_goal, _measure = item.alias("goal_"), item.alias("measure_")


def _items(permit: Permit) -> Select[Any]:
    """The one query for content: cut by the permit, with what decides whether goal and measure may be mentioned."""
    return (
        select(
            item,
            _goal.c.category.label("goal_category"),
            _goal.c.at.label("goal_at"),
            _measure.c.category.label("measure_category"),
            _measure.c.at.label("measure_at"),
            holder.c.service.label("holder_service"),
        )
        .join(log, log.c.id == item.c.log)
        .join(holder, holder.c.id == log.c.holder)
        .outerjoin(_goal, _goal.c.id == item.c.goal)
        .outerjoin(_measure, _measure.c.id == item.c.measure)
        .where(item.c.subject == permit.subject, _left_by(permit))
    )


Sealed = tuple[Item, bytes | None, bytes | None]
"""An item without its words, its sealed title, its sealed text."""


async def one_item(conn: AsyncConnection, permit: Permit, item_id: str) -> Sealed | None:
    """The item, if the permit leaves it. None for one that is not there and for one of another category alike."""
    row = (await conn.execute(_items(permit).where(item.c.id == item_id))).mappings().first()
    return None if row is None else _item(row)


async def some_items(
    conn: AsyncConnection, permit: Permit, kind: str | None, due_by: date | None, after: str | None, limit: int
) -> Sequence[Sealed]:
    """Items in the order they were written, after the item with id `after`, at most `limit`.

    due_by: only measures whose next evaluation is on that day or before.
    """
    query = _items(permit)
    if kind is not None:
        query = query.where(item.c.kind == kind)
    if due_by is not None:
        query = query.where(item.c.evaluate_on <= due_by)
    if after is not None:
        last = select(item.c.number).where(item.c.id == after, item.c.subject == permit.subject).scalar_subquery()
        query = query.where(item.c.number > last)
    rows = (await conn.execute(query.order_by(item.c.number).limit(limit))).mappings()
    return [_item(row) for row in rows]


async def next_evaluation(conn: AsyncConnection, permit: Permit) -> date | None:
    """The earliest evaluation date among the measures that the permit leaves, or None."""
    query = (
        select(item.c.evaluate_on)
        .where(item.c.subject == permit.subject, _left_by(permit), item.c.evaluate_on.is_not(None))
        .order_by(item.c.evaluate_on)
        .limit(1)
    )
    found: date | None = (await conn.execute(query)).scalar()
    return found


def _item(row: RowMapping) -> Sealed:
    found = Item(
        row["id"],
        row["kind"],
        row["category"],
        row["at"],
        author_of(row),
        state=row["state"],
        responsible=row["responsible"],
        accepted_at=row["accepted_at"],
        evaluate_on=row["evaluate_on"],
        outcome=row["outcome"],
        version=row["version"],
        holder=row["holder_service"],
    )
    if row["goal"] is not None:
        found = replace(found, goal=Reference(row["goal"], row["goal_category"], row["goal_at"]))
    if row["measure"] is not None:
        found = replace(found, measure=Reference(row["measure"], row["measure_category"], row["measure_at"]))
    return found, row["title"], row["text"]
