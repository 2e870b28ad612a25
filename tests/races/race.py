"""One race from its start to its verdict."""

import asyncio
import json
import random
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.races import judge, plans, stores, world
from tests.races.broken import RULES
from tests.races.clients import Clients, Journal
from tests.races.faults import Fault, Faults, ready
from tests.races.fleet import CONSENTS, GATEWAYS, Fleet, Links, fleet
from tests.races.judge import Epochs
from tests.races.verdict import MUST_BE_NONE, verdict
from tests.races.wire import now

Tell = Callable[[str], None]
_LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a race is to be. broken: the rule to take out; it ends once that is found. kills: it ends after so many.

    logs: a folder for what the processes wrote.
    """

    seconds: float
    seed: int
    broken: str | None = None
    plan: str = "mixture"
    kills: int | None = None
    subjects: int = 40
    logs: Path | None = None
    reads: float = 170.0
    withdrawals: float = 20.0


@dataclass(frozen=True, slots=True)
class Track:
    """Everything up, and everybody with a consent in force."""

    members: Fleet
    links: Links
    people: world.World
    journals: list[Journal] = field(default_factory=list)
    """Of every race that was run here: the stores hold what all of them did."""


async def race(asked: Asked, tell: Tell) -> dict[str, Any]:
    """Start everything, race, let it come to rest, and judge. Nothing is left running, however it ends."""
    async with track(asked, tell) as on:
        return await run(asked, on, tell)


@asynccontextmanager
async def track(asked: Asked, tell: Tell) -> AsyncIterator[Track]:
    """The processes of a race, and its people."""
    issuers = world.Issuers()
    await issuers.open()
    try:
        with fleet(issuers.urls) as (members, places):
            if asked.broken is not None:
                take_out(members, asked.broken)
            links = Links(places)
            await links.open()
            try:
                starting = asyncio.create_task(asyncio.to_thread(members.start_all))
                await directory_first(members, issuers, starting)
                tell("the stack is up")
                people = await world.settle(members.site, issuers, asked.subjects, asked.seed)
                tell(f"{len(people.subjects)} subjects have agreed and have a log")
                yield Track(members, links, people)
            finally:
                await links.close()
                if asked.logs is not None:
                    shutil.copytree(members.site.state / "logs", asked.logs, dirs_exist_ok=True)
    finally:
        await issuers.close()


def take_out(members: Fleet, rule: str) -> tuple[str, ...]:
    """From their next start on, the processes that have this rule are without it; which they are."""
    service = RULES[rule][0]
    names = GATEWAYS if service == "gateway" else CONSENTS
    for name in names:
        members.run_as(name, "tests.races.broken", service, rule)
    return names


async def every_break(asked: Asked, tell: Tell) -> dict[str, Any]:
    """Each rule taken out in turn, on one track: what was found, by rule."""
    found: dict[str, Any] = {}
    async with track(asked, tell) as on:
        for rule, (service, _) in RULES.items():
            names = take_out(on.members, rule)
            await start_again(on.members, names)
            result = await run(replace(asked, broken=rule), on, tell)
            kept = ("seed", "seconds", "first_found_after", *MUST_BE_NONE)
            found[rule] = {name: result[name] for name in kept}
            tell(f"{rule}: {found[rule]}")
            for name in names:
                on.members.run_as(name, service)
            await start_again(on.members, names)
    return found


async def start_again(members: Fleet, names: Sequence[str]) -> None:
    """End these and start them, all at once."""
    await asyncio.gather(*(asyncio.to_thread(members.end, name) for name in names))
    await asyncio.gather(*(asyncio.to_thread(members.start, name) for name in names))


async def directory_first(members: Fleet, issuers: world.Issuers, starting: "asyncio.Task[None]") -> None:
    """Consent and logbook are only ready with a directory: it is published as soon as its topic is there."""
    while not starting.done():
        member = members.members["provisioner"]
        if member.child is not None and member.ready():
            await world.publish_directory(members.site, issuers)
            break
        await asyncio.sleep(0.1)
    await starting


async def run(asked: Asked, on: Track, tell: Tell) -> dict[str, Any]:
    """One race on this track, and its verdict."""
    members, links, people = on.members, on.links, on.people
    clients = Clients(people, asked.seed, reads=asked.reads, withdrawals=asked.withdrawals)
    on.journals.append(clients.journal)
    faults = Faults(members, links, random.Random(asked.seed), log=lambda line: None)
    watching = asyncio.create_task(members.watch())
    lanes: list[asyncio.Task[None]] = []
    began, started = now(), time.monotonic()
    try:
        clients.start()
        await asyncio.sleep(2.0)
        plan = asked.broken or asked.plan
        lanes = [asyncio.create_task(lane(faults)) for lane in plans.PLANS[plan]]  # type: ignore[arg-type]
        found = await _until_over(asked, clients, faults, lanes, began, tell)
        spent = now() - began
        faults.stopping = True
        await asyncio.wait(lanes, timeout=90) if lanes else None
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        late = await ready(faults)
        tell(f"the faults are over{f'; not ready: {late}' if late else ''}")
        await clients.finish()
        settled = await stores.settle(members.site)
        tell(f"all is quiet after {settled:.1f} s")
        last = await clients.last_reads()
        texts = await clients.last_texts()
        await stores.settle(members.site)
        held = await stores.read(members.site, clients.prefix)
    finally:
        watching.cancel()
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(watching, *lanes, return_exceptions=True)
    if asked.logs is not None:
        write_times(asked.logs, faults.done, clients, held)
    tell(f"judging; {time.monotonic() - started:.0f} s since the clients began")
    ended = {name: member.ended_by_itself for name, member in members.members.items() if member.ended_by_itself}
    asked_for = {"seed": asked.seed, "seconds": round(spent, 1), "broken": asked.broken, "plan": plan}
    return asked_for | verdict(on.journals, clients, faults.done, held, last, texts) | {
        "first_found_after": found, "not_ready_again": late, "ended_by_themselves": ended,
        "settled_seconds": round(settled, 1),
    }  # fmt: skip


def write_times(folder: Path, done: Sequence[Fault], clients: Clients, held: stores.Stores) -> None:
    """When each fault and each withdrawal was, in Unix seconds: beside what the processes wrote at that time."""
    offset = time.time() - now()
    folder.mkdir(parents=True, exist_ok=True)
    faults = [
        {"kind": one.kind, "names": one.names, "began": one.began + offset, "over": one.over and one.over + offset}
        for one in done
    ]
    told = [
        {"sent": act.sent + offset, **asdict(held.kept[act.change]), "told": act.told and act.told + offset}
        for act in clients.journal.acts
        if act.kind == "withdrawn" and act.change in held.kept
    ]
    (folder / "times.json").write_text(json.dumps({"faults": faults, "withdrawals": told}, indent=1))


async def _until_over(
    asked: Asked, clients: Clients, faults: Faults, lanes: "list[asyncio.Task[None]]", began: float, tell: Tell
) -> float | None:
    """Until the time is over, or so many were killed, or a broken rule was found out; seconds to the first find."""
    looked, heard, found = 0, 0, None
    told = began
    while now() - began < asked.seconds:
        await asyncio.sleep(0.5)
        clients.check()
        for lane in lanes:
            if lane.done():
                lane.result()
        reads, epochs = clients.journal.reads, Epochs.of(clients.journal.acts)
        new, looked = reads[looked:], len(reads)
        said, heard = clients.journal.messages[heard:], len(clients.journal.messages)
        stale = sum(judge.stale_by_body(read, epochs) for read in (*new, *said))
        missing = sum(judge.missing(read, epochs) for read in new)
        if (stale or missing) and found is None:
            found = round(now() - began, 1)
            tell(f"after {found} s: {stale} stale answers, {missing} that did not find what was granted")
        if found is not None and asked.broken is not None:
            break
        killed = sum(fault.kind.startswith("kill-") for fault in faults.done if fault.over is not None)
        if asked.kills is not None and killed >= asked.kills:
            break
        if now() - told > 15:
            told = now()
            confirmed = sum(act.told is not None for act in clients.journal.acts if act.kind == "withdrawn")
            tell(
                f"{now() - began:.0f} s: {len(reads)} reads, {confirmed} withdrawals confirmed, "
                f"{len(faults.done)} faults ({killed} kills), now: "
                + (", ".join(fault.kind for fault in faults.done if fault.over is None) or "none")
            )
    return found
