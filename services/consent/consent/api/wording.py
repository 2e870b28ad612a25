"""The routes about versions of consent texts: how many grants rest on each, and for a privacy officer which."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from chassis.http import answer as answered
from chassis.http import make_cursor, read_cursor
from chassis.permit import Signed
from chassis.routes import route
from consent.api.looks import After, Limit
from consent.api.parts import Parts, reading
from consent.handlers import audit, wording
from consent.model.languages import TAG

Version = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Tag = Annotated[str, Path(pattern=TAG)]


class TextVersion(BaseModel):
    """A version of the text in a language. changed: the parts that the one in use says otherwise; None: none is in use.

    grants, concerned: live grants that rest on it, and those that the change concerns; None: few people are behind it.
    """

    language: str
    version: str
    status: Literal["approved", "draft", "withdrawn", "unknown"]
    in_use: bool
    changed: list[str] | None
    grants: int | None
    concerned: int | None


class TextVersions(BaseModel):
    """All versions. fewest: fewer people than this behind a number, and it is not told."""

    items: list[TextVersion]
    next: None
    fewest: int


class RestingGrant(BaseModel):
    """A grant that rests on the text. concerned: the text now in use says something else that matters to it."""

    id: str
    subject: str
    request: str
    recipient: str
    purpose: str
    concerned: bool


class RestingGrants(BaseModel):
    """Grants by id."""

    items: list[RestingGrant]
    next: str | None


def texts(parts: Parts) -> APIRouter:
    """Read-only, for roles alone."""
    routes, reads = APIRouter(), reading(parts)

    @routes.get(
        "/texts", response_model=TextVersions,
        openapi_extra=route(action="read", basis=wording.COUNTS, record=True),
    )  # fmt: skip
    async def list_texts(signed: Signed = reads) -> Response:
        async with parts.engine.connect() as conn:
            found = await wording.versions(conn, parts.office, signed.actor, parts.clock.now())
        return answered({"items": found, "next": None, "fewest": audit.FEWEST})

    @routes.get(
        "/audit/texts/{language}/{version}", response_model=RestingGrants,
        openapi_extra=route(action="read", basis=audit.BASIS, record=True),
    )  # fmt: skip
    async def audit_text(
        language: Tag, version: Version, after: After = None, limit: Limit = 50,
        which: Annotated[Literal["all", "concerned"], Query()] = "all", signed: Signed = reads,
    ) -> Response:  # fmt: skip
        scope = f"text {language} {version} {which} {signed.actor.id}"
        place = None if after is None else str(read_cursor(parts.secret, after, scope))
        async with parts.engine.begin() as conn:
            page = await wording.grants_on(
                conn, parts.office, parts.names, signed.actor, language, version, only_concerned=which == "concerned",
                after=place, limit=limit, now=parts.clock.now(),
            )  # fmt: skip
        next_ = None if page.next is None else make_cursor(parts.secret, page.next, scope)
        return answered({"items": page.items, "next": next_})

    return routes
