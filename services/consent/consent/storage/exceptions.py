"""Queries for exceptions for life and health."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.storage.tables import grants
from consent.storage.tables_own_say import exception


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """An exception that was made; `reference` is sealed. until: epoch seconds."""

    id: str
    subject: str
    category: str
    told: str
    reason: str
    reference: bytes = field(repr=False)
    by: str
    service: str
    grants: tuple[str, ...]
    until: int
    change: str
    at: datetime


_NAMES = (
    "id",
    "subject",
    "category",
    "told",
    "reason",
    "reference",
    "by",
    "service",
    "grants",
    "until",
    "change",
    "at",
)


async def add_exception(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Keep an exception with the change that begins its grants."""
    await conn.execute(insert(exception).values(**values))


async def exceptions_about(conn: AsyncConnection, subject: str) -> list[ExceptionRow]:
    """Every exception about the subject, the newest first."""
    return await _found(conn, exception.c.subject == subject, 1_000)


async def exceptions_of(conn: AsyncConnection, services: Sequence[str], limit: int) -> list[ExceptionRow]:
    """The newest exceptions that staff of these services made."""
    return await _found(conn, exception.c.service.in_(services), limit)


async def _found(conn: AsyncConnection, condition: Any, limit: int) -> list[ExceptionRow]:
    query = select(*(exception.c[name] for name in _NAMES)).where(condition)
    rows = await conn.execute(query.order_by(exception.c.at.desc()).limit(limit))
    return [ExceptionRow(**{**row, "grants": tuple(row["grants"])}) for row in rows.mappings()]


async def began_by(conn: AsyncConnection, id_: str) -> str | None:
    """The change that began the grant, or the exception, of this id."""
    query = union_all(
        select(grants.c.began).where(grants.c.id == id_), select(exception.c.change).where(exception.c.id == id_)
    )
    found: str | None = (await conn.execute(query)).scalar()
    return found
