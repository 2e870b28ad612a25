"""Queries of the append-only ledger."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.storage.tables import ledger, ledger_head

Head = tuple[int, bytes | None]
"""Last number and leaf of a chain."""


async def lock_heads(conn: AsyncConnection, chains: Iterable[str]) -> dict[str, Head]:
    """The heads of these chains, locked, made where they are missing. Always in one order: no deadlock."""
    ordered = sorted(set(chains))
    fresh = [{"chain": chain, "sequence": 0, "leaf": None} for chain in ordered]
    await conn.execute(upsert(ledger_head).values(fresh).on_conflict_do_nothing())
    query = select(ledger_head).where(ledger_head.c.chain.in_(ordered)).order_by(ledger_head.c.chain).with_for_update()
    return {row.chain: (row.sequence, row.leaf) for row in await conn.execute(query)}


async def taken(conn: AsyncConnection, ids: Iterable[str]) -> set[str]:
    """Those of these record ids that are in the ledger already."""
    query = select(ledger.c.id).where(ledger.c.id.in_(list(ids)))
    return set((await conn.execute(query)).scalars())


async def append(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]], heads: Mapping[str, Head]) -> None:
    """Add rows and move the heads of their chains, which the caller has locked."""
    await conn.execute(insert(ledger), list(rows))
    moved = [{"chain": chain, "sequence": number, "leaf": leaf} for chain, (number, leaf) in sorted(heads.items())]
    statement = upsert(ledger_head).values(moved)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["chain"],
            set_={"sequence": statement.excluded.sequence, "leaf": statement.excluded.leaf},
        )
    )


async def looks(
    conn: AsyncConnection,
    subject: str,
    *,
    reader: str | None,
    categories: Iterable[str],
    grants: Iterable[str] | None,
    before: str | None,
    limit: int,
) -> list[tuple[bytes, bytes | None]]:
    """Records about a subject, the newest first: canonical record, canonical held-back record if there is one.

    before: only what is older than this record; its number stays inside, for gaps in it would tell what was cut.
    reader None: all. Else only the reader's own, and those of services and machines that touch one of `categories`
    under one of `grants` (None: whatever the grant).
    """
    held = ledger.alias()
    held_back = (
        select(held.c.canonical)
        .where(held.c.about == ledger.c.id, held.c.kind == "held-back")
        .order_by(held.c.sequence)
        .limit(1)
        .scalar_subquery()
    )
    query = select(ledger.c.canonical, held_back.label("held")).where(
        ledger.c.subject == subject, ledger.c.kind == "look"
    )
    if reader is not None:
        theirs = ledger.c.actor == reader
        served = (ledger.c.actor_kind != "person") & ledger.c.categories.overlap(sorted(categories))
        if grants is not None:
            served &= ledger.c.grants.overlap(sorted(grants))
        query = query.where(theirs | served)
    if before is not None:
        last = ledger.alias()
        place = select(last.c.sequence).where(last.c.id == before, last.c.subject == subject).scalar_subquery()
        query = query.where(ledger.c.sequence < place)
    rows = await conn.execute(query.order_by(ledger.c.sequence.desc()).limit(limit))
    return [(row.canonical, row.held) for row in rows]
