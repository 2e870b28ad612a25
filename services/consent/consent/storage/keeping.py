"""Queries for what is kept from those who see by law, step by step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.own_say import KeepingWord
from consent.storage.facts import ids
from consent.storage.tables import change
from consent.storage.tables_own_say import keeping


@dataclass(frozen=True, slots=True)
class KeepingRow:
    """A step with who took it and when; `reference` is sealed. confirmed: do all gateways able to answer know of it?"""

    word: KeepingWord
    by_kind: str
    by: str
    at: datetime
    reference: bytes | None = field(repr=False)
    change: str | None
    confirmed: bool


async def keeping_words(conn: AsyncConnection, subjects: Iterable[str]) -> dict[str, list[KeepingWord]]:
    """Every step about each of these subjects, the oldest first; a subject without any is left out."""
    columns = [keeping.c[name] for name in _WORD]
    query = select(keeping.c.subject, *columns).where(keeping.c.subject == ids(subjects)).order_by(keeping.c.seq)
    found: dict[str, list[KeepingWord]] = {}
    for subject, *rest in await conn.execute(query):
        found.setdefault(subject, []).append(KeepingWord(*rest))
    return found


_WORD = ("keeping", "word", "category", "item", "reason", "service")


async def keeping_rows(conn: AsyncConnection, subject: str) -> list[KeepingRow]:
    """As keeping_words, of one subject, with who took each step."""
    query = (
        select(keeping, func.coalesce(change.c.state == "confirmed", True).label("confirmed"))
        .outerjoin(change, change.c.id == keeping.c.change)
        .where(keeping.c.subject == subject)
        .order_by(keeping.c.seq)
    )
    return [
        KeepingRow(
            KeepingWord(*(getattr(row, name) for name in _WORD)), row.by_kind, row.by, row.at, row.reference,
            row.change, row.confirmed,
        )
        for row in await conn.execute(query)
    ]  # fmt: skip


async def add_keeping(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Add a step; the caller has locked the subject."""
    await conn.execute(insert(keeping).values(**values))


async def kept_since(conn: AsyncConnection, subject: str) -> Sequence[tuple[KeepingWord, datetime]]:
    """Every step about whole categories, with the moment from which every gateway able to answer knew of it."""
    query = (
        select(*(keeping.c[name] for name in _WORD), change.c.confirmed_at)
        .join(change, change.c.id == keeping.c.change)
        .where(keeping.c.subject == subject, keeping.c.item.is_(None), change.c.confirmed_at.is_not(None))
        .order_by(keeping.c.seq)
    )
    return [(KeepingWord(*row[:-1]), row[-1]) for row in await conn.execute(query)]
