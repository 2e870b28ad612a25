"""What every HTTP door shares: the app with its errors and telemetry, entity tags and cursors."""

import base64
import hashlib
import hmac
import json
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from opentelemetry.sdk.trace import TracerProvider
from starlette.types import Scope

from chassis import health, problems
from chassis.problems import Problem


class Lifespan(Protocol):
    """Opens on start what the app needs, and closes it."""

    def __call__(self, app: FastAPI) -> AbstractAsyncContextManager[None]:  # noqa: D102 -- the class says it
        ...


_OFTEN = frozenset({"/live", "/ready", "/metrics", "/inner/heartbeat"})
_UNSAMPLED = b"-00"


def _untraced(scope: Scope) -> bool:
    """What is asked many times a second and tells nothing in a trace, and reads whose trace nobody takes.

    A read causes no event, so nothing goes on under its trace; a write's trace goes on into the outbox.
    """
    if scope["path"] in _OFTEN:
        return True
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return any(name == b"traceparent" and value.endswith(_UNSAMPLED) for name, value in scope["headers"])


def make_app(title: str, provider: TracerProvider, state: health.Health, lifespan: Lifespan) -> FastAPI:
    """A FastAPI app with problem+json errors, health routes and traces that hold no input."""
    app = FastAPI(
        title=title, version="0.1.0", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan,
        generate_unique_id_function=lambda found: found.name, responses=problems.DOCUMENTED,
        telemetry={
            "logs": False, "metrics": False, "operation_spans": False, "tracer_provider": provider,
            "exclude": _untraced,
        },
    )  # fmt: skip
    problems.install(app)
    app.include_router(health.routes(state))
    return app


PAPER = "application/vnd.samlogg.paper+json"
"""A list that the gateway writes as a file, once it has cut it: its member `paper` says how."""


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the same value always gives the same bytes."""
    return msgspec.json.encode(value, order="sorted")


def etag(representation: Any) -> str:
    """A strong entity tag over the representation as it was cut for its reader."""
    return _tag(canonical(representation))


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


class _Written(JSONResponse):
    """JSON that is bytes already."""

    def render(self, content: Any) -> bytes:
        return bytes(content)


def answer(representation: Any, status: int = 200, **headers: str) -> JSONResponse:
    """The representation as JSON with its entity tag; the tag is over the very bytes that are sent."""
    body = canonical(representation)
    return _Written(body, status, {"ETag": _tag(body), **headers})


def require_match(if_match: str | None, representation: Any) -> None:
    """Problem 428 without If-Match, 412 when the editor saw another state than today's."""
    if if_match is None:
        raise Problem(428, "if-match-needed", "Say with If-Match which state you are changing.")
    if if_match != "*" and not hmac.compare_digest(if_match.encode(), etag(representation).encode()):
        raise Problem(412, "stale", "This was changed since you read it.")


def make_cursor(key: bytes, position: Any, scope: str) -> str:
    """An opaque cursor that only this service and this scope (subject and filter) take back."""
    body = canonical(position)
    seal = hmac.new(key, scope.encode() + b"\0" + body, hashlib.sha256).digest()[:12]
    return base64.urlsafe_b64encode(seal + body).decode().rstrip("=")


def read_cursor(key: bytes, cursor: str, scope: str) -> Any:
    """The position in a cursor; Problem 400 `invalid-cursor` when it is foreign or broken."""
    invalid = Problem(400, "invalid-cursor", "This cursor does not belong here. Start again without one.")
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError as error:
        raise invalid from error
    seal = hmac.new(key, scope.encode() + b"\0" + raw[12:], hashlib.sha256).digest()[:12]
    if not hmac.compare_digest(seal, raw[:12]):
        raise invalid
    return json.loads(raw[12:])
