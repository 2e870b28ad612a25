"""The routes for words that come otherwise than by a log-in: on paper, orally, through a companion."""

import os
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import answer as answered
from chassis.permit import Signed
from chassis.problems import not_found, respond
from chassis.routes import route
from consent.api import bodies as own
from consent.api import otherwise_bodies as bodies
from consent.api.look_bodies import AS_PAGE
from consent.api.looks import Languages, as_file
from consent.api.parts import Parts, Writing, an_id, known, reading, writing
from consent.api.routes import said
from consent.handlers import answers, companions, forms, registering, told, withdrawals
from consent.handlers.requests import Made
from consent.handlers.withdrawals import Part
from consent.model.languages import wishes
from consent.model.otherwise import CODE_BYTES, REGISTRARS, Grounds, Scan
from consent.model.people import Claim
from consent.model.texts import Conveyed

_ASKER = route(basis="asker")
_TOLD = route(basis="self", lease="none")
_OWN = route(basis="self")


def otherwise(parts: Parts) -> APIRouter:
    """Registered answers and withdrawals, information given, forms and companions."""
    routes = APIRouter()
    _registering_routes(routes, parts)
    _withdrawal_routes(routes, parts)
    _form_routes(routes, parts)
    _companion_routes(routes, parts)
    _writing_routes(routes, parts)
    return routes


def _grounds(body: bodies.Backed) -> Grounds:
    scan = None if body.scan is None else Scan(body.scan.sha256, body.scan.reference)
    return Grounds(body.manner, body.witness, body.given_at, body.place, body.form, scan, body.statement)


def _registering_routes(routes: APIRouter, parts: Parts) -> None:
    office = parts.office

    @routes.post(
        "/subjects/{subject}/requests/{request}/registered-answer", status_code=201,
        response_model=bodies.RegisteredAnswerView, responses={202: {"model": bodies.RegisteredAnswerView}},
        openapi_extra=_ASKER,
    )  # fmt: skip
    async def register_answer(
        subject: str, request: str, body: bodies.NewRegisteredAnswer, write: Writing = writing(parts)
    ) -> Response:
        del subject
        actor, about, asked = write.signed.actor, known(write.signed), an_id(request)
        given = registering.Registered(
            body.person, said(body.cells), _grounds(body), body.text_version, body.language,
            Conveyed(body.conveyed.how, body.conveyed.by, body.conveyed.into),
        )  # fmt: skip
        changed: list[str | None] = []

        async def do(conn: AsyncConnection) -> str:
            made = await registering.answer(conn, office, actor, about, asked, given, parts.clock.now())
            changed.append(made.change)
            return made.id

        id_, _ = await write.make(201, do)
        if changed and changed[0] is not None:
            await write.settled(changed[0])
        async with parts.engine.connect() as conn:
            change = await registering.change_of(conn, about, id_ or "")
            found = await answers.outcome(conn, office, actor, Made(asked, about, change), parts.clock.now())
        shown = {"id": id_, "state": found.state, "change": found.change, "status": found.status}
        return answered(shown, 201 if found.status == "confirmed" else 202)

    @routes.post(
        "/subjects/{subject}/requests/{request}/information", status_code=201, response_model=bodies.MadeInformation,
        openapi_extra=_ASKER,
    )  # fmt: skip
    async def register_information(
        subject: str, request: str, body: bodies.NewInformation, write: Writing = writing(parts)
    ) -> Response:
        del subject
        actor, about, asked = write.signed.actor, known(write.signed), an_id(request)
        given = registering.Information(
            body.person, body.text_version, body.language, tuple(body.points), body.interpreter, body.told_at
        )

        async def do(conn: AsyncConnection) -> str:
            return await registering.inform(conn, office, actor, about, asked, given, parts.clock.now())

        id_, _ = await write.make(201, do)
        return answered({"id": id_}, 201)

    @routes.post(
        "/subjects/{subject}/requests/{request}/taking-back", response_model=bodies.TakenBack, openapi_extra=_ASKER
    )
    async def take_back_request(subject: str, request: str, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about, asked = write.signed.actor, known(write.signed), an_id(request)

        async def do(conn: AsyncConnection) -> str:
            return await registering.take_back(conn, office.law, actor, about, asked, parts.clock.now())

        id_, _ = await write.make(200, do)
        return answered({"id": id_, "state": "taken-back"})


def _withdrawal_routes(routes: APIRouter, parts: Parts) -> None:
    law = parts.office.law

    async def shown(signed: Signed, id_: str, languages: str | None) -> dict[str, Any]:
        async with parts.engine.connect() as conn:
            found = await told.withdrawal(conn, signed.actor, known(signed), id_)
            return await withdrawals.told(conn, found, signed.actor, wishes(languages))

    @routes.post(
        "/subjects/{subject}/registered-withdrawals", response_model=own.WithdrawalView,
        responses={202: {"model": own.WithdrawalView}}, openapi_extra=_TOLD,
    )  # fmt: skip
    async def register_withdrawal(
        subject: str, body: bodies.NewToldWithdrawal, languages: Languages = None, write: Writing = writing(parts)
    ) -> Response:
        del subject
        actor, about, now = write.signed.actor, known(write.signed), parts.clock.now()
        part = Part(
            body.recipient, body.category, body.staff,
            None if body.back_to is None else law.starts(body.back_to),
            None if body.until is None else law.ends(body.until),
        )  # fmt: skip
        grounds = Grounds(body.manner, None, body.given_at or now, body.place, statement=body.statement)
        word = told.Told(body.person or about, part, grounds)

        async def do(conn: AsyncConnection) -> str | None:
            found = await told.withdraw(
                conn, parts.office, parts.names, actor, about, word, record=write.signed.record, now=now
            )
            return None if found is None else found.id

        id_, _ = await write.make(200, do)
        if id_ is None:  # the refusal is committed with its record; only then is it told
            return respond(not_found())
        await write.settled(id_)
        found = await shown(write.signed, id_, languages)
        if found["status"] == "confirmed":
            return answered(found)
        return answered(found, 202, Location=f"/subjects/{about}/registered-withdrawals/{id_}")

    @routes.get(
        "/subjects/{subject}/registered-withdrawals/{withdrawal}", response_model=own.WithdrawalView,
        openapi_extra=_TOLD,
    )  # fmt: skip
    async def read_registered_withdrawal(
        subject: str, withdrawal: str, languages: Languages = None, signed: Signed = reading(parts)
    ) -> Response:
        del subject
        return answered(await shown(signed, an_id(withdrawal), languages))


def _form_routes(routes: APIRouter, parts: Parts) -> None:
    @routes.post(
        "/subjects/{subject}/requests/{request}/form", responses=AS_PAGE, openapi_extra=route(basis="asked-or-asker")
    )
    async def print_form(
        subject: str, request: str, body: bodies.NewForm, languages: Languages = None,
        write: Writing = writing(parts),
    ) -> Response:  # fmt: skip
        del subject
        actor, about, asked, now = write.signed.actor, known(write.signed), an_id(request), parts.clock.now()

        async def do(conn: AsyncConnection) -> str:
            return await forms.make(
                conn, parts.office, actor, about, asked, body.person, wishes(languages), os.urandom(CODE_BYTES), now
            )

        code, _ = await write.make(200, do)
        async with parts.engine.connect() as conn:
            return as_file(await forms.page(conn, parts.office, about, code or "", now))

    @routes.get(
        "/forms/{form}", response_model=bodies.FoundForm, openapi_extra=route(basis="role:" + ",".join(REGISTRARS))
    )
    async def find_form(form: str, signed: Signed = reading(parts)) -> Response:
        async with parts.engine.connect() as conn:
            return answered(await forms.find(conn, signed.actor, form))


def _companion_routes(routes: APIRouter, parts: Parts) -> None:
    office = parts.office

    @routes.post(
        "/subjects/{subject}/companions", status_code=201, response_model=bodies.MadeCompanion, openapi_extra=_OWN
    )
    async def name_companion(subject: str, body: bodies.NewCompanion, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about, now = write.signed.actor, known(write.signed), parts.clock.now()
        naming = _naming(parts, body, now)

        async def do(conn: AsyncConnection) -> str:
            return await companions.name(conn, office, actor, about, naming, now)

        id_, _ = await write.make(201, do)
        return answered({"id": id_}, 201)

    @routes.get("/subjects/{subject}/companions", response_model=bodies.CompanionList, openapi_extra=_OWN)
    async def list_companions(subject: str, signed: Signed = reading(parts)) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            found = await companions.named_by(conn, office, signed.actor, known(signed), parts.clock.now())
        return answered({"items": found, "next": None})

    @routes.post(
        "/subjects/{subject}/companions/{companion}/end", response_model=bodies.MadeCompanion, openapi_extra=_OWN
    )
    async def end_companion(subject: str, companion: str, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about, which = write.signed.actor, known(write.signed), an_id(companion)

        async def do(conn: AsyncConnection) -> str:
            return await companions.end(conn, office, actor, about, which, parts.clock.now())

        id_, _ = await write.make(200, do)
        return answered({"id": id_})


def _naming(parts: Parts, body: bodies.NewCompanion, now: datetime) -> companions.Naming:
    number = parts.office.registry.accept(body.national_id.get_secret_value(), parts.office.law.day_of(now))
    claim = Claim(number, body.given_name, body.family_name, body.birth_date, body.language)
    backed = None if body.registered is None else _grounds(body.registered)
    return companions.Naming(claim, tuple(body.acts), body.until, body.person, backed)


def _writing_routes(routes: APIRouter, parts: Parts) -> None:
    @routes.get("/companionships", response_model=bodies.WritesForList, openapi_extra=_OWN)
    async def list_companionships(signed: Signed = reading(parts)) -> Response:
        async with parts.engine.connect() as conn:
            found = await companions.writes_for(conn, signed.actor, parts.clock.now())
        return answered({"items": found, "next": None})

    @routes.post(
        "/subjects/{subject}/written-answers", status_code=201, response_model=bodies.Receipt, openapi_extra=_OWN
    )
    async def write_answer(subject: str, body: bodies.NewWrittenAnswer, write: Writing = writing(parts)) -> Response:
        del subject
        actor, about = write.signed.actor, known(write.signed)
        written = companions.Written(body.person, body.form, said(body.cells))

        async def do(conn: AsyncConnection) -> str:
            return await companions.answer(conn, parts.office, actor, about, written, parts.clock.now())

        id_, _ = await write.make(201, do)
        async with parts.engine.connect() as conn:
            return answered(await companions.receipt(conn, actor, id_ or ""), 201)
