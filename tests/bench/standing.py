"""The whole stack for measuring: all parts of `make demo`, more gateways, 1 % of traces, and families with a log."""

import asyncio
import io
import json
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from local_stack import java, openid, services
from local_stack.__main__ import world as world_of
from local_stack.compiling import Compiling
from local_stack.parts import parts, site
from local_stack.ports import Ports
from local_stack.processes import Command
from local_stack.services import Site
from local_stack.supervisor import Part, Supervisor
from story.cast import Story
from story.main import hang_up
from story.narrative import Narrator
from story.people import new_family
from story.steps.directory import load_and_attach
from story.steps.log import add
from story.world import World, read
from tests.stack import ROOT

SAMPLED = "0.01"
APART = {"gateway-bare": "tests.bench.bare", "gateway-unrecorded": "tests.bench.unrecorded"}
"""Gateways that only exist here, to measure what deciding and recording cost."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A stack that is up. `gateways` are all but those of APART."""

    site: Site
    world: World
    supervisor: Supervisor
    gateways: tuple[str, ...]
    ports: Ports


def progress(line: str) -> None:
    """What is happening, beside the figures, with the machine's load at that moment."""
    print(f"  [load {os.getloadavg()[0]:.1f}] {line}", file=sys.stderr, flush=True)


@contextmanager
def folder() -> Iterator[Path]:
    """An empty state folder; only what was fetched and checked before is shared with the checkout's own."""
    made = Path(tempfile.mkdtemp(prefix="samlogg-bench-"))
    shared = ROOT / ".samlogg"
    shared.mkdir(exist_ok=True)
    try:
        java.prepare(shared)
        for name in ("jars", "java"):
            (shared / name).mkdir(exist_ok=True)
            (made / name).symlink_to(shared / name, target_is_directory=True)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def as_module(command: Command, module: str, **told: str) -> Command:
    """The same command with the same settings, but another module of ours as its program."""
    environment = {**command.environment, "PYTHONPATH": str(ROOT), **told}
    return replace(command, argv=[command.argv[0], "-m", module], environment=environment)


def sampled(part: Part) -> Part:
    """The part with 1 % of traces."""
    told = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": SAMPLED}

    def made() -> Command:
        command = part.make()
        return replace(command, environment={**command.environment, **told})

    return replace(part, make=made)


def gateway_part(site: Site, name: str, module: str = "gateway") -> Part:
    """One more gateway; with another module, a gateway that only exists here."""

    def made() -> Command:
        command = services.gateway(site, name)
        return command if module == "gateway" else as_module(command, module)

    ready = f"{site.url(f'{name}-operations')}/ready"
    return Part(name, made, lambda: services.answers(ready), ("postgres", "provisioner", "consent"))


@contextmanager
def whole(more: Sequence[str] = (), *, bare: bool = False, only: Sequence[str] = ()) -> Iterator[Standing]:
    """Everything that `make demo` starts (or `only` some parts), `more` gateways, and with `bare` those of APART."""
    with folder() as state:
        ports = Ports()
        here = site(ROOT, state, ports)
        extra = [*more, *(APART if bare else ())]
        for place, name in enumerate(extra):
            ports.find(name, 8082 + place)
            ports.find(f"{name}-operations", 8092 + place)
        compiling = Compiling(state)
        found = [part for part in parts(here, compiling.wait) if not only or part.name in only]
        found += [gateway_part(here, name, APART.get(name, "gateway")) for name in extra]
        supervisor = Supervisor([sampled(part) for part in found], lambda _: None, lambda *_: None)
        try:
            supervisor.start()
            progress("the stack is up")
            world = read(world_of(here))
            world.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            yield Standing(here, world, supervisor, (*world.gateways, *(here.url(name) for name in more)), ports)
        finally:
            compiling.stop()
            supervisor.stop()
            ports.release()


def story_of(standing: Standing) -> Story:
    """A story with a new family, told to nobody."""
    today = datetime.now(UTC).date()
    narrator = Narrator(io.StringIO())
    narrator.new_trace()
    family = new_family(today, random.Random(secrets.randbits(64)))
    return Story(standing.world, standing.supervisor, narrator, family, today)


async def beginning(standing: Standing) -> Story:
    """The district is loaded, its staff are let in; a story to go on with."""
    story = story_of(standing)
    await load_and_attach(story)
    return story


def another(first: Story, standing: Standing) -> Story:
    """A story of another family in the same district, with the same staff."""
    story = story_of(standing)
    story.callers = {who: first.callers[who] for who in ("admin", "nurse", "teacher", "school")}
    return story


async def fill(story: Story, items: int) -> None:
    """Entries by the nurse until the log has so many items in all."""
    while len(story.items) < items:
        category = ("school", "health")[len(story.items) % 2]
        text = "Avtale: kortere dager i to uker, og samtale med lærer hver fredag. " * 3
        await add(story, "nurse", "entries", {"category": category, "text": text.strip()})


async def close(*stories: Story) -> None:
    """Close every connection of these stories."""
    for story in stories:
        await hang_up(story)


async def staff_token(world: World, login: str) -> str:
    """A bearer token as an app gets it: code flow with PKCE at the provider for staff."""
    verifier = secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    app = {"client_id": openid.APP, "redirect_uri": "http://127.0.0.1/app"}
    asked = {
        **app, "response_type": "code", "scope": "openid", "state": secrets.token_urlsafe(8), "nonce": "n",
        "code_challenge": challenge, "code_challenge_method": "S256",
    }  # fmt: skip
    form = {"username": login, "claims": json.dumps({"acr": "high"})}
    async with httpx.AsyncClient(trust_env=False) as http:
        agreed = await http.post(f"{world.staff}/authorize", params=asked, data=form)
        found = re.search(r"code=([^&]+)", agreed.headers.get("location", ""))
        if found is None:
            raise AssertionError(f"the provider answered {agreed.status_code} without a code")
        given = {**app, "grant_type": "authorization_code", "code": found[1], "code_verifier": verifier}
        answer = await http.post(f"{world.staff}/token", data=given)
    return str(answer.json()["access_token"])


def elsewhere(module: str, task: dict[str, Any]) -> dict[str, Any]:
    """Run a module of this package as a process of its own: its task on standard input, its result on the output."""
    done = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(task), capture_output=True, text=True, cwd=ROOT, timeout=600,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"{module} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def with_story(standing: Standing, act: Callable[[Story], Awaitable[Any]]) -> Any:
    """Run `act` with the first story of this stack."""

    async def run() -> Any:
        story = await beginning(standing)
        try:
            return await act(story)
        finally:
            await close(story)

    return asyncio.run(run())
