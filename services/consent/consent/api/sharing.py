"""The routes of letting a person see what the law does not show them, and of the exception for life and health."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import answer as answered
from chassis.permit import Signed
from chassis.problems import not_found
from chassis.routes import route
from consent.api.bodies import Body, Day, Person, Slug
from consent.api.keeping import Reference
from consent.api.parts import Parts, Writing, an_id, claimed, known, reading, writing
from consent.handlers import exceptions, sharing
from consent.handlers.changes import Status
from consent.handlers.exceptions import Excepted
from consent.handlers.requests import Made
from consent.handlers.sharing import Share
from consent.model.own_say import Told


class NewShare(Body):
    """Which categories somebody may read, until the end of which day. person: who holds, or held, responsibility, by
    the handle that a request shows; named: anybody else. It is taken back as `person:<handle>`, like any consent."""

    person: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    named: Person | None = None
    categories: Annotated[list[Slug], Field(min_length=1, max_length=40)]
    until: Day

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.person is None) is (self.named is None):
            raise ValueError("say who: person or named")
        return self


class NewException(Body):
    """Who is shown one category, for how many hours, by which class of reason, and what that rests on."""

    category: Slug
    told: Told
    reason: Slug
    reference: Reference
    hours: Annotated[int, Field(ge=1, le=168, strict=True)]


class Begun(BaseModel):
    """What was begun. `status`: pending until every gateway able to answer knows of it."""

    id: str
    status: Status


class ExceptionView(BaseModel):
    """An exception for life and health. `subject`: for a leader; `reference`: for the subject."""

    id: str
    kind: Literal["exception"]
    category: str
    told: Told
    reason: str
    reference: str | None
    by: str
    service: str
    grants: list[str]
    at: str
    until: str
    subject: str | None = None


class ExceptionList(BaseModel):
    """Exceptions, the newest first."""

    items: list[ExceptionView]
    next: None


def sharing_routes(parts: Parts) -> APIRouter:
    """Letting see, making exceptions, and reading of them."""
    routes = APIRouter()
    writes, reads = writing(parts), reading(parts)

    @routes.post(
        "/subjects/{subject}/shares", status_code=201, response_model=Begun, responses={202: {"model": Begun}},
        openapi_extra=route(basis="self"),
    )  # fmt: skip
    async def let_see(subject: str, body: NewShare, write: Writing = writes) -> Response:
        del subject
        about, now = known(write.signed), parts.clock.now()
        who = an_id(body.person or "") if body.named is None else claimed(parts, body.named)
        wanted = Share(who, frozenset(body.categories), body.until)
        return await _begun(
            write, lambda conn: sharing.share(conn, parts.office, write.signed.actor, about, wanted, now)
        )  # fmt: skip

    @routes.post(
        "/subjects/{subject}/exceptions", status_code=201, response_model=Begun, responses={202: {"model": Begun}},
        openapi_extra=route(basis="asker"),
    )  # fmt: skip
    async def make_exception(subject: str, body: NewException, write: Writing = writes) -> Response:
        del subject
        about, now = known(write.signed), parts.clock.now()
        wanted = Excepted(body.category, body.told, body.reason, body.reference.strip(), body.hours)
        return await _begun(
            write,
            lambda conn: exceptions.make(conn, parts.office, parts.names, write.signed.actor, about, wanted, now),
        )

    @routes.get("/subjects/{subject}/exceptions", response_model=ExceptionList, openapi_extra=route(basis="self"))
    async def list_exceptions(subject: str, signed: Signed = reads) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            return answered(
                {"items": await exceptions.listed(conn, parts.office, signed.actor, known(signed)), "next": None}
            )

    @routes.get(
        "/services/{service}/exceptions", response_model=ExceptionList, openapi_extra=route(basis="role:leader")
    )
    async def list_exceptions_of_service(service: str, signed: Signed = reads) -> Response:
        async with parts.engine.connect() as conn:
            return answered({"items": await exceptions.led(conn, signed.actor, service), "next": None})

    return routes


async def _begun(write: Writing, begin: Callable[[AsyncConnection], Awaitable[Made]]) -> Response:
    """A grant or an exception, when it is confirmed or has been waited for."""

    async def do(conn: AsyncConnection) -> str:
        return (await begin(conn)).id

    made, _ = await write.make(201, do)
    id_ = made or ""
    async with write.parts.engine.connect() as conn:
        change = await sharing.change_of(conn, id_)
    if change is None:
        raise not_found()
    status = await write.status(change)
    return answered({"id": id_, "status": status}, 201 if status == "confirmed" else 202)
