"""Items and the one query that fetches them. What fetches content demands a Permit and is cut to it in SQL."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import DateTime, Select, String, and_, any_, bindparam, func, insert, not_, or_, select, true, update
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
    found = {"subject": permit.subject, "categories": [cell.category for cell in cells], "backs": backs}
    if permit.kept is None:
        return found
    kept = permit.kept
    return {**found, "kept_categories": list(kept.categories), "kept_items": list(kept.items), "own": kept.own}


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
    goal_by: str
    measure_category: str
    measure_at: datetime
    measure_by: str
    holder: str

    def item(self, title: str | None = None, text: str | None = None, place: str | None = None) -> Item:
        """The item with these words, or without any."""
        return Item(
            self.id, self.kind, self.category, self.at, Author(self.by_kind, self.by_id, self.by_service), title, text,
            _reference(self.goal, self.goal_category, self.goal_at, self.goal_by),
            _reference(self.measure, self.measure_category, self.measure_at, self.measure_by),
            self.state, self.responsible, self.accepted_at, self.evaluate_on, self.outcome, self.version, self.holder,
            self.meet_at, place,
        )  # fmt: skip


def _reference(item_id: str | None, category: str, at: datetime, by: str) -> Reference | None:
    return None if item_id is None else Reference(item_id, category, at, by)


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
    "goal_category": _goal.c.category, "goal_at": _goal.c.at, "goal_by": _goal.c.by_id,
    "measure_category": _measure.c.category, "measure_at": _measure.c.at, "measure_by": _measure.c.by_id,
    "holder": _logs.c.service,
}  # fmt: skip


_items = (
    select(*((_joined[name] if name in _joined else item.c[name]).label(name) for name in Sealed._fields))
    .join_from(item, _logs, _logs.c.id == item.c.log)
    .outerjoin(_goal, _goal.c.id == item.c.goal)
    .outerjoin(_measure, _measure.c.id == item.c.measure)
    .where(_subject, _left)
)
"""The one query for content: cut by the permit, with what decides whether goal and measure may be mentioned."""


def _kept(one: Any) -> Any:
    """Is it kept from the reader? None where there is no such item."""
    return and_(
        one.c.by_id != bindparam("own"),
        or_(
            one.c.category == any_(bindparam("kept_categories", type_=ARRAY(String))),
            one.c.id == any_(bindparam("kept_items", type_=ARRAY(String))),
        ),
    )


_towards = item.alias("towards_")
_items_but_kept = _items.outerjoin(_towards, _towards.c.id == _measure.c.goal).where(
    not_(_kept(item)),
    or_(
        item.c.by_id == bindparam("own"),
        and_(*(func.coalesce(not_(_kept(above)), true()) for above in (_goal, _measure, _towards))),
    ),
)
"""The same without what is kept from the reader, and what stands under it: as if it had never been written."""


def _content(permit: Permit) -> Select[Any]:
    return _items if permit.kept is None else _items_but_kept


@cache
def _one(query: Select[Any]) -> Select[Any]:
    return query.where(item.c.id == bindparam("item"))


@cache
def _front(query: Select[Any]) -> Select[Any]:
    """Goals, and measures that have not ended."""
    return (
        query.where(or_(item.c.kind == model.GOAL, item.c.kind == model.MEASURE))
        .where(item.c.state.is_distinct_from(model.ENDED))
        .order_by(item.c.number.desc())
        .limit(bindparam("limit"))
    )


@cache
def _next_meeting(query: Select[Any]) -> Select[Any]:
    return (
        query.where(item.c.kind == model.MEETING, item.c.state == model.PLANNED, item.c.meet_at > bindparam("now"))
        .order_by(item.c.meet_at, item.c.number)
        .limit(1)
    )


@cache
def _next_evaluation(query: Select[Any]) -> Select[Any]:
    """Where nothing is kept, without the joins that tell it."""
    days = select(item.c.evaluate_on).where(_subject, _left) if query is _items else query
    dated = days.with_only_columns(item.c.evaluate_on).where(item.c.evaluate_on.is_not(None))
    return dated.order_by(item.c.evaluate_on).limit(1)


@cache
def _some(query: Select[Any], *, kind: bool, due_by: bool, after: bool) -> Direct:
    """The list under each of its filters that is asked for."""
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
    row = (await conn.execute(_one(_content(permit)), {**_cut(permit), "item": item_id})).first()
    return None if row is None else Sealed._make(row)


async def some_items(
    engine: AsyncEngine, permit: Permit, kind: str | None, due_by: date | None, after: str | None, limit: int
) -> Sequence[Sealed]:
    """Items in the order they were written, after the item with id `after`, at most `limit`.

    due_by: only measures whose next evaluation is on that day or before.
    """
    filters = {"kind": kind, "due_by": due_by, "after": after}
    query = _some(_content(permit), kind=kind is not None, due_by=due_by is not None, after=after is not None)
    given = {name: value for name, value in filters.items() if value is not None}
    rows = await query.fetch(engine, {**_cut(permit), **given, "limit": limit})
    return [Sealed._make(row) for row in rows]


async def front(conn: AsyncConnection, permit: Permit, limit: int) -> Sequence[Sealed]:
    """The newest goals and measures that the permit leaves, at most `limit`, in the order they were written.

    Without measures that have ended.
    """
    rows = (await conn.execute(_front(_content(permit)), {**_cut(permit), "limit": limit})).all()
    return [Sealed._make(row) for row in reversed(rows)]


async def next_meeting(conn: AsyncConnection, permit: Permit, now: datetime) -> Sealed | None:
    """The earliest meeting after `now` that the permit leaves and nobody has called off, or None."""
    row = (await conn.execute(_next_meeting(_content(permit)), {**_cut(permit), "now": now})).first()
    return None if row is None else Sealed._make(row)


async def next_evaluation(conn: AsyncConnection, permit: Permit) -> date | None:
    """The earliest evaluation date among the measures that the permit leaves, or None."""
    found: date | None = (await conn.execute(_next_evaluation(_content(permit)), _cut(permit))).scalar()
    return found
