"""problem+json (RFC 9457): one error shape for every door, without any of the input in it."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException

PREFIX = "urn:samlogg:problem:"

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457). `type` is stable; some problems have more members.",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string", "pattern": f"^{PREFIX}[a-z0-9-]+$"},
                        "title": {"type": "string"},
                        "status": {"type": "integer", "minimum": 400, "maximum": 599},
                    },
                    "required": ["type", "title", "status"],
                }
            }
        },
    }
}
"""`FastAPI(responses=...)`: every operation may answer with a problem."""

_BY_STATUS = {
    400: "bad-request", 401: "not-logged-in", 403: "not-allowed", 404: "not-found", 405: "method-not-allowed",
    409: "conflict", 412: "stale", 413: "too-large", 415: "unsupported-media-type", 422: "invalid",
    428: "if-match-needed", 503: "unavailable",
}  # fmt: skip


class Problem(Exception):
    """An error that a caller is told.

    slug: stable end of the `type` URN. title: one plain sentence without any input. `more` adds members.
    """

    def __init__(
        self, status: int, slug: str, title: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(slug)
        self.status, self.slug, self.title = status, slug, title
        self.headers = dict(headers or {})
        self.more = more

    def body(self) -> dict[str, Any]:
        """The members of the problem document."""
        return {"type": PREFIX + self.slug, "title": self.title, "status": self.status, **self.more}


def not_found() -> Problem:
    """The one answer for what is not there and for what the caller may not know of (design.md rule 2)."""
    return Problem(404, "not-found", "There is nothing here that you may see.")


def unavailable(slug: str, title: str, retry_after: int = 1) -> Problem:
    """503 with Retry-After in seconds."""
    return Problem(503, slug, title, headers={"Retry-After": str(retry_after)})


def respond(problem: Problem) -> JSONResponse:
    """The problem as an HTTP answer."""
    return JSONResponse(
        problem.body(), status_code=problem.status, headers=problem.headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Turn every error of `app` into problem+json: ours, the framework's, and validation (location and kind only)."""

    async def ours(_: Request, error: Problem) -> JSONResponse:
        return respond(error)

    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        names = _fields(request.scope.get("route"))
        found = [{"where": _where(e["loc"], names), "what": e["type"]} for e in error.errors()]
        return respond(Problem(422, "invalid", "The request does not have the right form.", errors=found))

    async def framework(_: Request, error: HTTPException) -> JSONResponse:
        slug = _BY_STATUS.get(error.status_code, "error")
        headers = dict(error.headers or {})
        return respond(Problem(error.status_code, slug, "The request could not be served.", headers=headers))

    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        del error  # logged by the server with its type and place; its text may hold input
        return respond(Problem(500, "internal", "Something went wrong on our side."))

    app.exception_handler(Problem)(ours)
    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(HTTPException)(framework)
    app.exception_handler(Exception)(unexpected)


def _fields(route: object) -> frozenset[str]:
    """Every field name in the schema of the route's body."""
    field = getattr(route, "body_field", None)
    return frozenset() if field is None else _named(TypeAdapter(field.field_info.annotation).json_schema())


def _named(schema: Any) -> frozenset[str]:
    if isinstance(schema, list):
        return frozenset().union(*map(_named, schema))
    if not isinstance(schema, dict):
        return frozenset()
    own = frozenset(schema["properties"]) if isinstance(schema.get("properties"), dict) else frozenset()
    return own.union(*map(_named, schema.values()))


def _where(loc: tuple[Any, ...] | list[Any], names: frozenset[str]) -> str:
    """A path of field names. Parameters are named by the route; in a body a name may be the caller's own input (an
    unknown field, a key of a map), so there the path ends before the first name that is not in the schema.
    """
    told: list[str] = []
    for part in loc:
        if loc[0] == "body" and told and isinstance(part, str) and part not in names:
            break
        told.append("item" if isinstance(part, int) else str(part))
    return "/".join(told)
