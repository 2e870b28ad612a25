"""The gateway ends while somebody waits for an answer."""

import asyncio

from gateway.handlers.forward import Given, Inner
from tests.gateway.door_parts import rig


async def test_who_waits_when_the_gateway_ends_is_told_to_try_again() -> None:
    asked = asyncio.Event()

    async def never(_: Inner) -> Given:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with rig() as found:
        found.services.reply = never
        waiting = asyncio.create_task(found.ask("teacher", "GET", "/subjects/{h}/items"))
        await asked.wait()
        for task in asyncio.all_tasks():
            if "run_asgi" in repr(task.get_coro()):
                task.cancel()
        told = await waiting
        assert (told.status, told.slug) == (503, "unavailable")
        assert found.records.held == [(found.records.sent[0].id, "service-unavailable")]
