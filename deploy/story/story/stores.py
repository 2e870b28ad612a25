"""Counts in the services' own databases, as their operator may: only to see that each effect is there once."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from story.narrative import UnexpectedError
from story.world import World


async def one(world: World, service: str, query: str, *arguments: Any) -> Any:
    """The first column of the first row."""
    address = world.databases[service].replace("postgresql+asyncpg://", "postgresql://")
    connection = await asyncpg.connect(address)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def settle(world: World, service: str, seconds: float = 30.0) -> None:
    """Wait until the service has published everything it has to tell."""
    for _ in range(int(seconds / 0.2)):
        if await one(world, service, "SELECT count(*) FROM outbox") == 0:
            return
        await asyncio.sleep(0.2)
    raise UnexpectedError(f"{service} still has events to publish after {seconds:.0f} s")
