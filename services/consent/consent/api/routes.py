"""The routes of consent: parse, call a handler, shape the answer."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from chassis.http import answer as answered
from chassis.permit import Actor, Signed
from chassis.problems import Problem, not_found, respond
from chassis.routes import route
from consent.api import bodies
from consent.api.evidence_bodies import GrantHistory
from consent.api.grant_bodies import GrantList
from consent.api.parts import Parts, Writing, allowed, an_id, claimed, known, only, reading, writing
from consent.handlers import answers, grant_views, requests, views, withdrawals
from consent.handlers.answers import Answer
from consent.handlers.requests import Made, Order
from consent.handlers.withdrawals import Part
from consent.model.births import Unborn
from consent.model.languages import wishes
from consent.model.requests import Cell, Said, each_once
from consent.model.texts import Conveyed

_ASKED_OR_ASKER = route(action="read", basis="asked-or-asker", category="any")
_WITHDRAWAL = route(basis="self", lease="none")
_GRANTS = route(action="read", category="fixed:grants", me=True)
Languages = Annotated[str | None, Header(alias="Accept-Language", max_length=300)]


def router(parts: Parts) -> APIRouter:
    """Every route of consent but the leader's and the ledger's."""
    routes = APIRouter()
    _request_routes(routes, parts)
    _answer_routes(routes, parts)
    _withdrawal_routes(routes, parts)
    _sight_routes(routes, parts)
    _inner_routes(routes, parts)
    return routes


def _request_routes(routes: APIRouter, parts: Parts) -> None:
    reads, writes = reading(parts), writing(parts)

    @routes.post(
        "/requests", status_code=201, response_model=bodies.MadeRequest,
        openapi_extra=route(basis="role:professional"),
    )  # fmt: skip
    async def ask(body: bodies.NewRequest, write: Writing = writes) -> Response:
        actor, now = write.signed.actor, parts.clock.now()
        if actor.kind != "staff" or actor.role != "professional":
            raise Problem(403, "not-allowed", "Only professionals ask for consent.")
        order = _order(parts, body)
        made: list[Made] = []

        async def do(conn: Any) -> str | None:
            if await requests.turned_away(conn, parts.office, parts.names, actor, order, now):
                return None
            made.append(await requests.ask(conn, parts.office, actor, order, now))
            return made[0].id

        id_, _ = await write.make(201, do)
        if id_ is None:  # the refusal is committed with its record; only then is it told
            return respond(not_found())
        if made and made[0].change is not None:
            await write.settled(made[0].change)
        async with parts.engine.connect() as conn:
            return answered(await views.made_request(conn, parts.office, actor, id_, parts.clock.now()), 201)

    @routes.get(
        "/subjects/{subject}/requests", response_model=bodies.RequestList,
        openapi_extra=route(action="read", basis="asked-or-asker", me=True),
    )  # fmt: skip
    async def list_requests(subject: str, languages: Languages = None, signed: Signed = reads) -> Response:
        del subject  # the signed one is the one that counts
        async with parts.engine.connect() as conn:
            found = await views.requests_for(
                conn, parts.office, signed.actor, known(signed), wishes(languages), parts.clock.now()
            )
        return answered({"items": found, "next": None})

    @routes.get(
        "/subjects/{subject}/requests/{request}", response_model=bodies.RequestView, openapi_extra=_ASKED_OR_ASKER
    )
    async def read_request(subject: str, request: str, languages: Languages = None, signed: Signed = reads) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            return answered(
                await views.request_for(
                    conn, parts.office, signed.actor, known(signed), an_id(request), wishes(languages),
                    parts.clock.now(),
                )
            )  # fmt: skip


def _order(parts: Parts, body: bodies.NewRequest) -> Order:
    cells = frozenset(
        Cell(cell.service, category, action)
        for cell in body.cells
        for category in cell.categories
        for action in cell.actions
    )
    return Order(
        body.asker, claimed(parts, body.person()), tuple(claimed(parts, guardian) for guardian in body.guardians),
        body.responsibility, body.level, body.why, body.purpose, cells, body.until,
        body.due_date,
    )  # fmt: skip


def _answer_routes(routes: APIRouter, parts: Parts) -> None:
    @routes.post(
        "/subjects/{subject}/requests/{request}/answer", response_model=bodies.AnswerView,
        responses={202: {"model": bodies.AnswerView}}, openapi_extra=route(basis="asked"),
    )  # fmt: skip
    async def answer_request(
        subject: str, request: str, body: bodies.NewAnswer, write: Writing = writing(parts)
    ) -> Response:
        del subject
        actor, about, asked = write.signed.actor, known(write.signed), an_id(request)
        cells, how = said(body.cells), body.conveyed
        given = Answer(cells, body.text_version, body.language, Conveyed(how.how, how.by, how.into))

        async def do(conn: Any) -> str:
            made = await answers.answer(conn, parts.office, actor, about, asked, given, parts.clock.now())
            return made.change or ""

        change, _ = await write.make(200, do)
        if change:
            await write.settled(change)
        async with parts.engine.connect() as conn:
            made = Made(asked, about, change or None)
            found = await answers.outcome(conn, parts.office, actor, made, parts.clock.now())
        shown = {"state": found.state, "change": found.change, "status": found.status}
        return answered(shown, 200 if found.status == "confirmed" else 202)


def said(cells: Sequence[bodies.AnsweredCell]) -> dict[Cell, Said]:
    """What is answered, each cell once; AnswersContradict."""
    return each_once((Cell(cell.service, cell.category, cell.action), cell.answer) for cell in cells)


def _withdrawal_routes(routes: APIRouter, parts: Parts) -> None:
    reads, writes = reading(parts), writing(parts)

    async def told(actor: Actor, subject: str, id_: str, languages: str | None) -> dict[str, Any]:
        async with parts.engine.connect() as conn:
            found = await withdrawals.withdrawal(conn, actor, subject, id_)
            return await withdrawals.told(conn, found, actor, wishes(languages))

    @routes.post(
        "/subjects/{subject}/withdrawals", response_model=bodies.WithdrawalView,
        responses={202: {"model": bodies.WithdrawalView}}, openapi_extra=_WITHDRAWAL,
    )  # fmt: skip
    async def withdraw(
        subject: str, body: bodies.NewWithdrawal, languages: Languages = None, write: Writing = writes
    ) -> Response:
        del subject
        actor, about, law = write.signed.actor, known(write.signed), parts.office.law
        part = Part(
            body.recipient, body.category, body.staff,
            None if body.back_to is None else law.starts(body.back_to),
            None if body.until is None else law.ends(body.until),
        )  # fmt: skip

        async def do(conn: Any) -> str | None:
            found = await withdrawals.withdraw(
                conn, law, parts.names, actor, about, part, record=write.signed.record, now=parts.clock.now()
            )
            return None if found is None else found.id

        id_, _ = await write.make(200, do)
        if id_ is None:  # the refusal is committed with its record; only then is it told
            return respond(not_found())
        await write.settled(id_)
        shown = await told(actor, about, id_, languages)
        if shown["status"] == "confirmed":
            return answered(shown)
        return answered(shown, 202, Location=f"/subjects/{about}/withdrawals/{id_}")

    @routes.get(
        "/subjects/{subject}/withdrawals/{withdrawal}", response_model=bodies.WithdrawalView, openapi_extra=_WITHDRAWAL
    )
    async def read_withdrawal(
        subject: str, withdrawal: str, languages: Languages = None, signed: Signed = reads
    ) -> Response:
        del subject
        return answered(await told(signed.actor, known(signed), an_id(withdrawal), languages))


def _sight_routes(routes: APIRouter, parts: Parts) -> None:
    reads = reading(parts)

    @routes.get("/subjects/{subject}/grants", response_model=GrantList, openapi_extra=_GRANTS)
    async def list_grants(subject: str, languages: Languages = None, signed: Signed = reads) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            return answered(
                await grant_views.grants_for(
                    conn, parts.office.law, allowed(signed), signed.actor, wishes(languages), parts.clock.now()
                )
            )

    @routes.get(
        "/subjects/{subject}/grants/{grant}", response_model=GrantHistory,
        openapi_extra=route(action="read", category="fixed:grants"),
    )  # fmt: skip
    async def read_grant(subject: str, grant: str, signed: Signed = reads) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            return answered(await grant_views.grant_for(conn, allowed(signed), signed.actor, an_id(grant)))

    @routes.get("/subjects/{subject}/identity", response_model=bodies.IdentityView, openapi_extra=route(action="read"))
    async def read_identity(subject: str, signed: Signed = reads) -> Response:
        del subject
        permit = allowed(signed)
        if permit.action != "read" or not permit.cells:
            raise not_found()
        async with parts.engine.connect() as conn:
            found = await parts.office.registry.identity(conn, permit.subject)
        return answered(
            {
                "given_name": found.given_name, "family_name": found.family_name,
                "birth_date": None if isinstance(found.born, Unborn) else found.born.isoformat(),
                "due_date": found.born.due.isoformat() if isinstance(found.born, Unborn) else None,
            }
        )  # fmt: skip


def _inner_routes(routes: APIRouter, parts: Parts) -> None:
    @routes.post("/inner/people/match", include_in_schema=False, response_model=bodies.MatchView)
    async def match_person(body: bodies.Match, signed: Signed = reading(parts)) -> Mapping[str, str]:
        only(signed, "gateway")
        today = parts.office.law.day_of(parts.clock.now())
        async with parts.engine.connect() as conn:
            found = await parts.office.registry.match(conn, body.national_id.get_secret_value(), today)
        return {"person": found}
