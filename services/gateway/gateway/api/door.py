"""The HTTP door: reads a request, has it decided, recorded and answered, and hands the answer over in one step."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from opentelemetry import propagate, trace
from opentelemetry.trace import Link, SpanKind
from prometheus_client import Counter, Histogram
from starlette.types import Receive, Scope, Send

from chassis.permit import Actor
from chassis.problems import Problem, not_found
from gateway.api.callers import Identify
from gateway.api.streams import ROUTE as STREAM
from gateway.api.streams import Streaming
from gateway.api.wire import Handed, Header, UvicornWire, hand_over, wire_of
from gateway.handlers.answers import (
    Answer,
    Asked,
    Changed,
    freshness_unknown,
    outcome_unknown,
    problem_answer,
    service_unavailable,
)
from gateway.handlers.door import AFTER_SUBJECT, Door
from gateway.model import cut as cutting
from gateway.model.handles import NOBODY, Handles
from gateway.model.lease import Lease
from gateway.model.routing import Match, Route, Table

LARGEST_BODY = 256 * 1024
BODY_SECONDS = 10.0
LONGEST_QUERY = 2048

_FORWARDED = frozenset({b"if-match", b"idempotency-key", b"accept-language"})
_WRITES = frozenset({"POST", "PUT", "PATCH"})
ANYBODY = Actor("person", None)
"""Who asks on a public route: nobody in particular."""

_ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_SECURE: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

_log = logging.getLogger(__name__)
_answers = Counter("samlogg_door_answers", "Answers by route and status", ["route", "status"])
_seconds = Histogram(
    "samlogg_door_seconds", "Seconds from a request's arrival to the end of its answer", ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)  # fmt: skip


_Who = tuple[Actor, str]
"""Actor and audience."""


class HttpDoor:
    """A raw ASGI callable: every route of every service goes through it in the same way."""

    def __init__(
        self, *, table: Table, identify: Identify, door: Door, handles: Handles, lease: Lease,
        lease_now: Callable[[], float], streaming: Streaming, secure: bool,
    ) -> None:  # fmt: skip
        self.table, self._streaming = table, streaming
        self._identify, self._door, self._handles, self._lease = identify, door, handles, lease
        self._lease_now = lease_now
        self._always = (*_ALWAYS, _SECURE) if secure else _ALWAYS
        self._tracer = trace.get_tracer("samlogg.gateway")

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        """One request. The answer leaves by the wire, never by `send`: what is between would be unchecked time."""
        received = self._lease_now()
        wire = wire_of(scope)
        route = "none"
        status = 500
        try:
            match = self._match(scope)
            route = match.route.id
            caller = await self._caller(scope, match.route)
            status = await self._traced(scope, receive, wire, match, caller, received)
        except Problem as problem:
            status = await self._tell(wire, problem)
        except asyncio.CancelledError:  # the process ends; this is the request's last step, so nobody waits for it
            if not wire.begun():
                status = await self._tell(wire, service_unavailable())
        except Exception as error:  # noqa: BLE001  its text may hold input: told by type and place only
            _log.error("the door failed", exc_info=error, extra={"route": route})
            status = await self._tell(wire, Problem(500, "internal", "Something went wrong on our side."))
        finally:
            _answers.labels(route, str(status)).inc()
            _seconds.labels(route).observe(self._lease_now() - received)

    def _match(self, scope: Scope) -> Match:
        raw: bytes = scope["raw_path"]
        found = self.table.match(scope["method"], raw.decode("ascii", "replace"))
        if isinstance(found, Match):
            return found
        if not found:
            raise not_found()
        raise Problem(
            405, "method-not-allowed", "This cannot be done here.", headers={"Allow": ", ".join(sorted(found))}
        )

    async def _caller(self, scope: Scope, route: Route) -> _Who:
        if route.basis == "public":
            return ANYBODY, NOBODY
        caller = await self._identify(scope)
        if caller is None:
            raise Problem(401, "not-logged-in", "Log in first.", headers={"WWW-Authenticate": "Bearer"})
        return caller.actor, caller.audience

    async def _traced(
        self, scope: Scope, receive: Receive, wire: UvicornWire, match: Match, caller: _Who, received: float
    ) -> int:
        """The request in a span. A machine's own trace ends here and a linked one begins (design.md section 10)."""
        carrier = {"traceparent": _header(scope, b"traceparent") or ""}
        context = propagate.extract(carrier) if carrier["traceparent"] else None
        links: list[Link] = []
        if caller[0].kind == "machine":
            outside = trace.get_current_span(context).get_span_context() if context is not None else None
            links = [Link(outside)] if outside is not None and outside.is_valid else []
            context = None
        with self._tracer.start_as_current_span(
            match.route.id, context, SpanKind.SERVER, {"samlogg.route": match.route.id}, links=links,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                asked = await self._read(scope, receive, wire, match, caller, received)
                if asked.route.id == STREAM["id"]:
                    status = await self._stream(scope, receive, wire, asked)
                else:
                    status = await self._serve(wire, asked, self._door.prepare)
            except Problem as problem:
                status = await self._tell(wire, problem)
            span.set_attribute("http.response.status_code", status)
            return status

    async def _stream(self, scope: Scope, receive: Receive, wire: UvicornWire, asked: Asked) -> int:
        """Its beginning is an answer like others; what follows is said on the same connection, which ends with it."""
        with self._streaming.entered(asked, _header(scope, b"last-event-id")) as stream:
            wire.close_after()
            status = await self._serve(wire, asked, lambda asked: self._door.own(asked, stream.begin))
            if status == 200:
                await self._streaming.go_on(scope, receive, wire, stream)
            return status

    async def _serve(self, wire: UvicornWire, asked: Asked, prepare: Callable[[Asked], Awaitable[Answer]]) -> int:
        """Prepare, check, hand over. What changed meanwhile is started over once (protocol.md, GATEWAY read)."""
        for attempt in (1, 2):
            answer = await prepare(asked)
            try:
                return await self._hand_over(wire, asked, answer)
            except Changed as changed:
                self._door.hold_back(answer, changed.reason)
                if changed.reason == "freshness-unknown":
                    raise freshness_unknown() from None
                if attempt == 2 or not asked.repeatable():
                    raise outcome_unknown() from None
            except BaseException:
                self._door.hold_back(answer, "internal")
                raise
        raise AssertionError("two attempts")

    async def _hand_over(self, wire: UvicornWire, asked: Asked | None, answer: Answer) -> int:
        def headers() -> Sequence[Header]:
            found = [(name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers.items()]
            if asked is not None and asked.actor.kind == "machine" and answer.status < 400:
                found.append((b"samlogg-use-within-ms", str(self._door.use_within_ms(asked)).encode()))
                if answer.purpose is not None:
                    found.append((b"samlogg-purpose", answer.purpose.encode("ascii", "replace")))
            found += self._always
            return found

        handed = await hand_over(
            wire, answer.status, headers, answer.body, lambda: self._door.check(answer), self._lease, more=answer.more,
            wrote=answer.wrote,
        )  # fmt: skip
        if handed is not Handed.WHOLE:
            self._door.hold_back(answer, "cut-off" if handed is Handed.BROKEN else "nobody-there")
        return answer.status

    async def _tell(self, wire: UvicornWire, problem: Problem) -> int:
        """An answer that holds nothing of any subject: it needs neither decision nor lease."""
        return await self._hand_over(wire, None, problem_answer(problem))

    async def _read(
        self, scope: Scope, receive: Receive, wire: UvicornWire, match: Match, caller: _Who, received: float
    ) -> Asked:
        actor, audience = caller
        query = scope["query_string"].decode("latin-1")
        if len(query) > LONGEST_QUERY:
            raise Problem(414, "too-long", "The query is too long.")
        if not query.isascii() or not query.isprintable():
            raise Problem(400, "bad-request", "The query does not have the right form.")
        if match.me and AFTER_SUBJECT in query:
            query, after = _split_query(query)
            match = Match(match.route, {**match.parameters, **after}, me=True)
        body = None
        if match.route.method in _WRITES:
            raw = await _body(scope, receive, wire)
            body = self._inward(_object(raw), audience)
        return Asked(
            match=match, actor=actor, audience=audience, query=query, body=body, headers=_forwarded(scope),
            received=received, if_none_match=_header(scope, b"if-none-match"),
        )  # fmt: skip

    def _inward(self, body: dict[str, Any], audience: str) -> dict[str, Any]:
        def to_id(handle: str) -> str:
            found = self._handles.subject_of(audience, handle)
            if found is None:
                raise _invalid("unknown_handle")
            return found

        try:
            translated: dict[str, Any] = cutting.inward(body, to_id)
        except cutting.TooDeep:
            raise _invalid("too_deep") from None
        return translated


def _invalid(what: str) -> Problem:
    return Problem(
        422, "invalid", "The request does not have the right form.", errors=[{"where": "body", "what": what}]
    )


def _object(raw: bytes) -> dict[str, Any]:
    """What is forwarded is made anew from what was read here, so nobody reads a doubled key in two ways."""
    try:
        body = msgspec.json.decode(raw or b"{}")
    except (msgspec.MsgspecError, RecursionError):
        raise _invalid("json_invalid") from None
    if not isinstance(body, dict):
        raise _invalid("object_expected")
    return body


async def _body(scope: Scope, receive: Receive, wire: UvicornWire) -> bytes:
    """The whole body: JSON, at most LARGEST_BODY, within BODY_SECONDS."""
    length = _header(scope, b"content-length") or "0"
    if (length.isdecimal() and int(length) > LARGEST_BODY) or not length.isdecimal():
        wire.close_after()
        raise Problem(413, "too-large", "The request is too large.")
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                found += message["body"]
                if len(found) > LARGEST_BODY:
                    wire.close_after()
                    raise Problem(413, "too-large", "The request is too large.")
                if not message["more_body"]:
                    break
    except TimeoutError:
        wire.close_after()
        raise Problem(408, "too-slow", "The request did not come in time.") from None
    kind = (_header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json" and (found or kind):
        raise Problem(415, "unsupported-media-type", "Only application/json is understood here.")
    return bytes(found)


def _header(scope: Scope, name: bytes) -> str | None:
    headers: Sequence[Header] = scope["headers"]
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


def _forwarded(scope: Scope) -> Mapping[str, str]:
    found = {}
    headers: Sequence[Header] = scope["headers"]
    for name, value in headers:
        if name in _FORWARDED:
            if len(value) > 512 or not value.isascii():
                raise Problem(400, "bad-request", "A header does not have the right form.")
            found[name.decode()] = value.decode()
    return found


def _split_query(query: str) -> tuple[str, dict[str, str]]:
    """The query without the cursor over subjects, which is the gateway's own, and that cursor."""
    pairs = parse_qsl(query, keep_blank_values=True)
    after = {name: value for name, value in pairs if name == AFTER_SUBJECT}
    return urlencode([pair for pair in pairs if pair[0] != AFTER_SUBJECT]), after
