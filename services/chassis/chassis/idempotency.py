"""Idempotency-Key: a repeated write has one effect, remembered in the write's own transaction for 48 hours."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Signed
from chassis.problems import Problem

KEPT = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the first request with this key gave: status and the id of what it made."""

    status: int
    resource: str


def idempotency_table(metadata: MetaData) -> Table:
    """Keys belong to actor, route and subject found, never to a handle."""
    return Table(
        "idempotency", metadata,
        Column("scope", String(64), primary_key=True),
        Column("body", String(64), nullable=False),
        Column("status", Integer, nullable=False),
        Column("resource", String(64), nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Once:
    """One write under one key. `secret` keys the hashes; `key` is the header or None (then nothing is remembered)."""

    table: Table
    secret: bytes
    signed: Signed
    key: str | None
    body: bytes

    async def earlier(self, conn: AsyncConnection) -> Earlier | None:
        """What an earlier request under this key gave. Two at once wait for each other here.

        Problem 422 `idempotency-key-reused` when its body was another.
        """
        if self.key is None:
            return None
        if not 1 <= len(self.key) <= 200:
            raise Problem(400, "invalid-idempotency-key", "An Idempotency-Key has 1 to 200 characters.")
        await conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:scope, 0))"), {"scope": self._scope()})
        row = (await conn.execute(select(self.table).where(self.table.c.scope == self._scope()))).mappings().first()
        if row is None:
            return None
        if not hmac.compare_digest(row["body"], self._hash(self.body)):
            raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request.")
        return Earlier(row["status"], row["resource"])

    async def remember(self, conn: AsyncConnection, status: int, resource: str) -> None:
        """Keep what this request gave, in its own transaction."""
        if self.key is not None:
            values: dict[str, Any] = {
                "scope": self._scope(), "body": self._hash(self.body), "status": status, "resource": resource,
            }  # fmt: skip
            await conn.execute(insert(self.table).values(values))

    def _scope(self) -> str:
        actor, signed = self.signed.actor, self.signed
        # somebody who was not matched has no id: the log-in tells two strangers apart
        parts = (actor.kind, actor.id, actor.login, signed.route, signed.subject, self.key)
        return self._hash("\0".join(str(part) for part in parts).encode())

    def _hash(self, value: bytes) -> str:
        return hmac.new(self.secret, value, hashlib.sha256).hexdigest()


async def forget_before(conn: AsyncConnection, table: Table, moment: datetime) -> int:
    """Drop keys older than `moment`; returns how many."""
    done = await conn.execute(delete(table).where(table.c.created_at < moment))
    return done.rowcount
