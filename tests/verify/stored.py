"""The ledger's documents as the service makes them out of its real tables, which their superuser may have changed."""

import asyncio
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.storage import make_engine, migrate
from consent.app import MIGRATIONS
from consent.handlers import checkpoints, proofs
from consent.model.ledger import Pseudonyms
from consent.model.notes import Signer
from consent.model.tree import grow
from consent.storage import tables
from tests.verify.producer import Document
from tests.verify.rows import Ledger
from tests.verify.served import ORIGIN

_TABLES = ("ledger", "ledger_tree", "ledger_tile", "ledger_cosignature", "ledger_checkpoint", "outbox")
T = TypeVar("T")
_NOW = datetime(2026, 10, 1, tzinfo=UTC)


class _AsTheyAre(Pseudonyms):
    """The rows' chains are pseudonyms already."""

    def of(self, id_: str) -> str:
        return id_


class Stored:
    """Protocol `Producer`, on PostgreSQL. Whatever ledger it is asked about is first put into the tables by force."""

    def __init__(self, url: str, seed: bytes) -> None:
        self._signer, self._names = Signer(ORIGIN, seed), _AsTheyAre(b"")
        self._loop = asyncio.new_event_loop()
        self._engine = make_engine(url, pool_size=1)
        self._there: Any = None

    def __enter__(self) -> Self:
        self._run(self._make())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._engine.dispose())
        self._loop.close()

    def receipt(self, ledger: Ledger, chain: str) -> Document:
        """Protocol `Producer`."""
        return self._run(self._asked(ledger, None, lambda conn: proofs.receipt(conn, self._signer, self._names, chain)))

    def looks(self, ledger: Ledger, chain: str) -> Document:
        """Protocol `Producer`."""
        return self._run(self._asked(ledger, None, lambda conn: proofs.export(conn, self._signer, self._names, chain)))

    def look(self, ledger: Ledger, index: int) -> Document:
        """Protocol `Producer`."""
        row = next(row for row in ledger.rows if row.index == index)
        id_ = f"record-{ledger.rows.index(row)}"
        return self._run(
            self._asked(ledger, None, lambda conn: proofs.look(conn, self._signer, self._names, row.chain, id_))
        )

    def consistency(self, ledger: Ledger, first: int) -> Document:
        """Protocol `Producer`."""
        second = len(ledger.tree)
        return self._run(self._asked(ledger, first, lambda conn: proofs.consistency(conn, self._signer, first, second)))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def _make(self) -> None:
        """The service's own tables; then the constraints go that a superuser would find in the way."""
        await migrate(self._engine, MIGRATIONS)
        async with self._engine.begin() as conn:
            names = "SELECT conname FROM pg_constraint WHERE conrelid = 'ledger'::regclass AND contype IN ('p', 'u')"
            for name in (await conn.execute(text(names))).scalars().all():
                await conn.execute(text(f"ALTER TABLE ledger DROP CONSTRAINT {name}"))

    async def _asked(self, ledger: Ledger, first: int | None, ask: Any) -> Document:
        async with self._engine.begin() as conn:
            await conn.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger fires for him
            for table in _TABLES:
                await conn.execute(text(f"TRUNCATE {table} CASCADE"))
            await _put_rows(conn, ledger)
            for size in (first, len(ledger.tree)):
                if size:
                    await _put_tree(conn, ledger.tree[:size])
                    await checkpoints.sign(conn, self._signer, _NOW)
            found: Document = json.loads(msgspec.json.encode(await ask(conn)))
            return found


async def _put_rows(conn: AsyncConnection, ledger: Ledger) -> None:
    rows: list[dict[str, Any]] = [
        {
            "index": row.index, "id": f"record-{number}", "kind": "look", "chain": row.chain, "categories": [],
            "grants": [], "sequence": row.sequence, "salt": row.salt or None, "canonical": row.entry or None,
            "leaf": row.leaf,
        }
        for number, row in enumerate(ledger.rows)
    ]  # fmt: skip
    if rows:
        await conn.execute(tables.ledger.insert(), rows)


async def _put_tree(conn: AsyncConnection, leaves: list[bytes]) -> None:
    grown = grow(0, b"", leaves)
    await conn.execute(tables.ledger_tile.delete())
    await conn.execute(tables.ledger_tree.delete())
    await conn.execute(tables.ledger_tree.insert().values(id=1, size=grown.size, edge=grown.edge))
    await conn.execute(
        tables.ledger_tile.insert(),
        [{"tier": tier, "number": number, "hashes": found} for (tier, number), found in grown.tiles.items()],
    )
