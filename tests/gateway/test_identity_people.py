"""Asking `consent` whom a national id means: signed for this one request, and the number in its body only."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from joserfc.jwk import OctKey

from chassis import permit
from chassis.problems import Problem
from gateway.handlers.forward import Services, destination
from gateway.handlers.identity import people
from gateway.model.identity import TokenRefused
from tests.gateway.identity_world import YOUTH, YOUTH_NUMBER

KEY = b"i" * 32


@dataclass
class Consent:
    """A stand-in that verifies as `consent` does, and keeps what it saw outside the body."""

    status: int = 200
    body: object = field(default_factory=lambda: {"person": YOUTH})
    hang_up: int = 0
    seen: list[str] = field(default_factory=list)
    signed: list[permit.Signed] = field(default_factory=list)

    async def match(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        self.seen.append(f"{request.path_qs} {dict(request.headers)}")
        self.signed.append(
            permit.verify(
                request.headers["Samlogg-Request"], OctKey.import_key(KEY), audience="consent", method="POST",
                path=request.path_qs, body=raw, now=time.time(),
            )
        )  # fmt: skip
        assert json.loads(raw) == {"national_id": YOUTH_NUMBER}
        if self.hang_up:
            self.hang_up -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=self.status, body=json.dumps(self.body).encode())


Match = Callable[[str], Awaitable[str | None]]


@asynccontextmanager
async def asking(consent: Consent) -> AsyncIterator[Match]:
    app = web.Application()
    app.router.add_post("/inner/people/match", consent.match)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    services = Services({"consent": destination(f"http://127.0.0.1:{runner.addresses[0][1]}", KEY)}, time.time)
    await services.open()
    try:
        yield people(lambda: services)
    finally:
        await services.close()
        await runner.cleanup()
        await asyncio.sleep(0)


async def test_the_request_is_the_gateways_own_and_the_number_is_in_its_body_only() -> None:
    consent = Consent()
    async with asking(consent) as match:
        assert await match(YOUTH_NUMBER) == YOUTH
    (signed,) = consent.signed
    assert (signed.actor.kind, signed.actor.id, signed.subject, signed.permit) == ("gateway", None, None, None)
    assert YOUTH_NUMBER not in consent.seen[0]


async def test_somebody_unknown_is_nobody() -> None:
    async with asking(Consent(status=404, body={})) as match:
        assert await match(YOUTH_NUMBER) is None


async def test_what_consent_does_not_take_for_a_national_id_is_refused() -> None:
    async with asking(Consent(status=422, body={})) as match:
        with pytest.raises(TokenRefused, match="national-id-refused"):
            await match(YOUTH_NUMBER)


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, {}), (401, {}), (200, {}), (200, []), (200, {"person": None}), (200, {"person": 1}), (302, {})],
)
async def test_an_answer_that_says_nothing_is_not_taken_for_nobody(status: int, body: object) -> None:
    async with asking(Consent(status=status, body=body)) as match:
        with pytest.raises(Problem) as told:
            await match(YOUTH_NUMBER)
    assert (told.value.status, told.value.slug) == (503, "identity-unavailable")


async def test_a_connection_that_breaks_is_tried_once_more_and_then_told() -> None:
    consent = Consent(hang_up=1)
    async with asking(consent) as match:
        assert await match(YOUTH_NUMBER) == YOUTH
    async with asking(Consent(hang_up=9)) as match:
        with pytest.raises(Problem) as told:
            await match(YOUTH_NUMBER)
    assert told.value.status == 503


async def test_consent_that_is_away_is_told_with_503() -> None:
    services = Services({"consent": destination("http://127.0.0.1:1", KEY)}, time.time)
    await services.open()
    with pytest.raises(Problem) as told:
        await people(lambda: services)(YOUTH_NUMBER)
    await services.close()
    assert (told.value.status, told.value.slug) == (503, "identity-unavailable")
    assert YOUTH_NUMBER not in str(told.value.body())
