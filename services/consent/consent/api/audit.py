"""The routes of a privacy officer: who saw what over a period, counts, and the record of processing."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from chassis.http import answer as answered
from chassis.http import make_cursor
from chassis.permit import Signed
from chassis.routes import route
from consent.api import look_bodies as bodies
from consent.api.bodies import Day
from consent.api.looks import After, From, Languages, Limit, Service, To, as_file, begins, ends, place
from consent.api.parts import Parts, known, reading
from consent.handlers import audit as auditing
from consent.handlers import exports
from consent.handlers.tables import current_processing
from consent.model.errors import TooMany
from consent.model.languages import wishes
from consent.model.looks import Wanted

Form = Annotated[Literal["json", "csv"], Query(alias="format")]


def audit(parts: Parts) -> APIRouter:
    """Read-only, for the role alone."""
    routes = APIRouter()
    _look_routes(routes, parts)
    _statistics_route(routes, parts)
    _processing_route(routes, parts)
    return routes


def _look_routes(routes: APIRouter, parts: Parts) -> None:
    reads, law = reading(parts), parts.office.law

    async def page(
        signed: Signed, wanted: Wanted, subject: str | None, after: str | None, limit: int, form: str
    ) -> Response:
        """JSON by pages; as CSV the whole period in one piece. Committed, with its records, before it is answered."""
        scope, now = f"audit {subject} {signed.actor.id} {wanted.scope()}", parts.clock.now()
        whole = form == "csv"
        before, most = (None, exports.MOST) if whole else (place(parts, after, scope), limit)
        period = replace(wanted, ends=wanted.ends or now)
        async with parts.engine.begin() as conn:
            if subject is None:
                found = await auditing.looks(conn, parts.names, signed.actor, period, before, most, now)
            else:
                found = await auditing.looks_at(conn, signed.actor, subject, period, before, most)
            if whole and found.next is not None:
                raise TooMany  # rolled back: nothing is shown, so nothing is recorded
        if whole:
            return as_file({"items": found.items, "next": None, "paper": exports.audit("samlogg-audit")})
        next_ = None if found.next is None else make_cursor(parts.secret, found.next, scope)
        return answered({"items": found.items, "next": next_})

    @routes.get(
        "/audit/looks", response_model=bodies.AuditList, responses=bodies.AS_ROWS,
        openapi_extra=route(action="read", basis=auditing.BASIS, record=True),
    )  # fmt: skip
    async def audit_looks(
        from_: From = None, to: To = None, service: Service = None, action: bodies.LookAction = None,
        outcome: bodies.Outcome = None, after: After = None, limit: Limit = 50, form: Form = "json",
        signed: Signed = reads,
    ) -> Response:  # fmt: skip
        wanted = Wanted(service, begins(law, from_), ends(law, to), action, outcome)
        return await page(signed, wanted, None, after, limit, form)

    @routes.get(
        "/subjects/{subject}/audit", response_model=bodies.AuditList, responses=bodies.AS_ROWS,
        openapi_extra=route(action="read", basis=auditing.BASIS),
    )  # fmt: skip
    async def audit_subject(
        subject: str, from_: From = None, to: To = None, service: Service = None, action: bodies.LookAction = None,
        outcome: bodies.Outcome = None, after: After = None, limit: Limit = 50, form: Form = "json",
        signed: Signed = reads,
    ) -> Response:  # fmt: skip
        del subject
        wanted = Wanted(service, begins(law, from_), ends(law, to), action, outcome)
        return await page(signed, wanted, known(signed), after, limit, form)


def _statistics_route(routes: APIRouter, parts: Parts) -> None:
    @routes.get(
        "/audit/statistics", response_model=bodies.Statistics,
        openapi_extra=route(action="read", basis=auditing.BASIS, record=True),
    )  # fmt: skip
    async def audit_statistics(
        from_: Annotated[Day, Query(alias="from")], to: Day, signed: Signed = reading(parts)
    ) -> Response:
        async with parts.engine.connect() as conn:
            found = await auditing.statistics(conn, parts.office.law, signed.actor, from_, to)
        return answered({"items": found, "next": None, "fewest": auditing.FEWEST})


def _processing_route(routes: APIRouter, parts: Parts) -> None:
    record = current_processing()  # here, so that a file that cannot be used stops the start

    @routes.get(
        "/audit/processing", response_model=bodies.ProcessingRecord, responses=bodies.AS_ROWS,
        openapi_extra=route(action="read", basis=auditing.BASIS, record=True),
    )  # fmt: skip
    async def audit_processing(
        form: Form = "json",
        languages: Languages = None,
        signed: Signed = reading(parts),
    ) -> Response:
        async with parts.engine.connect() as conn:
            found = await auditing.processing(
                conn, parts.office, record, signed.actor, wishes(languages), parts.clock.now()
            )
        if form == "csv":
            paper = exports.processing("samlogg-processing", found["language"])
            return as_file({"items": found["items"], "next": None, "paper": paper})
        return answered(found)
