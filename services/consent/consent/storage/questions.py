"""Queries about what is asked of services about looks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import any_, insert, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.storage.tables import grants, question


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question as stored; both texts are sealed."""

    id: str
    subject: str
    look: str
    service: str
    asked_by: str
    asked_at: datetime
    answered_at: datetime | None
    text: bytes = field(repr=False)
    answer: bytes | None = field(repr=False)


async def add_question(conn: AsyncConnection, values: Mapping[str, Any]) -> None:
    """A new question. IntegrityError when this person has asked about this look."""
    await conn.execute(insert(question).values(**values))


async def question_by_id(conn: AsyncConnection, id_: str, *, lock: bool = False) -> QuestionRow | None:
    """One question; `lock`: until the transaction ends."""
    query = select(question).where(question.c.id == id_)
    row = (await conn.execute(query.with_for_update() if lock else query)).first()
    return None if row is None else _row(row)


async def questions_by(conn: AsyncConnection, person: str, looks: Iterable[str]) -> dict[str, QuestionRow]:
    """What this person has asked about these looks, by look."""
    query = select(question).where(question.c.asked_by == person, question.c.look.in_(list(looks)))
    return {row.look: _row(row) for row in await conn.execute(query)}


async def questions_to(
    conn: AsyncConnection, service: str, staff: str, *, answered: bool, before: tuple[datetime, str] | None, limit: int
) -> list[QuestionRow]:
    """What a service was asked, the newest first, but about nobody whose consent leaves this member of staff out."""
    query = select(question).where(
        question.c.service == service, ~_left_out(staff), question.c.answered_at.is_not(None) == answered
    )
    if before is not None:
        query = query.where(tuple_(question.c.asked_at, question.c.id) < before)
    rows = await conn.execute(query.order_by(question.c.asked_at.desc(), question.c.id.desc()).limit(limit))
    return [_row(row) for row in rows]


async def is_left_out(conn: AsyncConnection, id_: str, staff: str) -> bool:
    """Does a consent of the subject of this question leave this member of staff out?"""
    found = await conn.execute(select(question.c.id).where(question.c.id == id_, _left_out(staff)))
    return found.first() is not None


def _left_out(staff: str) -> Any:
    return (
        select(grants.c.id)
        .where(
            grants.c.subject == question.c.subject,
            grants.c.recipient == "service:" + question.c.service,
            literal(staff) == any_(grants.c.excluded),
        )
        .exists()
    )


async def answer_question(conn: AsyncConnection, id_: str, values: Mapping[str, Any]) -> None:
    """Write the answer."""
    await conn.execute(update(question).where(question.c.id == id_).values(**values))


def _row(row: Any) -> QuestionRow:
    return QuestionRow(
        row.id, row.subject, row.look, row.service, row.asked_by, row.asked_at, row.answered_at, row.text, row.answer
    )
