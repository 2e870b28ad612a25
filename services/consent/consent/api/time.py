"""The routes about time: renewing what ends, and the services that take part until then."""

from fastapi import APIRouter, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import answer as answered
from chassis.permit import Signed
from chassis.problems import Problem
from chassis.routes import route
from consent.api import bodies as own
from consent.api import time_bodies as bodies
from consent.api.parts import Parts, Writing, allowed, an_id, known, reading, writing
from consent.api.routes import Languages
from consent.handlers import renewals, services, views
from consent.handlers.requests import Made
from consent.model.languages import wishes


def time(parts: Parts) -> APIRouter:
    """Renewals, and the list of services."""
    routes = APIRouter()

    @routes.post(
        "/subjects/{subject}/requests/{request}/renewal", status_code=201, response_model=own.MadeRequest,
        openapi_extra=route(basis="asker"),
    )  # fmt: skip
    async def renew_request(
        subject: str, request: str, body: bodies.NewRenewal, write: Writing = writing(parts)
    ) -> Response:
        del subject
        actor, about, old = write.signed.actor, known(write.signed), an_id(request)
        if actor.kind != "staff" or actor.role != "professional":
            raise Problem(403, "not-allowed", "Only professionals ask for consent.")
        wanted = renewals.Renewal(body.until, body.why)
        made: list[Made] = []

        async def do(conn: AsyncConnection) -> str:
            made.append(await renewals.renew(conn, parts.office, actor, about, old, wanted, parts.clock.now()))
            return made[0].id

        id_, _ = await write.make(201, do)
        if made and made[0].change is not None:
            await write.settled(made[0].change)
        async with parts.engine.connect() as conn:
            return answered(await views.made_request(conn, parts.office, actor, id_ or "", parts.clock.now()), 201)

    @routes.get(
        "/subjects/{subject}/services", response_model=bodies.ServicesList,
        openapi_extra=route(action="read", category="fixed:grants", me=True),
    )  # fmt: skip
    async def list_taking_part(subject: str, languages: Languages = None, signed: Signed = reading(parts)) -> Response:
        del subject
        async with parts.engine.connect() as conn:
            return answered(
                await services.services_for(
                    conn, parts.office.law, allowed(signed), signed.actor, wishes(languages), parts.clock.now()
                )
            )

    return routes
