"""Routes: the own contact point and the own notices."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.http import answer, make_cursor, read_cursor
from chassis.idempotency import Once
from chassis.keys import SubjectKeys
from chassis.permit import Signed
from chassis.problems import Problem
from chassis.routes import route
from notify import handlers, storage
from notify.handlers.contacts import PLACE, id_of
from notify.model import Frequency, Language

# No control characters, no spaces and no display names: an address goes into a header of an e-mail.
ADDRESS = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,187}[A-Za-z0-9])?$"


class ContactBody(BaseModel):
    """Where and how to be told. `email` null: no e-mail address. `notices`: an e-mail each time, or none."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: Annotated[str, Field(max_length=254, pattern=ADDRESS)] | None
    language: Language
    notices: Frequency = "each"


class ContactShown(BaseModel):
    """The own contact point; all null when there is none yet."""

    email: str | None
    language: Language | None
    notices: Frequency


class NoticeShown(BaseModel):
    """One notice. What it is about is read in the log, never here."""

    id: str
    kind: str
    category: None
    at: str
    state: str
    reason: str | None


class NoticesShown(BaseModel):
    """A page of notices, newest first."""

    items: list[NoticeShown]
    next: str | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes need."""

    engine: AsyncEngine
    keys: SubjectKeys
    hash_key: bytes
    signed: Callable[..., Any]
    now: Callable[[], datetime]
    wake: Callable[[], None]


def make_routes(parts: Parts) -> APIRouter:
    """The routes of notify."""
    router = APIRouter()
    caller = Depends(parts.signed)
    own = route(basis="self", category="none", record=False)

    @router.get("/me/contact", openapi_extra=own, response_model=ContactShown)
    async def read_contact(signed: Annotated[Signed, caller]) -> JSONResponse:
        """The own contact point."""
        async with parts.engine.connect() as conn:
            return answer(await handlers.read_contact(conn, parts.keys, recipient_of(signed)))

    @router.put("/me/contact", openapi_extra=own, response_model=ContactShown)
    async def write_contact(
        body: ContactBody,
        request: Request,
        signed: Annotated[Signed, caller],
        if_match: Annotated[str | None, Header()] = None,
        idempotency_key: Annotated[str | None, Header()] = None,
    ) -> JSONResponse:
        """Say where to be told. Needs If-Match once there is one."""
        recipient = recipient_of(signed)
        sealed = None if body.email is None else await parts.keys.seal(id_of(recipient), body.email, PLACE)
        given = handlers.Given(sealed, body.language, body.notices)
        once = Once(storage.idempotency, parts.hash_key, signed, idempotency_key, await request.body())
        async with parts.engine.begin() as conn:
            if await once.earlier(conn) is None:
                await handlers.change_contact(conn, parts.keys, recipient, given, if_match, parts.now())
                await once.remember(conn, 200, "contact")
            shown = await handlers.read_contact(conn, parts.keys, recipient)
        parts.wake()
        return answer(shown)

    @router.get("/me/notices", openapi_extra=own, response_model=NoticesShown)
    async def read_notices(
        signed: Annotated[Signed, caller],
        after: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> JSONResponse:
        """The own notices with the state of each e-mail: waiting, sent, failed, no-contact, turned-off or revoked."""
        recipient = recipient_of(signed)
        position = None if after is None else read_cursor(parts.hash_key, after, recipient)
        async with parts.engine.connect() as conn:
            items, end = await handlers.list_notices(conn, recipient, position, limit)
        cursor = None if end is None else make_cursor(parts.hash_key, end, recipient)
        return answer({"items": items, "next": cursor})

    return router


def recipient_of(signed: Signed) -> str:
    """Who is told: a person, or a staff member. Problem 403 for anybody else."""
    actor = signed.actor
    if actor.kind not in ("person", "staff") or actor.id is None:
        raise Problem(403, "not-matched", "This is only for people and staff who are known here.")
    return f"{actor.kind}:{actor.id}"
