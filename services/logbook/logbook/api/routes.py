"""The log's HTTP routes: parse, call a handler in one transaction, shape the answer."""

import hashlib
import hmac
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse

from chassis.http import answer, make_cursor, read_cursor
from chassis.routes import route
from logbook import handlers
from logbook.api import bodies, shapes
from logbook.api.doors import Parts, Reading, Writing, reading, show_item, show_log, writing

Match = Annotated[str | None, Header(alias="If-Match", max_length=500)]
_CONTRIBUTE = route(action="contribute")
_CONTRIBUTE_AS_NAMED = route(action="contribute", category="body:category")
_CONTRIBUTE_TO_ITEM = route(action="contribute", category="item")


def router(parts: Parts) -> APIRouter:
    """Every public route of the logbook."""
    routes = APIRouter(prefix="/subjects/{subject}")
    _read_routes(routes, parts)  # first: routes are tried in order, and most requests read
    _log_routes(routes, parts)
    _item_routes(routes, parts)
    _measure_routes(routes, parts)
    _meeting_routes(routes, parts)
    return routes


def _log_routes(routes: APIRouter, parts: Parts) -> None:
    write_dependency = Depends(writing(parts))

    @routes.post("/log", status_code=201, response_model=bodies.LogDocument, openapi_extra=_CONTRIBUTE)
    async def open_log(body: bodies.OpenLog, write: Writing = write_dependency) -> Response:
        return await write.log(
            201, body.service,
            lambda work: handlers.open_log(
                work, guide=parts.guide_of(body.guide), plan_type=body.plan_type, level=body.level,
                decision=body.decision, category=body.category,
            ),
        )  # fmt: skip

    @routes.post("/log/level", response_model=bodies.LogDocument, openapi_extra=_CONTRIBUTE)
    async def change_level(body: bodies.ChangeLevel, write: Writing = write_dependency) -> Response:
        return await write.log(
            200, body.service,
            lambda work: handlers.change_level(
                work, guide_of=parts.guide_of, level=body.level, decision=body.decision, category=body.category
            ),
        )  # fmt: skip

    @routes.post("/log/handover", response_model=bodies.LogDocument, openapi_extra=_CONTRIBUTE)
    async def offer_handover(body: bodies.OfferHandover, write: Writing = write_dependency) -> Response:
        return await write.log(
            200, body.service, lambda work: handlers.offer_handover(work, to_service=body.to_service)
        )

    @routes.post("/log/handover/accept", response_model=bodies.LogDocument, openapi_extra=_CONTRIBUTE)
    async def accept_handover(body: bodies.AcceptHandover | None = None, write: Writing = write_dependency) -> Response:
        return await write.log(200, None if body is None else body.service, handlers.accept_handover)


def _item_routes(routes: APIRouter, parts: Parts) -> None:
    write_dependency = Depends(writing(parts))

    @routes.post("/goals", status_code=201, response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_AS_NAMED)
    async def set_goal(body: bodies.SetGoal, write: Writing = write_dependency) -> Response:
        return await write.item(
            201, body.service, lambda work: handlers.set_goal(work, title=body.title, category=body.category)
        )

    @routes.post("/entries", status_code=201, response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_AS_NAMED)
    async def add_entry(body: bodies.AddEntry, write: Writing = write_dependency) -> Response:
        return await write.item(
            201, body.service, lambda work: handlers.add_entry(work, text=body.text, category=body.category)
        )

    @routes.post("/highlights", status_code=201, response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_AS_NAMED)
    async def add_highlight(body: bodies.AddHighlight, write: Writing = write_dependency) -> Response:
        return await write.item(
            201, body.service, lambda work: handlers.add_highlight(work, text=body.text, category=body.category)
        )


def _measure_routes(routes: APIRouter, parts: Parts) -> None:
    write_dependency = Depends(writing(parts))

    @routes.post("/measures", status_code=201, response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_AS_NAMED)
    async def plan_measure(body: bodies.PlanMeasure, write: Writing = write_dependency) -> Response:
        return await write.item(
            201, body.service,
            lambda work: handlers.plan_measure(
                work, goal=str(body.goal), title=body.title, category=body.category, responsible=body.responsible,
                evaluate_on=body.evaluate_on,
            ),
        )  # fmt: skip

    @routes.post("/measures/{item}/start", response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_TO_ITEM)
    async def start_measure(
        item: UUID, body: bodies.StartMeasure, write: Writing = write_dependency, if_match: Match = None
    ) -> Response:
        check = shapes.unchanged(if_match)
        return await write.item(
            200, body.service,
            lambda work: handlers.start_measure(work, measure=str(item), evaluate_on=body.evaluate_on, check=check),
        )  # fmt: skip

    @routes.post("/measures/{item}/acceptance", response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_TO_ITEM)
    async def accept_measure(
        item: UUID,
        body: bodies.AcceptMeasure | None = None,
        write: Writing = write_dependency,
        if_match: Match = None,
    ) -> Response:
        check = shapes.unchanged(if_match)
        return await write.item(
            200,
            None if body is None else body.service,
            lambda work: handlers.accept_measure(work, measure=str(item), check=check),
        )

    @routes.post("/measures/{item}/evaluation", response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_TO_ITEM)
    async def evaluate_measure(
        item: UUID, body: bodies.EvaluateMeasure, write: Writing = write_dependency, if_match: Match = None
    ) -> Response:
        check = shapes.unchanged(if_match)
        return await write.item(
            200, body.service,
            lambda work: handlers.evaluate_measure(
                work, measure=str(item), outcome=body.outcome, text=body.text, evaluate_on=body.evaluate_on, check=check
            ),
        )  # fmt: skip


def _meeting_routes(routes: APIRouter, parts: Parts) -> None:
    write_dependency = Depends(writing(parts))

    @routes.post("/meetings", status_code=201, response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_AS_NAMED)
    async def plan_meeting(body: bodies.PlanMeeting, write: Writing = write_dependency) -> Response:
        return await write.item(
            201, body.service,
            lambda work: handlers.plan_meeting(
                work, title=body.title, category=body.category, meet_at=body.meet_at, place=body.place
            ),
        )  # fmt: skip

    @routes.post("/meetings/{item}/move", response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_TO_ITEM)
    async def move_meeting(
        item: UUID, body: bodies.MoveMeeting, write: Writing = write_dependency, if_match: Match = None
    ) -> Response:
        check = shapes.unchanged(if_match)
        return await write.item(
            200, body.service,
            lambda work: handlers.move_meeting(
                work, meeting=str(item), meet_at=body.meet_at, place=body.place, check=check
            ),
        )  # fmt: skip

    @routes.post("/meetings/{item}/call-off", response_model=bodies.ItemView, openapi_extra=_CONTRIBUTE_TO_ITEM)
    async def call_off_meeting(
        item: UUID,
        body: bodies.CallOffMeeting | None = None,
        write: Writing = write_dependency,
        if_match: Match = None,
    ) -> Response:
        check = shapes.unchanged(if_match)
        return await write.item(
            200,
            None if body is None else body.service,
            lambda work: handlers.call_off_meeting(work, meeting=str(item), check=check),
        )


def _read_routes(routes: APIRouter, parts: Parts) -> None:
    read_dependency = Depends(reading(parts))
    one_query = parts.engine.execution_options(isolation_level="AUTOCOMMIT")
    one_picture = parts.engine.execution_options(isolation_level="REPEATABLE READ")
    cursor_key = hmac.digest(parts.secret, b"cursor", hashlib.sha256)

    @routes.get("/items", response_model=bodies.ItemList, openapi_extra=route(action="read", me=True))
    async def get_items(asked: Annotated[bodies.Listing, Query()], read: Reading = read_dependency) -> Response:
        permit, reader = read.permit, shapes.reader_of(read.signed)
        scope = f"items\0{permit.subject}\0{asked.kind or ''}\0{asked.due_by or ''}"
        last = None if asked.after is None else str(read_cursor(cursor_key, asked.after, scope))
        found, more = await handlers.read_items(
            parts.engine, parts.keys, permit, kind=asked.kind, due_by=asked.due_by, after=last, limit=asked.limit
        )
        following = make_cursor(cursor_key, found[-1].id, scope) if more else None
        return answer({"items": [shapes.item_body(reader, each) for each in found], "next": following})

    @routes.get("/log", response_model=bodies.LogDocument, openapi_extra=route(action="read"))
    async def get_log(read: Reading = read_dependency) -> Response:
        async with one_picture.begin() as conn:
            body, tag = await show_log(parts, conn, read.signed)
        return JSONResponse(body, headers={"ETag": tag})

    @routes.get("/items/{item}", response_model=bodies.ItemView, openapi_extra=route(action="read", category="item"))
    async def get_item(item: UUID, read: Reading = read_dependency) -> Response:
        async with one_query.connect() as conn:
            body, tag = await show_item(parts, conn, read.signed, str(item))
        return JSONResponse(body, headers={"ETag": tag})
