"""What a request through the door is made of: the question from outside, the parts it rests on, and the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chassis.permit import Actor
from chassis.problems import Problem, unavailable
from gateway.handlers.records import Look
from gateway.model.decide import Decision, Question
from gateway.model.routing import Match, Route

JSON = "application/json"
EVENTS = "text/event-stream"
PROBLEM = "application/problem+json"


class Changed(Exception):
    """The second check did not confirm the first: the answer may not leave. `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    """One request from outside: whose it is, for which route, and what came with it. `received` is lease time."""

    match: Match
    actor: Actor
    audience: str
    query: str
    body: dict[str, Any] | None
    headers: Mapping[str, str]
    received: float
    if_none_match: str | None = None

    @property
    def route(self) -> Route:
        """The route that was matched."""
        return self.match.route

    def repeatable(self) -> bool:
        """May it be asked of its owner twice?"""
        return self.route.method == "GET" or "idempotency-key" in self.headers


@dataclass(frozen=True, slots=True)
class Part:
    """One decision that an answer rests on, and the look that was recorded for it."""

    question: Question
    decision: Decision
    look: Look | None = None


@dataclass(slots=True)
class Answer:
    """An answer that is ready but has not left.

    `leased`: it may only leave while the lease is held. `more`: it is the beginning of a stream. `sent`: how much
    of the body was given to the transport, in bytes.
    """

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    parts: Sequence[Part] = ()
    leased: bool = True
    purpose: str | None = None
    more: bool = False
    sent: int = 0

    def wrote(self, sent: int) -> None:
        """So much of it has left, at most."""
        self.sent = sent


def freshness_unknown() -> Problem:
    """Out of lease: what this gateway knows may be old, so it answers nothing."""
    return unavailable("freshness-unknown", "It is not certain that what is known here is fresh. Try again.")


def record_unavailable() -> Problem:
    """Recorded before answered: it could not be recorded, so there is no answer."""
    return unavailable("record-unavailable", "The look could not be recorded, so there is no answer. Try again.", 2)


def service_unavailable() -> Problem:
    """The owner of this route does not answer."""
    return unavailable("unavailable", "The service behind this does not answer. Try again.", 2)


def outcome_unknown() -> Problem:
    """A write reached its owner, but what may be told about it changed meanwhile."""
    return unavailable("decided-anew", "What you may see changed meanwhile. Read again before you try again.")


def problem_answer(problem: Problem, *, parts: Sequence[Part] = (), leased: bool = False) -> Answer:
    """A problem as an answer."""
    headers = {**{name.lower(): value for name, value in problem.headers.items()}, "content-type": PROBLEM}
    return Answer(problem.status, msgspec.json.encode(problem.body()), headers, parts, leased)
