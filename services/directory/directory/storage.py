"""The directory's tables and the few queries that need them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Sequence,
    String,
    Table,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import tracing
from chassis.idempotency import idempotency_table
from chassis.inbox import inbox_table

MIGRATIONS = Path(__file__).parents[1] / "migrations"
CHANGED = "directory_changed"
_WRITERS_LOCK = 7_264_101

metadata = MetaData()
changes = Sequence("entity_seq", metadata=metadata)

entity = Table(
    "entity", metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("district", String(64), index=True),
    Column("version", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("identity", String(64)),
    Column("seq", BigInteger, nullable=False),
    Column("traceparent", String(64)),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("published", Integer, nullable=False, server_default="0"),
    Column("position", BigInteger),
    Column("confirmed", Integer, nullable=False, server_default="0"),
    Index("entity_unpublished", "seq", postgresql_where=text("version > published")),
    Index("entity_identity", "identity", unique=True, postgresql_where=text("active AND identity IS NOT NULL")),
    Index(
        "entity_orgnr", text("(body->>'orgnr')"), unique=True, postgresql_where=text("active AND kind = 'agency'")
    ),
)  # fmt: skip
"""One row per entry. `published` and `position`: the newest version Kafka has acknowledged, and where it lies."""

history = Table(
    "history", metadata,
    Column("kind", String(16), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("by", String(64), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("body", JSONB, nullable=False),
)  # fmt: skip
"""Every version there has been, and who made it: a staff id, or the name of a part."""

guide = Table(
    "guide", metadata,
    Column("district", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("source", JSONB, nullable=False),
    Column("body", JSONB, nullable=False),
)  # fmt: skip

invitation = Table(
    "invitation", metadata,
    Column("code", String(64), primary_key=True),
    Column("staff", String(64), nullable=False, index=True),
    Column("expires", DateTime(timezone=True), nullable=False),
    Column("redeemed", DateTime(timezone=True)),
)  # fmt: skip
"""One-time codes as keyed hashes."""

credential = Table(
    "credential", metadata,
    Column("attachment", String(64), primary_key=True),
    Column("user", String(200), nullable=False),
    Column("sealed", String, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)  # fmt: skip

horizon = Table(
    "horizon", metadata,
    Column("topic", String(120), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
)  # fmt: skip
"""How far everybody who can answer has come; positions only grow."""

inbox = inbox_table(metadata)
idempotency = idempotency_table(metadata)


@dataclass(frozen=True, slots=True)
class Change:
    """Whose change it is, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """A version that Kafka has acknowledged, and its offset."""

    kind: str
    id: str
    version: int
    position: int


async def one_at_a_time(conn: AsyncConnection) -> None:
    """Taken first by everybody who writes more than one entity, and held until the transaction ends.

    Without it, what a document is checked against moves meanwhile, loading and marking can wait for each other's rows
    for ever, and a change can fall between a mark and the horizon and never be confirmed.
    """
    await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_LOCK})


async def find(conn: AsyncConnection, kind: str, id_: str, *, lock: bool = False) -> RowMapping | None:
    """The row of one entity; with `lock`, nobody else changes it before this transaction ends."""
    query = select(entity).where(entity.c.kind == kind, entity.c.id == id_)
    return (await conn.execute(query.with_for_update() if lock else query)).mappings().first()


async def listed(
    conn: AsyncConnection, kind: str, *, ids: Iterable[str] | None = None, district: str | None = None,
    active: bool | None = True,
) -> list[RowMapping]:  # fmt: skip
    """Rows of one kind by id."""
    query = select(entity).where(entity.c.kind == kind).order_by(entity.c.id)
    if ids is not None:
        query = query.where(entity.c.id.in_(list(ids)))
    if district is not None:
        query = query.where(entity.c.district == district)
    if active is not None:
        query = query.where(entity.c.active.is_(active))
    return list((await conn.execute(query)).mappings())


async def save(
    conn: AsyncConnection, kind: str, id_: str, change: Change, *, body: Mapping[str, Any] | None = None,
    active: bool | None = None, identity: str | None = None, district: str | None = None,
) -> int | None:  # fmt: skip
    """Lock the row, raise its version and mark it unpublished; the new version, or None when nothing is different.

    What is None stays as it is. The publisher is woken when the caller's transaction commits.
    """
    row = await find(conn, kind, id_, lock=True)
    before = {} if row is None else {name: row[name] for name in ("body", "active", "identity", "district")}
    wanted = {"body": body, "active": active, "identity": identity, "district": district}
    after = {**before, **{name: value for name, value in wanted.items() if value is not None}}
    if row is not None and after == before:
        return None
    version = 1 if row is None else int(row["version"]) + 1
    values = {
        "active": True, **after, "version": version, "seq": changes.next_value(), "changed_at": change.at,
        "traceparent": tracing.current(),
    }  # fmt: skip
    await conn.execute(
        pg_insert(entity).values(kind=kind, id=id_, **values)
        .on_conflict_do_update(index_elements=["kind", "id"], set_=values)
    )  # fmt: skip
    await conn.execute(
        insert(history).values(
            kind=kind, id=id_, version=version, at=change.at, by=change.by, active=values["active"], body=values["body"]
        )
    )
    await conn.execute(text(f"NOTIFY {CHANGED}"))
    return version


async def newest_guide(conn: AsyncConnection, district: str, version: int | None = None) -> RowMapping | None:
    """A district's guide: the current version, or an older one that a log was opened under."""
    query = select(guide).where(guide.c.district == district).order_by(guide.c.version.desc()).limit(1)
    if version is not None:
        query = query.where(guide.c.version == version)
    return (await conn.execute(query)).mappings().first()


async def horizon_of(conn: AsyncConnection, topic: str) -> int:
    """How far everybody able to answer has come in partition 0 of the topic; it stays so until the transaction ends."""
    await one_at_a_time(conn)
    found = await conn.scalar(select(horizon.c.position).where(horizon.c.topic == topic, horizon.c.partition == 0))
    return int(found or 0)


async def mark_published(conn: AsyncConnection, topic: str, done: Iterable[Published]) -> None:
    """Kafka has these versions at these offsets. An older one than is marked already changes nothing."""
    passed = await horizon_of(conn, topic)
    for one in done:
        confirmed = entity.c.confirmed if passed <= one.position else func.greatest(entity.c.confirmed, one.version)
        await conn.execute(
            update(entity)
            .where(entity.c.kind == one.kind, entity.c.id == one.id, entity.c.published < one.version)
            .values(published=one.version, position=one.position, confirmed=confirmed)
        )


async def move_horizon(conn: AsyncConnection, topic: str, position: int) -> int:
    """Raise the horizon of partition 0 and confirm what it has passed; how many entities that were.

    Without an inbox row: the maximum of positions is the same however often and in whatever order they come.
    """
    if position <= await horizon_of(conn, topic):
        return 0
    raised = pg_insert(horizon).values(topic=topic, partition=0, position=position)
    await conn.execute(raised.on_conflict_do_update(index_elements=["topic", "partition"], set_={"position": position}))
    done = await conn.execute(
        update(entity)
        .where(entity.c.position < position, entity.c.confirmed < entity.c.published)
        .values(confirmed=entity.c.published)
    )
    return done.rowcount
