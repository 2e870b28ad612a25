"""Queries of the ledger: appending under the tree's lock, the tree's tiles, checkpoints, and a chain's entries."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.notes import Checkpoint
from consent.model.tree import Growth, Place
from consent.storage.tables import (
    ledger,
    ledger_checkpoint,
    ledger_cosignature,
    ledger_tile,
    ledger_tree,
    ledger_waiting,
)

_SIGNING = 7_264_011

ChainHead = tuple[int, bytes | None]
"""Last number and leaf of a chain."""


class Tree(NamedTuple):
    """The tree's row. `signed`: the size of the newest checkpoint, if there is one."""

    size: int
    edge: bytes
    stopped: str | None
    signed: int | None


class EntryRow(NamedTuple):
    """An entry as it is proved; without salt and canonical bytes where it was erased."""

    place: int
    sequence: int
    salt: bytes | None
    canonical: bytes | None
    leaf: bytes


class LedgerRow(NamedTuple):
    """A row of the ledger, in the order of the columns that are written. Lists of ids are joined by commas. The last
    four are those that looks are searched by."""

    place: int
    id: str
    kind: str
    chain: str
    sequence: int
    subject: str | None
    actor_kind: str | None
    actor: str | None
    categories: str
    grants: str
    about: str | None
    salt: bytes
    canonical: bytes
    leaf: bytes
    at: str | None = None
    services: str | None = None
    action: str | None = None
    outcome: str | None = None


_TREE = """
SELECT size, edge, stopped, (SELECT max(c.size) FROM ledger_checkpoint c) AS signed FROM ledger_tree WHERE id = 1
"""
# A process that is stopped while it holds the row must not hold up everybody who appends: its session ends by itself.
_LOCK = """
SELECT t.*, set_config('idle_in_transaction_session_timeout', '2s', true) FROM (
    SELECT size, edge, stopped, (SELECT max(c.size) FROM ledger_checkpoint c) AS signed FROM ledger_tree WHERE id = 1
    FOR UPDATE
) t
"""
_HEADS = """
SELECT c.chain, l.sequence, l.leaf FROM unnest($1::text[]) AS c (chain),
LATERAL (SELECT sequence, leaf FROM ledger WHERE ledger.chain = c.chain ORDER BY sequence DESC LIMIT 1) l
"""
# One message with all rows, and not COPY: a client that is stopped in the middle of a COPY cannot be timed out.
_INSERT = """
INSERT INTO ledger (index, id, kind, chain, sequence, subject, actor_kind, actor, categories, grants, about, salt,
                    canonical, leaf, at, services, action, outcome)
SELECT index, id, kind, chain, sequence, subject, actor_kind, actor, string_to_array(categories, ','),
       string_to_array(grants, ','), about, salt, canonical, leaf, at::timestamptz, string_to_array(services, ','),
       action, outcome
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::uuid[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], $14::bytea[],
            $15::text[], $16::text[], $17::text[], $18::text[])
     AS r (index, id, kind, chain, sequence, subject, actor_kind, actor, categories, grants, about, salt, canonical,
           leaf, at, services, action, outcome)
"""


# -- appending -----------------------------------------------------------------------------------------------------


async def lock_tree(conn: AsyncConnection) -> Tree:
    """The tree, locked until the transaction ends: from here on nobody else appends."""
    row = (await conn.exec_driver_sql(_LOCK)).one()
    return Tree(row.size, row.edge, row.stopped, row.signed)


async def tree(conn: AsyncConnection) -> Tree:
    """The tree as it is, not locked."""
    row = (await conn.exec_driver_sql(_TREE)).one()
    return Tree(row.size, row.edge, row.stopped, row.signed)


async def taken(conn: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Those of these record ids that are in the ledger already."""
    rows = await conn.exec_driver_sql("SELECT id FROM ledger WHERE id = ANY($1::text[])", (list(ids),))
    return set(rows.scalars())


async def chain_heads(conn: AsyncConnection, chains: Collection[str]) -> dict[str, ChainHead]:
    """The heads of those of these chains that have any entry."""
    return {row.chain: (row.sequence, row.leaf) for row in await conn.exec_driver_sql(_HEADS, (list(chains),))}


async def append(conn: AsyncConnection, rows: Sequence[LedgerRow], growth: Growth) -> None:
    """Add rows, and let the tree that the caller has locked grow."""
    await conn.exec_driver_sql(_INSERT, tuple(list(column) for column in zip(*rows, strict=True)))
    added = [{"tier": tier, "number": number, "hashes": found} for (tier, number), found in growth.tiles.items()]
    statement = upsert(ledger_tile).values(added)
    longer = ledger_tile.c.hashes.concat(statement.excluded.hashes)
    await conn.execute(statement.on_conflict_do_update(index_elements=["tier", "number"], set_={"hashes": longer}))
    await conn.execute(update(ledger_tree).values(size=growth.size, edge=growth.edge))


async def keep_waiting(conn: AsyncConnection, records: Sequence[Mapping[str, Any]], at: datetime) -> None:
    """Keep records, each with its `id`, until the ledger goes on."""
    rows = [{"id": record["id"], "record": dict(record), "at": at} for record in records]
    await conn.execute(upsert(ledger_waiting).values(rows).on_conflict_do_nothing())


async def take_waiting(conn: AsyncConnection) -> list[dict[str, Any]]:
    """Those that waited, the oldest first; they wait no longer. The caller has locked the tree."""
    rows = await conn.execute(delete(ledger_waiting).returning(ledger_waiting.c.record, ledger_waiting.c.at))
    return [row.record for row in sorted(rows, key=lambda row: row.at)]


async def forget_waiting(conn: AsyncConnection, chain: str) -> None:
    """Nothing of this chain waits any more."""
    await conn.execute(delete(ledger_waiting).where(ledger_waiting.c.record["chain"].astext == chain))


async def erase_chain(conn: AsyncConnection, chain: str) -> int:
    """Destroy what the chain's entries say and whom they are about; returns how many there were. Leaves stay."""
    gone = dict.fromkeys(("salt", "canonical", "subject", "actor_kind", "actor"))
    statement = update(ledger).where(ledger.c.chain == chain, ledger.c.salt.is_not(None))
    return (await conn.execute(statement.values(**gone, categories=[], grants=[]))).rowcount


# -- tiles and checkpoints -----------------------------------------------------------------------------------------


async def tiles(conn: AsyncConnection, places: Iterable[Place]) -> dict[Place, bytes]:
    """Those of these tiles that there are."""
    tiers, numbers = zip(*places, strict=True) if (places := list(places)) else ((), ())
    query = (
        "SELECT tier, number, hashes FROM unnest($1::smallint[], $2::bigint[]) AS w (tier, number)"
        " JOIN ledger_tile USING (tier, number)"
    )
    rows = await conn.exec_driver_sql(query, (list(tiers), list(numbers)))
    return {(row.tier, row.number): row.hashes for row in rows}


async def may_sign(conn: AsyncConnection) -> bool:
    """May this transaction sign? One at a time, over all replicas. Ends by itself if its process is stopped."""
    query = (
        f"SELECT pg_try_advisory_xact_lock({_SIGNING}), set_config('idle_in_transaction_session_timeout', '2s', true)"
    )
    return bool((await conn.exec_driver_sql(query)).one()[0])


async def stop_ledger(conn: AsyncConnection, reason: str) -> None:
    """From now on nobody appends or signs. The first reason stays."""
    await conn.execute(update(ledger_tree).where(ledger_tree.c.stopped.is_(None)).values(stopped=reason))


async def newest_checkpoint(conn: AsyncConnection, at_most: int | None = None) -> Checkpoint | None:
    """The checkpoint of the largest tree, with the witness's line if it has one."""
    query = _checkpoints().order_by(ledger_checkpoint.c.size.desc()).limit(1)
    if at_most is not None:
        query = query.where(ledger_checkpoint.c.size <= at_most)
    return _checkpoint((await conn.execute(query)).one_or_none())


async def checkpoint_at(conn: AsyncConnection, size: int) -> Checkpoint | None:
    """The checkpoint of the tree of this size."""
    return _checkpoint((await conn.execute(_checkpoints().where(ledger_checkpoint.c.size == size))).one_or_none())


async def newest_cosigned(conn: AsyncConnection) -> Checkpoint | None:
    """The checkpoint of the largest tree that the witness has signed too."""
    query = _checkpoints().where(ledger_cosignature.c.size.is_not(None))
    found = await conn.execute(query.order_by(ledger_cosignature.c.size.desc()).limit(1))
    return _checkpoint(found.one_or_none())


async def keep_checkpoint(conn: AsyncConnection, found: Checkpoint, at: datetime) -> bool:
    """Add it; False when there is one of this size."""
    values = {"size": found.size, "root": found.root, "note": found.note, "at": at}
    statement = upsert(ledger_checkpoint).values(values).on_conflict_do_nothing()
    return bool((await conn.execute(statement.returning(ledger_checkpoint.c.size))).all())


async def keep_cosignature(conn: AsyncConnection, size: int, note: str, at: datetime) -> None:
    """Add the note with the witness's line; the first one of a size stays."""
    await conn.execute(upsert(ledger_cosignature).values(size=size, note=note, at=at).on_conflict_do_nothing())


def _checkpoints() -> Any:
    note = func.coalesce(ledger_cosignature.c.note, ledger_checkpoint.c.note).label("note")
    joined = ledger_checkpoint.outerjoin(ledger_cosignature, ledger_cosignature.c.size == ledger_checkpoint.c.size)
    return select(ledger_checkpoint.c.size, ledger_checkpoint.c.root, note).select_from(joined)


def _checkpoint(row: Any) -> Checkpoint | None:
    return None if row is None else Checkpoint(row.size, row.root, row.note)


# -- entries -------------------------------------------------------------------------------------------------------

_ENTRY = select(ledger.c.index, ledger.c.sequence, ledger.c.salt, ledger.c.canonical, ledger.c.leaf)


async def entries_of(conn: AsyncConnection, chain: str, size: int) -> list[EntryRow]:
    """The chain's entries in the tree of this size, by their numbers."""
    query = _ENTRY.where(ledger.c.chain == chain, ledger.c.index < size).order_by(ledger.c.sequence)
    return [EntryRow(*row) for row in await conn.execute(query)]


async def entries_by_id(conn: AsyncConnection, chain: str, ids: Collection[str]) -> dict[str, EntryRow]:
    """Those of these records that are in the chain."""
    query = _ENTRY.add_columns(ledger.c.id).where(ledger.c.id.in_(ids), ledger.c.chain == chain)
    return {row.id: EntryRow(*row[:-1]) for row in await conn.execute(query)}


async def last_entry(conn: AsyncConnection, chain: str, size: int) -> EntryRow | None:
    """The chain's last entry in the tree of this size."""
    query = _ENTRY.where(ledger.c.chain == chain, ledger.c.index < size).order_by(ledger.c.sequence.desc()).limit(1)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else EntryRow(*row)
