"""The two agencies as their own people see them: keys, attachment, and what the police service says it holds."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
from joserfc.jwk import RSAKey

from story.narrative import UnexpectedError
from story.world import World


async def police(world: World, *arguments: str) -> str:
    """Run one of the police service's own commands in its own folder, as somebody who works there would."""
    environment = {**os.environ, "POLICE_FOLDER": str(world.police_folder)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "police", *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise UnexpectedError(f"`police {arguments[0]}` ended with {process.returncode}")
    return output.decode().strip()


async def police_sealing_key(world: World) -> dict[str, Any]:
    """The public key that the police brings."""
    key: dict[str, Any] = json.loads(await police(world, "attach-key"))
    return key


def police_client_key(world: World) -> RSAKey:
    """The key of the police's machine client: with it the story asks as the police does, on any replica."""
    return RSAKey.import_key(json.loads((world.police_folder / "client-key.json").read_text()))


async def held(world: World) -> dict[str, Any]:
    """What the police service holds, from the door on its own machine."""
    token = (world.police_folder / "status-token").read_text()
    async with httpx.AsyncClient(timeout=5) as http:
        answer = await http.get(f"{world.police_status}/held", headers={"Authorization": f"Bearer {token}"})
    body: dict[str, Any] = answer.json()
    return body


async def held_until(
    world: World, what: str, true: Callable[[dict[str, Any]], bool], seconds: float = 40.0
) -> dict[str, Any]:
    """What it holds once that is so; `what` says what was waited for."""
    until = time.monotonic() + seconds
    while True:
        try:
            state = await held(world)
        except (httpx.HTTPError, OSError):
            state = {}
        if state and true(state):
            return state
        if time.monotonic() > until:
            raise UnexpectedError(f"the police service: {what} was not so after {seconds:.0f} s")
        await asyncio.sleep(0.05)
