"""Asking a route's owner, and what is left of its answer: cut to the permit, with the caller's handles for ids."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import msgspec
from prometheus_client import Counter

from chassis.http import PAPER
from chassis.permit import LONGEST_SECONDS, Permit
from chassis.problems import Problem, not_found
from gateway.handlers.answers import (
    JSON,
    PROBLEM,
    Answer,
    Asked,
    Part,
    freshness_unknown,
    problem_answer,
    service_unavailable,
)
from gateway.handlers.forward import Given, Inner, Unreachable
from gateway.model import cut as cutting
from gateway.model import paper as papers
from gateway.model.handles import Handles
from gateway.model.lease import Lease
from gateway.model.routing import PERSONS_IN_PATHS

_log = logging.getLogger(__name__)
_dropped = Counter("samlogg_cut_items", "ALARM: items that an owner returned outside the permit", ["route"])
_leaks = Counter("samlogg_inner_ids_stopped", "ALARM: answers stopped because an inner id was left in them", ["route"])

_DISPOSITION = "content-disposition"
_PASSED = ("etag", "location", "retry-after", "content-language")
"""Headers of an owner's answer that reach the caller; every other one stays inside."""


class Asks(Protocol):
    """Who can ask a service."""

    async def ask(self, inner: Inner) -> Given:
        """The service's answer; Unreachable when there is none."""


@dataclass(frozen=True, slots=True)
class Owned:
    """What an owner said about one subject, cut and translated. `held`: why this is no look at anything, or None."""

    status: int
    body: bytes
    headers: dict[str, str]
    held: str | None = None


_NOT_THERE = Owned(404, b"", {}, "not-found")


class Owners:
    """The services behind the routes."""

    def __init__(self, services: Asks, handles: Handles, lease: Lease, lease_now: Callable[[], float]) -> None:
        self._services, self._handles, self._lease, self._lease_now = services, handles, lease, lease_now

    async def ask(self, asked: Asked, part: Part) -> Owned:
        """The owner's answer for this part. Problem when there is none that can be used."""
        given = await self._given(self._inner(asked, part), leased=asked.route.lease)
        try:
            owned = self._owned(asked, part, given)
        except cutting.TooDeep:
            raise _unusable(asked, "a service's answer is nested too deep") from None
        subject = part.question.subject
        if subject is not None and subject.encode() in owned.body:
            # The last net: the subject's inner id never leaves, whatever an owner put where.
            _leaks.labels(asked.route.id).inc()
            raise _unusable(asked, "an inner id was left in an answer")
        return owned

    def _inner(self, asked: Asked, part: Part) -> Inner:
        route, subject = asked.route, part.question.subject
        if route.subject and subject is None:
            subject = str(uuid4())  # admitted on another basis, and nobody's handle: the owner does not find it
        target = route.target(self._parameters(asked, subject))
        left = LONGEST_SECONDS
        if route.lease:
            left = min(left, self._lease.until - self._lease_now())
            if left <= 0:
                raise freshness_unknown()
        return Inner(
            service=route.service, method=route.method, target=f"{target}?{asked.query}" if asked.query else target,
            body=b"" if asked.body is None else msgspec.json.encode(asked.body),
            headers=asked.headers if asked.body is None else {**asked.headers, "content-type": JSON},
            actor=asked.actor, subject=subject, route=route.id,
            permit=part.decision if isinstance(part.decision, Permit) else None,
            record=None if part.look is None else part.look.id, seconds=left,
        )  # fmt: skip

    def _parameters(self, asked: Asked, subject: str | None) -> dict[str, str]:
        """Path parameters as the owner knows them. A person's handle that this caller never had: not found."""
        found = dict(asked.match.parameters)
        if subject is not None:
            found["subject"] = subject
        for name in PERSONS_IN_PATHS & found.keys():
            person = self._handles.subject_of(asked.audience, found[name])
            if person is None:
                raise not_found()
            found[name] = person
        return found

    async def _given(self, inner: Inner, *, leased: bool) -> Given:
        try:
            given = await self._services.ask(inner)
        except Unreachable:
            raise service_unavailable() from None
        if given.status == 401 and leased and not self._lease.holds(self._lease_now()):
            raise freshness_unknown()  # the signature ended with the lease, while the request was on its way
        if given.status == 401:
            _log.error("a service does not accept our signature", extra={"service": inner.service})
        if given.status >= 500 or given.status == 401:
            raise service_unavailable()
        return given

    def _owned(self, asked: Asked, part: Part, given: Given) -> Owned:
        if given.status == 404:
            return _NOT_THERE
        headers = {name: value for name in _PASSED if (value := given.headers.get(name)) is not None}
        to_handle = self._to_handle(asked.audience)
        if "location" in headers:
            headers["location"] = cutting.path_outward(headers["location"], to_handle)
        if given.status == 204 or not given.body:
            return Owned(given.status, b"", headers)
        body = _object(given)
        if body is None:
            raise _unusable(asked, "a service did not answer with a JSON object")
        if given.status >= 400:
            headers["content-type"] = PROBLEM
            return Owned(given.status, msgspec.json.encode(cutting.outward(body, to_handle)), headers, "turned-down")
        headers["content-type"] = JSON
        permitted = self._permitted(asked, part)
        if permitted is not None:
            body = self._cut(asked, body, permitted, headers)
            if body is None:
                return _NOT_THERE
        body = cutting.outward(body, to_handle)
        if given.headers.get("content-type", "").startswith(PAPER):
            return _as_file(asked, given.status, body, headers, whole=permitted is not None and permitted.everything)
        return Owned(given.status, msgspec.json.encode(body), headers)

    def _permitted(self, asked: Asked, part: Part) -> cutting.Allowed | None:
        """What the answer is cut to; None where no permit leads to content."""
        if not isinstance(part.decision, Permit):
            return None
        reader = asked.actor.id if asked.actor.kind == "person" else None
        return cutting.allowed(part.decision, asked.route.fixed, reader, asked.actor.services)

    def _cut(
        self, asked: Asked, body: dict[str, Any], permitted: cutting.Allowed, headers: dict[str, str]
    ) -> dict[str, Any] | None:
        """What is left of the body, with an entity tag of its own if something had to be taken out."""
        result = cutting.cut(body, permitted)
        if result.dropped:
            _dropped.labels(asked.route.id).inc(result.dropped)
            if "etag" in headers:
                headers["etag"] = cutting.etag_of(msgspec.json.encode(result.body))
        return result.body

    def _to_handle(self, audience: str) -> Callable[[str], str]:
        known: dict[str, str] = {}

        def to_handle(inner: str) -> str:
            found = known.get(inner)
            if found is None:
                found = known[inner] = self._handles.to_handle(audience, inner)
            return found

        return to_handle


def ready(asked: Asked, part: Part, owned: Owned) -> Answer:
    """The answer as it is to leave: 304 where the caller has it already, and one form of not found."""
    leased = asked.route.lease
    if owned.status == 404:
        return problem_answer(not_found(), parts=(part,), leased=leased)
    purpose = part.decision.purpose if isinstance(part.decision, Permit) else None
    headers = dict(owned.headers)
    if owned.status == 200 and _matches(asked.if_none_match, headers.get("etag")):
        headers.pop("content-type", None)
        return Answer(304, b"", headers, (part,), leased, purpose)
    return Answer(owned.status, owned.body, headers, (part,), leased, purpose)


def _as_file(asked: Asked, status: int, body: dict[str, Any], headers: dict[str, str], *, whole: bool) -> Owned:
    """The answer as a file; written only now, after the cut and with the caller's handles."""
    try:
        if asked.match.me:
            raise papers.BadPaper("one file for several subjects")
        made = papers.written(body, whole=whole)
    except papers.BadPaper:
        raise _unusable(asked, "a service's answer cannot be written as a file") from None
    return Owned(status, made.content, {**headers, "content-type": made.media_type, _DISPOSITION: made.disposition})


def _unusable(asked: Asked, why: str) -> Problem:
    _log.error(why, extra={"route": asked.route.id})
    return service_unavailable()


def _object(given: Given) -> dict[str, Any] | None:
    kind = given.headers.get("content-type", "")
    if not kind.startswith((JSON, PROBLEM, PAPER)):
        return None
    try:
        body = msgspec.json.decode(given.body)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _matches(asked: str | None, etag: str | None) -> bool:
    if asked is None or etag is None:
        return False
    return asked.strip() == "*" or etag in {one.strip().removeprefix("W/") for one in asked.split(",")}
