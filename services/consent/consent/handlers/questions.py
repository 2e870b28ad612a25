"""Asking the service that looked: a person's question about one look, and that service's answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.events import new_event
from chassis.keys import KeyGone, SubjectKeys
from chassis.outbox import announce
from chassis.permit import Actor, Permit
from consent import messages, storage
from consent.handlers import ledger
from consent.handlers.looks import ANSWER, TEXT, asked_view, look
from consent.model.errors import AlreadyAnswered, AlreadyAsked, NobodyToAsk, ServiceUnclear, Unseen
from consent.model.ledger import Pseudonyms
from consent.storage import QuestionRow

ANSWERERS = ("professional", "leader")
"""Roles that answer for their service."""
BASIS = "role:" + ",".join(ANSWERERS)
_LISTED = "consent.list-questions"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as its asker gave it. service: which one is asked, needed where a look has several."""

    look: str
    text: str
    service: str | None


async def ask(
    conn: AsyncConnection, keys: SubjectKeys, permit: Permit, actor: Actor, asked: Asked, now: datetime
) -> str:
    """Keep a question about a look that the actor is shown, and announce it without its content; returns its id.

    Unseen when the actor is not shown the look; NobodyToAsk, ServiceUnclear, AlreadyAsked.
    """
    if actor.kind != "person" or actor.id is None:
        raise Unseen
    seen = await look(conn, permit, actor, asked.look)
    service, id_ = _whom(seen["actor"]["services"], asked.service), str(uuid4())
    values = {
        "id": id_, "subject": permit.subject, "look": asked.look, "service": service, "asked_by": actor.id,
        "text": await keys.seal(permit.subject, asked.text, TEXT), "asked_at": now,
    }  # fmt: skip
    try:
        async with conn.begin_nested():
            await storage.add_question(conn, values)
    except IntegrityError as error:
        raise AlreadyAsked from error
    data = messages.QuestionAsked(
        question=id_, subject=permit.subject, look=asked.look, service=f"service:{service}"
    ).model_dump()
    await announce(
        conn, storage.outbox, messages.EVENTS,
        new_event("consent", messages.QUESTION_ASKED, permit.subject, data, now),
    )  # fmt: skip
    return id_


def _whom(services: Sequence[str], named: str | None) -> str:
    if not services:
        raise NobodyToAsk
    if named is None and len(services) > 1:
        raise ServiceUnclear
    if named is not None and named not in services:
        raise ServiceUnclear
    return named or services[0]


async def made(conn: AsyncConnection, keys: SubjectKeys, actor: Actor, id_: str) -> dict[str, Any]:
    """One's own question, as the list of looks shows it too."""
    row = await storage.question_by_id(conn, id_)
    if row is None or row.asked_by != actor.id:
        raise Unseen
    opened = await keys.opener(row.subject)
    return asked_view(row, opened(row.text, TEXT), None if row.answer is None else opened(row.answer, ANSWER))


@dataclass(frozen=True, slots=True)
class Questions:
    """What a service was asked, the newest first, and where to go on from (None: that was all)."""

    items: list[dict[str, Any]]
    next: tuple[str, str] | None


async def questions(
    conn: AsyncConnection, keys: SubjectKeys, names: Pseudonyms, actor: Actor, service: str, *, answered: bool,
    before: tuple[datetime, str] | None, limit: int, now: datetime,
) -> Questions:  # fmt: skip
    """What the actor's own service was asked; Unseen for any other. A record of it for each person it is about.

    The records go into the ledger in this transaction: it is committed before anything is answered.
    """
    _answers_for(actor, service)
    rows = await storage.questions_to(conn, service, actor.id or "", answered=answered, before=before, limit=limit + 1)
    page = rows[:limit]
    items = [item for row in page if (item := await _shown(keys, row)) is not None]
    about = sorted({item["subject"] for item in items})
    await ledger.append(
        conn, names,
        [
            ledger.own_act(str(uuid4()), rfc3339(now), subject, actor, _LISTED, action="read", basis=BASIS)
            for subject in about
        ],
    )  # fmt: skip
    return Questions(items, (rfc3339(page[-1].asked_at), page[-1].id) if len(rows) > limit else None)


async def _shown(keys: SubjectKeys, row: QuestionRow) -> dict[str, Any] | None:
    """A question as the service reads it; None when its key was destroyed."""
    try:
        opened = await keys.opener(row.subject)
        answer = None if row.answer is None else opened(row.answer, ANSWER)
        shown = asked_view(row, opened(row.text, TEXT), answer)
    except KeyGone:
        return None
    by = "subject" if row.asked_by == row.subject else "guardian"
    return {**shown, "kind": "question", "subject": row.subject, "look": row.look, "asked_by": by}


async def answer(
    conn: AsyncConnection, keys: SubjectKeys, actor: Actor, subject: str, id_: str, text: str, now: datetime
) -> str:
    """Answer for one's own service, once; Unseen for a question to another, AlreadyAnswered. Returns the id."""
    row = await storage.question_by_id(conn, id_, lock=True)
    if row is None or row.subject != subject:
        raise Unseen
    _answers_for(actor, row.service)
    if await storage.is_left_out(conn, id_, actor.id or ""):
        raise Unseen
    if row.answered_at is not None:
        raise AlreadyAnswered
    sealed = await keys.seal(subject, text, ANSWER)
    await storage.answer_question(conn, id_, {"answer": sealed, "answered_by": actor.id, "answered_at": now})
    data = messages.QuestionAnswered(
        question=id_, subject=subject, service=f"service:{row.service}", asked_by=row.asked_by
    ).model_dump()
    await announce(
        conn, storage.outbox, messages.EVENTS, new_event("consent", messages.QUESTION_ANSWERED, subject, data, now)
    )
    return id_


async def answered(conn: AsyncConnection, actor: Actor, id_: str) -> dict[str, Any]:
    """How far a question to one's own service has come."""
    row = await storage.question_by_id(conn, id_)
    if row is None:
        raise Unseen
    _answers_for(actor, row.service)
    at = None if row.answered_at is None else rfc3339(row.answered_at)
    return {"id": row.id, "state": "open" if at is None else "answered", "answered_at": at}


def _answers_for(actor: Actor, service: str) -> None:
    """The gateway sees to the role; that the service is one's own is seen to here."""
    if actor.kind != "staff" or actor.role not in ANSWERERS or service not in actor.services:
        raise Unseen
