"""Asking one of several replicas: who is passed over, and what is never asked twice."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from chassis.permit import Actor
from gateway.handlers import forward
from gateway.handlers.forward import Inner, Services, Unreachable, destination

KEY = b"k" * 32


class Replica:
    """Counts what it hears; `silent`: hears it and does not answer."""

    def __init__(self) -> None:
        self.heard = 0
        self.silent = False

    async def answer(self, _: web.Request) -> web.Response:
        self.heard += 1
        if self.silent:
            await asyncio.sleep(60)
        return web.json_response({})


@asynccontextmanager
async def two(*, away: bool = False) -> AsyncIterator[tuple[Services, list[Replica]]]:
    """Two replicas; with `away`, nobody listens at a third."""
    replicas, runners, urls = [Replica(), Replica()], [], ["http://127.0.0.1:1"] if away else []
    for replica in replicas:
        app = web.Application()
        app.router.add_route("*", "/thing", replica.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        runners.append(runner)
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
    services = Services({"consent": destination(",".join(urls), KEY)}, time.time)
    await services.open()
    try:
        yield services, replicas
    finally:
        await services.close()
        for runner in runners:
            await runner.cleanup()


def inner(method: str, *, repeatable: bool = False) -> Inner:
    return Inner(
        "consent", method, "/thing", b"", {}, Actor("gateway", None), None, "consent.thing", None, None, 5.0, repeatable
    )


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(forward, "DEADLINE_SECONDS", 0.6)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("method", "repeatable"), [("GET", False), ("POST", True)])
async def test_a_silent_replica_is_left_for_another_one_and_then_passed_over(method: str, repeatable: bool) -> None:
    async with two() as (services, replicas):
        replicas[0].silent = True
        began = time.monotonic()
        for _ in range(4):
            assert (await services.ask(inner(method, repeatable=repeatable))).status == 200
        assert time.monotonic() - began < 0.5
        assert (replicas[0].heard, replicas[1].heard) == (1, 4)


@pytest.mark.usefixtures("hasty")
async def test_what_may_have_been_done_is_not_asked_twice() -> None:
    async with two() as (services, replicas):
        replicas[0].silent = replicas[1].silent = True
        with pytest.raises(Unreachable):
            await services.ask(inner("POST"))
        assert sorted(one.heard for one in replicas) == [0, 1]


async def test_a_replica_that_does_not_listen_is_passed_over_for_every_request() -> None:
    async with two(away=True) as (services, replicas):
        for _ in range(6):
            assert (await services.ask(inner("POST"))).status == 200
        assert sum(one.heard for one in replicas) == 6


@pytest.mark.usefixtures("hasty")
async def test_when_all_were_silent_each_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "PASSED_OVER_SECONDS", 60.0)
    async with two() as (services, replicas):
        replicas[0].silent = replicas[1].silent = True
        with pytest.raises(Unreachable):
            await services.ask(inner("GET"))
        replicas[0].silent = replicas[1].silent = False
        assert (await services.ask(inner("GET"))).status == 200
