"""The routes of what the law table must know of a subject: recorded by staff, read by them and by the subject."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from chassis.http import answer as answered
from chassis.permit import Signed
from chassis.routes import route
from consent.api.bodies import Body, Day, Person, Slug
from consent.api.parts import Parts, Writing, claimed, known, reading, writing
from consent.handlers import births
from consent.handlers import facts as recording
from consent.handlers.births import Birth
from consent.handlers.facts import Statement
from consent.model.facts import Kind, Responsibility

Reference = Annotated[
    str, Field(min_length=3, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")
]  # fmt: skip


class NewFact(Body):
    """A fact, from a day on until (not including) another. people: who holds parental responsibility, or who answers
    by a care order or a decision on capacity. what: the category that a decision under fifteen is about; left out: all
    of them. Of a pregnancy `begins` is the day it is due (`expected`), or ended. reference: of the decision, or of the
    register."""

    kind: Kind
    value: Slug
    begins: Day
    ends: Day | None = None
    what: Slug | None = None
    people: Annotated[list[Person], Field(max_length=6)] = []
    reference: Reference


class NewBirth(Body):
    """Whoever was expected is born: the child, and who holds parental responsibility (`ukjent`: that is not known yet,
    and nobody answers or sees by law until it is). reference: of the report of the birth."""

    child: Person
    responsibility: Responsibility
    guardians: Annotated[list[Person], Field(max_length=6)] = []
    reference: Reference


class ToldBirth(BaseModel):
    """A birth was taken down. `status`: pending until every gateway able to answer knows of it."""

    change: str
    status: Literal["confirmed", "pending"]


class RecordedFact(BaseModel):
    """What was recorded. `status`: pending until every gateway able to answer knows of it."""

    id: str
    change: str
    status: Literal["confirmed", "pending"]


class FactView(BaseModel):
    """A recorded fact."""

    id: str
    kind: Kind
    value: str
    what: str | None
    people: list[str]
    begins: str
    ends: str | None
    source: str
    reference: str
    at: str
    status: Literal["confirmed", "pending"]


class FactList(BaseModel):
    """Everything recorded, the oldest first; the newest of a kind that holds today counts."""

    items: list[FactView]
    next: str | None


def facts(parts: Parts) -> APIRouter:
    """Recording and reading."""
    routes = APIRouter()

    @routes.post(
        "/subjects/{subject}/facts", status_code=201, response_model=RecordedFact,
        responses={202: {"model": RecordedFact}}, openapi_extra=route(basis="asker"),
    )  # fmt: skip
    async def record_fact(subject: str, body: NewFact, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about, now = write.signed.actor, known(write.signed), parts.clock.now()
        people = tuple(claimed(parts, person) for person in body.people)
        said = Statement(body.kind, body.value, body.begins, body.ends, body.what, people, body.reference.strip())

        async def do(conn: Any) -> str:
            made = await recording.record(conn, parts.office, actor, about, said, now)
            return f"{made.id} {made.change}"

        made, _ = await write.make(201, do)
        id_, _, change = (made or "").partition(" ")
        status = await write.status(change)
        shown = {"id": id_, "change": change, "status": status}
        return answered(shown, 201 if status == "confirmed" else 202)

    @routes.post(
        "/subjects/{subject}/birth", status_code=201, response_model=ToldBirth,
        responses={202: {"model": ToldBirth}}, openapi_extra=route(basis="asker"),
    )  # fmt: skip
    async def tell_birth(subject: str, body: NewBirth, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about, now = write.signed.actor, known(write.signed), parts.clock.now()
        guardians = tuple(claimed(parts, person) for person in body.guardians)
        said = Birth(claimed(parts, body.child), body.responsibility, guardians, body.reference.strip())

        async def do(conn: Any) -> str:
            return (await births.tell(conn, parts.office, actor, about, said, now)).change or ""

        change, _ = await write.make(201, do)
        status = await write.status(change or "")
        return answered({"change": change, "status": status}, 201 if status == "confirmed" else 202)

    @routes.get(
        "/subjects/{subject}/facts", response_model=FactList,
        openapi_extra=route(action="read", basis="asked-or-asker", me=True),
    )  # fmt: skip
    async def list_facts(subject: str, signed: Signed = reading(parts)) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            found = await recording.listed(conn, parts.office, signed.actor, known(signed), parts.clock.now())
        return answered({"items": list(found), "next": None})

    return routes
