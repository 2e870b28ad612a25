"""Routes that need no login: services, guides and districts (F025, F045)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse

from chassis.http import answer, make_cursor, read_cursor
from directory.api.fields import Slug
from directory.api.parts import PUBLIC, Parts, shown
from directory.api.shapes import DistrictOut, GuideOut, ServiceOut, ServicesOut
from directory.handlers import reading


def make_routes(parts: Parts) -> APIRouter:
    """Reads of what anybody may know. Searching keeps no trace of who searched."""
    router = APIRouter(dependencies=[Depends(parts.signed)])

    @router.get("/services", name="services", openapi_extra=PUBLIC, response_model=ServicesOut)
    async def services(
        district: Slug | None = None,
        age: Annotated[int | None, Query(ge=0, le=120)] = None,
        q: Annotated[str, Query(max_length=80)] = "",
        after: Annotated[str | None, Query(max_length=400)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> JSONResponse:
        """Which services can help with `q` at this age in this district. Each word must begin a word of the service."""
        scope = f"services {district} {age} {q}"
        seen = "" if after is None else str(read_cursor(parts.secret, after, scope))
        question = reading.Question(district, age, q, seen, limit)
        async with parts.engine.connect() as conn:
            items, last = await reading.services(conn, question, parts.now().date())
        following = None if last is None else make_cursor(parts.secret, last, scope)
        return answer(shown(ServicesOut, {"items": items, "next": following}))

    @router.get("/services/{service}", name="service", openapi_extra=PUBLIC, response_model=ServiceOut)
    async def service(service: Slug) -> JSONResponse:
        """One service with its contact points."""
        async with parts.engine.connect() as conn:
            return answer(shown(ServiceOut, await reading.service(conn, service, parts.now().date())))

    @router.get("/guides/{district}", name="guide", openapi_extra=PUBLIC, response_model=GuideOut)
    async def guide(district: Slug, version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None) -> JSONResponse:
        """The district's guide: the current version, or the one that a log was opened under."""
        async with parts.engine.connect() as conn:
            return answer(shown(GuideOut, await reading.guide(conn, district, version, parts.now().date())))

    @router.get("/districts/{district}", name="district", openapi_extra=PUBLIC, response_model=DistrictOut)
    async def district(district: Slug) -> JSONResponse:
        """The district with its agencies, categories and settings."""
        async with parts.engine.connect() as conn:
            return answer(shown(DistrictOut, await reading.district(conn, district)))

    return router
