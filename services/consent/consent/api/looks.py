"""The routes of who looked: the list, its files, and asking the service that looked."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import BeforeValidator
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import from_rfc3339
from chassis.http import PAPER, make_cursor, read_cursor
from chassis.http import answer as answered
from chassis.permit import Actor, Signed
from chassis.routes import route
from consent.api import look_bodies as bodies
from consent.api.parts import Parts, Writing, allowed, an_id, known, reading, writing
from consent.handlers import exports
from consent.handlers import looks as seen
from consent.handlers import questions as asking
from consent.model.languages import wishes
from consent.model.law import Law
from consent.model.looks import Wanted

_LOOKS = route(action="read", category="fixed:looks", me=True)
_ONE_LOOK = route(action="read", category="fixed:looks")
_LONGEST_MOMENT = 40
_ANSWERS = route(basis=asking.BASIS)


def moment(value: object) -> object:
    """RFC 3339: a day, or a time with its zone."""
    if not isinstance(value, str) or len(value) > _LONGEST_MOMENT:
        raise ValueError("must be a day or a time with its zone")
    if len(value) == len("2026-01-31"):
        return date.fromisoformat(value)
    return from_rfc3339(value)


Moment = Annotated[date | datetime, BeforeValidator(moment)]
From = Annotated[Moment | None, Query(alias="from")]
To = Annotated[Moment | None, Query()]
Service = Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
After = Annotated[str | None, Query(max_length=400)]
Form = Annotated[Literal["json", "csv", "print"], Query(alias="format")]
Limit = Annotated[int, Query(ge=1, le=200)]
Languages = Annotated[str | None, Header(alias="Accept-Language", max_length=300)]


def begins(law: Law, value: date | datetime | None) -> datetime | None:
    """The first moment of a `from`: a day begins where the municipality is."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value, time.min, law.zone)


def ends(law: Law, value: date | datetime | None) -> datetime | None:
    """The moment before which a `to` ends: a day is meant whole."""
    return begins(law, value if value is None or isinstance(value, datetime) else value + timedelta(days=1))


def looks(parts: Parts) -> APIRouter:
    """Who looked, and what is asked about it."""
    routes = APIRouter()
    _list_routes(routes, parts)
    _question_routes(routes, parts)
    _service_routes(routes, parts)
    return routes


def _list_routes(routes: APIRouter, parts: Parts) -> None:
    reads, law, keys = reading(parts), parts.office.law, parts.office.registry.keys

    @routes.get("/subjects/{subject}/looks", response_model=bodies.LookList, openapi_extra=_LOOKS)
    async def list_looks(
        subject: str, service: Service = None, from_: From = None, to: To = None, action: bodies.LookAction = None,
        outcome: bodies.Outcome = None, after: After = None, limit: Limit = 50, languages: Languages = None,
        signed: Signed = reads,
    ) -> Response:  # fmt: skip
        del subject
        permit, wanted = allowed(signed), Wanted(service, begins(law, from_), ends(law, to), action, outcome)
        scope = _scope(permit.subject, signed.actor, wanted)
        before = None if after is None else str(read_cursor(parts.secret, after, scope))
        async with parts.engine.connect() as conn:
            page = await seen.looks(conn, keys, permit, signed.actor, wanted, before, limit, wishes(languages))
        next_ = None if page.next is None else make_cursor(parts.secret, page.next, scope)
        words = {"version": page.words.version, "language": page.words.language, "status": page.words.status}
        return answered({"items": page.items, "next": next_, "words": words})

    @routes.get(
        "/subjects/{subject}/looks/export", response_model=bodies.LookFile | bodies.ProvedList,
        responses=bodies.AS_FILES,
        openapi_extra=_ONE_LOOK,
    )  # fmt: skip
    async def export_looks(
        subject: str, service: Service = None, from_: From = None, to: To = None, action: bodies.LookAction = None,
        outcome: bodies.Outcome = None, form: Form = "json", languages: Languages = None, signed: Signed = reads,
    ) -> Response:  # fmt: skip
        del subject
        permit, wanted = allowed(signed), Wanted(service, begins(law, from_), ends(law, to), action, outcome)
        async with parts.engine.connect() as conn:
            found = await exports.export(
                conn, keys, exports.Proving(parts.signer, parts.names, law.zone), permit, signed.actor, wanted, form,
                wishes(languages), parts.clock.now(),
            )  # fmt: skip
        return as_file(found)


def as_file(found: Mapping[str, Any]) -> Response:
    """JSON; or what the gateway writes as a file, once it has cut it."""
    return answered(found, 200, **{"content-type": PAPER}) if "paper" in found else answered(found)


def _question_routes(routes: APIRouter, parts: Parts) -> None:
    keys = parts.office.registry.keys

    @routes.post(
        "/subjects/{subject}/looks/{look}/question", status_code=201, response_model=bodies.QuestionView,
        openapi_extra=_ONE_LOOK,
    )  # fmt: skip
    async def ask_about_look(
        subject: str, look: str, body: bodies.NewQuestion, write: Writing = writing(parts)
    ) -> Response:
        del subject
        permit, actor, now = allowed(write.signed), write.signed.actor, parts.clock.now()
        asked = asking.Asked(look, body.text, body.service)

        async def do(conn: AsyncConnection) -> str:
            return await asking.ask(conn, keys, permit, actor, asked, now)

        id_, _ = await write.make(201, do)
        async with parts.engine.connect() as conn:
            return answered(await asking.made(conn, keys, actor, id_ or ""), 201)


def _service_routes(routes: APIRouter, parts: Parts) -> None:
    keys = parts.office.registry.keys

    @routes.get("/services/{service}/questions", response_model=bodies.QuestionList, openapi_extra=_ANSWERS)
    async def list_questions(
        service: str, state: Literal["open", "answered"] = "open", after: After = None,
        limit: Annotated[int, Query(ge=1, le=50)] = 20, signed: Signed = reading(parts),
    ) -> Response:  # fmt: skip
        scope = f"questions {service} {state} {signed.actor.kind} {signed.actor.id}"
        async with parts.engine.begin() as conn:
            page = await asking.questions(
                conn, keys, parts.names, signed.actor, service, answered=state == "answered",
                before=place(parts, after, scope), limit=limit, now=parts.clock.now(),
            )  # fmt: skip
        next_ = None if page.next is None else make_cursor(parts.secret, page.next, scope)
        return answered({"items": page.items, "next": next_})

    @routes.post(
        "/subjects/{subject}/questions/{question}/answer", response_model=bodies.AnsweredView, openapi_extra=_ANSWERS
    )
    async def answer_question(
        subject: str, question: str, body: bodies.NewReply, write: Writing = writing(parts)
    ) -> Response:
        del subject
        actor, about, asked = write.signed.actor, known(write.signed), an_id(question)

        async def do(conn: AsyncConnection) -> str:
            return await asking.answer(conn, keys, actor, about, asked, body.text, parts.clock.now())

        id_, _ = await write.make(200, do)
        async with parts.engine.connect() as conn:
            return answered(await asking.answered(conn, actor, id_ or ""))


def place(parts: Parts, after: str | None, scope: str) -> tuple[datetime, str] | None:
    """The time and id in a cursor of this scope."""
    if after is None:
        return None
    at, id_ = read_cursor(parts.secret, after, scope)
    return from_rfc3339(at), id_


def _scope(subject: str, actor: Actor, wanted: Wanted) -> str:
    """Cursors of one list for one reader and one filter."""
    return f"looks {subject} {actor.kind} {actor.id} {wanted.scope()}"
