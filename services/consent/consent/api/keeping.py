"""The routes of keeping something from those who see by law. Taking sight away needs no lease, as withdrawing does."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import answer as answered
from chassis.permit import Signed
from chassis.problems import not_found, respond
from chassis.routes import route
from consent.api.bodies import Body, Slug
from consent.api.parts import Parts, Writing, an_id, known, reading, writing
from consent.handlers import keeping as keep
from consent.handlers.changes import Status
from consent.handlers.keeping import Judged, Step, Wanted
from consent.model.own_say import By

Reference = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
Item = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
_HEX = 32
_WITHOUT = route(basis="self", lease="none")


class NewKeeping(Body):
    """A category, or one item of it, that those who see by law shall not see. reason, reference, service: only from a
    professional who keeps it without being asked; of a youth's own a professional gives the reason later."""

    category: Slug
    item: Item | None = None
    reason: Slug | None = None
    reference: Reference | None = None
    service: Slug | None = None


class GivenReason(Body):
    """The class of the reason, or null: it is not to be respected, and is kept no longer; and what that rests on."""

    reason: Slug | None
    reference: Reference


class KeepingStep(BaseModel):
    """One's own act. `status`: pending until every gateway able to answer knows of it."""

    id: str
    status: Status


class KeepingView(BaseModel):
    """What is kept, by whose word, and how it stands. `waiting`: it counts, and its reason has not been given yet."""

    id: str
    kind: Literal["keeping"]
    by: By
    category: str
    item: str | None
    state: Literal["waiting", "kept", "turned-down", "lifted"]
    reason: str | None
    reference: str | None
    service: str | None
    at: str
    status: Status


class KeepingList(BaseModel):
    """Everything that was kept, the oldest first."""

    items: list[KeepingView]
    next: None


def keepings(parts: Parts) -> APIRouter:
    """Keeping, giving the reason, lifting, and the list."""
    routes = APIRouter()
    _step_routes(routes, parts)

    @routes.post(
        "/subjects/{subject}/keepings/{keeping}/reason", response_model=KeepingStep,
        responses={202: {"model": KeepingStep}}, openapi_extra=route(basis="asker"),
    )  # fmt: skip
    async def give_reason(subject: str, keeping: str, body: GivenReason, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about, id_ = write.signed.actor, known(write.signed), an_id(keeping)
        said = Judged(body.reason, body.reference.strip())
        return await _step(
            write, 200, lambda conn: keep.judge(conn, parts.office, actor, about, id_, said, parts.clock.now())
        )

    @routes.get("/subjects/{subject}/keepings", response_model=KeepingList, openapi_extra=route(basis="self"))
    async def list_keepings(subject: str, signed: Signed = reading(parts)) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            found = await keep.listed(conn, parts.office, signed.actor, known(signed), parts.clock.now())
        return answered({"items": found, "next": None})

    return routes


def _step_routes(routes: APIRouter, parts: Parts) -> None:
    @routes.post(
        "/subjects/{subject}/keepings", status_code=201, response_model=KeepingStep,
        responses={202: {"model": KeepingStep}}, openapi_extra=_WITHOUT,
    )  # fmt: skip
    async def keep_from_guardians(subject: str, body: NewKeeping, write: Writing = writing(parts)) -> Response:
        del subject
        signed, about = write.signed, known(write.signed)
        reference = None if body.reference is None else body.reference.strip()
        wanted = Wanted(body.category, body.item, body.reason, reference, body.service)
        return await _step(
            write, 201,
            lambda conn: keep.keep(
                conn, parts.office, parts.names, signed.actor, about, wanted, record=signed.record,
                now=parts.clock.now(),
            ),
        )  # fmt: skip

    @routes.post(
        "/subjects/{subject}/keepings/{keeping}/lift", response_model=KeepingStep,
        responses={202: {"model": KeepingStep}}, openapi_extra=_WITHOUT,
    )  # fmt: skip
    async def lift_keeping(subject: str, keeping: str, write: Writing = writing(parts)) -> Response:
        del subject
        signed, about, id_ = write.signed, known(write.signed), an_id(keeping)
        return await _step(
            write, 200,
            lambda conn: keep.lift(
                conn, parts.office, parts.names, signed.actor, about, id_, record=signed.record, now=parts.clock.now()
            ),
        )  # fmt: skip


async def _step(write: Writing, done: int, take: Callable[[AsyncConnection], Awaitable[Step | None]]) -> Response:
    """The step, when it is confirmed or has been waited for; a refusal (None) is told once its record is committed."""

    async def do(conn: AsyncConnection) -> str | None:
        step = await take(conn)
        return None if step is None else _resource(step)

    made, _ = await write.make(done, do)
    if made is None:
        return respond(not_found())
    status = await write.status(str(UUID(made[_HEX:])) if made[_HEX:] else None)
    return answered({"id": str(UUID(made[:_HEX])), "status": status}, done if status == "confirmed" else 202)


def _resource(step: Step) -> str:
    """Both ids in the 64 characters that an idempotency key remembers."""
    return UUID(step.keeping).hex + (UUID(step.change).hex if step.change else "")
