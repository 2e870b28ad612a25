"""Items and the one query that fetches them. What fetches content demands a Permit and is cut to it in SQL."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import DateTime, String, bindparam, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.permit import Permit
from chassis.storage import Direct
from logbook import model
from logbook.model import Author, Item, Log, Reference
from logbook.storage.logs import author_columns, next_number
from logbook.storage.tables import holder, item, log


async def add_item(
    conn: AsyncConnection, found: Log, new: Item, title: bytes | None, words: bytes | None, place: bytes | None
) -> int:
    """Insert a new item under the log's next number and give that number; title, text and place come sealed."""
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
            meet_at=new.meet_at,
            place=place,
            version=new.version,
            **author_columns(new.by),
        )
    )
    return number


async def change_item(conn: AsyncConnection, changed: Item, place: bytes | None = None) -> None:
    """Keep the new state of a measure or a meeting; the caller has locked the log and raised the version.

    place: another one, sealed; None leaves the one that is there.
    """
    values = {
        "state": changed.state,
        "evaluate_on": changed.evaluate_on,
        "accepted_at": changed.accepted_at,
        "meet_at": changed.meet_at,
        "version": changed.version,
    } | ({} if place is None else {"place": place})
    await conn.execute(update(item).where(item.c.id == changed.id).values(values))


# Queries are built once: building one costs more than asking it.
_cell = (
    func.unnest(bindparam("categories", type_=ARRAY(String)), bindparam("backs", type_=ARRAY(DateTime(timezone=True))))
    .table_valued("category", "back")
    .render_derived(name="cell")
)
_subject = item.c.subject == bindparam("subject")
_left = (
    select(1)
    .select_from(_cell)
    .where(_cell.c.category == item.c.category, or_(_cell.c.back.is_(None), _cell.c.back <= item.c.at))
    .exists()
)
"""Rows that the permit leaves: one of its categories, as far back as that cell reaches. Takes what `_cut` gives."""


def _cut(permit: Permit) -> dict[str, Any]:
    """Subject and cells; nothing is written under a system category, so none of those is a right to content."""
    cells = [cell for cell in permit.cells if cell.category not in model.SYSTEM_CATEGORIES]
    backs = [None if cell.back is None else datetime.fromtimestamp(cell.back, UTC) for cell in cells]
    return {"subject": permit.subject, "categories": [cell.category for cell in cells], "backs": backs}


class Sealed(NamedTuple):
    """An item as it lies there, a field for each column of the query for content: title, text and place are sealed.

    Read by position: looking columns up by name would cost more than fetching them.
    """

    id: str
    kind: str
    category: str
    at: datetime
    by_kind: str
    by_id: str
    by_service: str | None
    title: bytes | None
    text: bytes | None
    goal: str | None
    measure: str | None
    state: str | None
    responsible: str | None
    accepted_at: datetime | None
    evaluate_on: date | None
    outcome: str | None
    meet_at: datetime | None
    place: bytes | None
    version: int
    goal_category: str
    goal_at: datetime
    measure_category: str
    measure_at: datetime
    holder: str

    def item(self, title: str | None = None, text: str | None = None, place: str | None = None) -> Item:
        """The item with these words, or without any."""
        return Item(
            self.id, self.kind, self.category, self.at, Author(self.by_kind, self.by_id, self.by_service), title, text,
            _reference(self.goal, self.goal_category, self.goal_at),
            _reference(self.measure, self.measure_category, self.measure_at),
            self.state, self.responsible, self.accepted_at, self.evaluate_on, self.outcome, self.version, self.holder,
            self.meet_at, place,
        )  # fmt: skip


def _reference(item_id: str | None, category: str, at: datetime) -> Reference | None:
    return None if item_id is None else Reference(item_id, category, at)


_logs = (
    select(log.c.id, holder.c.service)
    .join_from(log, holder, holder.c.id == log.c.holder)
    .where(log.c.subject == bindparam("subject"))
    .cte("logs")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
"""The subject's few logs with their holders, looked up once and not again for each item."""

_goal, _measure, _last = item.alias("goal_"), item.alias("measure_"), item.alias("last_")
_joined = {
    "goal_category": _goal.c.category, "goal_at": _goal.c.at, "measure_category": _measure.c.category,
    "measure_at": _measure.c.at, "holder": _logs.c.service,
}  # fmt: skip


_items = (
    select(*((_joined[name] if name in _joined else item.c[name]).label(name) for name in Sealed._fields))
    .join_from(item, _logs, _logs.c.id == item.c.log)
    .outerjoin(_goal, _goal.c.id == item.c.goal)
    .outerjoin(_measure, _measure.c.id == item.c.measure)
    .where(_subject, _left)
)
"""The one query for content: cut by the permit, with what decides whether goal and measure may be mentioned."""

_one = _items.where(item.c.id == bindparam("item"))
_front = (
    _items.where(or_(item.c.kind == model.GOAL, item.c.kind == model.MEASURE))
    .where(item.c.state.is_distinct_from(model.ENDED))
    .order_by(item.c.number.desc())
    .limit(bindparam("limit"))
)
_next_meeting = (
    _items.where(item.c.kind == model.MEETING, item.c.state == model.PLANNED, item.c.meet_at > bindparam("now"))
    .order_by(item.c.meet_at, item.c.number)
    .limit(1)
)
_next_evaluation = (
    select(item.c.evaluate_on)
    .where(_subject, _left, item.c.evaluate_on.is_not(None))
    .order_by(item.c.evaluate_on)
    .limit(1)
)


@cache
def _some(*, kind: bool, due_by: bool, after: bool) -> Direct:
    """The list under each of its filters that is asked for."""
    query = _items
    if kind:
        query = query.where(item.c.kind == bindparam("kind"))
    if due_by:
        query = query.where(item.c.evaluate_on <= bindparam("due_by"))
    if after:
        mine = (_last.c.id == bindparam("after"), _last.c.subject == bindparam("subject"))
        query = query.where(item.c.number > select(_last.c.number).where(*mine).scalar_subquery())
    return Direct(query.order_by(item.c.number).limit(bindparam("limit")))


async def one_item(conn: AsyncConnection, permit: Permit, item_id: str) -> Sealed | None:
    """The item, if the permit leaves it. None for one that is not there and for one of another category alike."""
    row = (await conn.execute(_one, {**_cut(permit), "item": item_id})).first()
    return None if row is None else Sealed._make(row)


async def some_items(
    engine: AsyncEngine, permit: Permit, kind: str | None, due_by: date | None, after: str | None, limit: int
) -> Sequence[Sealed]:
    """Items in the order they were written, after the item with id `after`, at most `limit`.

    due_by: only measures whose next evaluation is on that day or before.
    """
    filters = {"kind": kind, "due_by": due_by, "after": after}
    query = _some(kind=kind is not None, due_by=due_by is not None, after=after is not None)
    given = {name: value for name, value in filters.items() if value is not None}
    rows = await query.fetch(engine, {**_cut(permit), **given, "limit": limit})
    return [Sealed._make(row) for row in rows]


async def front(conn: AsyncConnection, permit: Permit, limit: int) -> Sequence[Sealed]:
    """The newest goals and measures that the permit leaves, at most `limit`, in the order they were written.

    Without measures that have ended.
    """
    rows = (await conn.execute(_front, {**_cut(permit), "limit": limit})).all()
    return [Sealed._make(row) for row in reversed(rows)]


async def next_meeting(conn: AsyncConnection, permit: Permit, now: datetime) -> Sealed | None:
    """The earliest meeting after `now` that the permit leaves and nobody has called off, or None."""
    row = (await conn.execute(_next_meeting, {**_cut(permit), "now": now})).first()
    return None if row is None else Sealed._make(row)


async def next_evaluation(conn: AsyncConnection, permit: Permit) -> date | None:
    """The earliest evaluation date among the measures that the permit leaves, or None."""
    found: date | None = (await conn.execute(_next_evaluation, _cut(permit))).scalar()
    return found
