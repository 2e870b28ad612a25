"""Which person a national id means, asked of `consent`; the number is in that one request's body and nowhere else."""

import contextlib
import json
from collections.abc import Awaitable, Callable

from chassis.permit import LONGEST_SECONDS, Actor
from chassis.problems import Problem, unavailable
from gateway.handlers.forward import Given, Inner, Services, Unreachable
from gateway.model.identity import TokenRefused

_TRIES = 2  # nothing is changed by asking, and a kept-alive connection may just have been closed
PATH = "/inner/people/match"
Match = Callable[[str], Awaitable[str | None]]
"""National id to person id; None when nobody is known by it. Problem 503 when `consent` cannot be asked."""


def people(services: Callable[[], Services]) -> Match:
    """A `Match` that asks `consent`; TokenRefused for what it does not take for a national id.

    `services` is called when needed: it does not exist before the process runs.
    """

    async def match(national_id: str) -> str | None:
        inner = Inner(
            service="consent", method="POST", target=PATH, body=json.dumps({"national_id": national_id}).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            actor=Actor("gateway", None), subject=None, route="gateway.login", permit=None, record=None,
            seconds=LONGEST_SECONDS, repeatable=True,
        )  # fmt: skip
        for _ in range(_TRIES):
            with contextlib.suppress(Unreachable):
                return _person(await services().ask(inner))
        raise _away()

    return match


def _person(given: Given) -> str | None:
    if given.status == 404:
        return None
    if given.status == 422:
        raise TokenRefused("national-id-refused")
    try:
        found = json.loads(given.body) if given.status == 200 else None
    except ValueError:
        raise _away() from None
    person = found.get("person") if isinstance(found, dict) else None
    if not isinstance(person, str):
        raise _away()
    return person


def _away() -> Problem:
    return unavailable("identity-unavailable", "Nobody can be recognised now; try again.")
