"""One race from its start to its verdict."""

import asyncio
import random
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.races import judge, plans, stores, world
from tests.races.broken import RULES
from tests.races.clients import WRITTEN, Clients, Journal
from tests.races.faults import Fault, Faults, ready
from tests.races.fleet import CONSENTS, GATEWAYS, Fleet, Links, fleet
from tests.races.judge import Epochs, Read
from tests.races.stores import Stores
from tests.races.wire import now
from tests.races.world import CATEGORIES, READERS

Tell = Callable[[str], None]
VERDICT = ("stale_answers", "lost", "doubled", "answers_without_record")
"""What must be 0."""
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
    withdrawals: float = 9.0


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
                await _directory_first(members, issuers, starting)
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
            kept = ("seed", "seconds", "first_found_after", *VERDICT)
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


async def _directory_first(members: Fleet, issuers: world.Issuers, starting: "asyncio.Task[None]") -> None:
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
    tell(f"judging; {time.monotonic() - started:.0f} s since the clients began")
    ended = {name: member.ended_by_itself for name, member in members.members.items() if member.ended_by_itself}
    return verdict(asked, spent, on.journals, clients, faults.done, held, last, texts) | {
        "first_found_after": found, "not_ready_again": late, "ended_by_themselves": ended,
        "settled_seconds": round(settled, 1),
    }  # fmt: skip


async def _until_over(
    asked: Asked, clients: Clients, faults: Faults, lanes: "list[asyncio.Task[None]]", began: float, tell: Tell
) -> float | None:
    """Until the time is over, or so many were killed, or a broken rule was found out; seconds to the first find."""
    looked, found = 0, None
    told = began
    while now() - began < asked.seconds:
        await asyncio.sleep(0.5)
        clients.check()
        for lane in lanes:
            if lane.done():
                lane.result()
        reads, epochs = clients.journal.reads, Epochs.of(clients.journal.acts)
        new, looked = reads[looked:], len(reads)
        stale = sum(judge.stale_by_body(read, epochs) for read in new)
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


def verdict(
    asked: Asked, spent: float, journals: list[Journal], clients: Clients, faults: list[Fault], held: Stores,
    last: list[Read], texts: Counter[str],
) -> dict[str, Any]:  # fmt: skip
    """The object that `make races` prints."""
    journal = clients.journal
    epochs = Epochs.of(journal.acts)
    told = {act.change: act.told for act in journal.acts if act.kind == "withdrawn" and act.told is not None}
    ended = {grant: moment for grant, by in held.ended.items() if (moment := told.get(by)) is not None}
    by_body = [read for read in journal.reads if judge.stale_by_body(read, epochs)]
    by_store = [read for read in journal.reads if judge.stale_by_store(read, held.looks, ended)]
    stale = {read.trace for read in (*by_body, *by_store)}
    lost = _lost(journals, clients, held, last, texts, epochs)
    doubled = _doubled(journals, clients, held, texts)
    unrecorded = len(judge.without_record(journal.answered, held.looks))
    acts_unrecorded = sum(grant not in held.acts_in_ledger for grant in ended)
    withdrawn = [act for act in journal.acts if act.kind == "withdrawn"]
    under = [act for act in withdrawn if act.told is not None and _active(faults, act.told)]
    shown = [read for read in journal.reads if read.shown]
    return {
        "seed": asked.seed, "seconds": round(spent, 1),
        "operations": len(journal.reads) + len(journal.acts) + len(journal.written),
        "reads": len(journal.reads), "answers": len(journal.answered), "answers_with_content": len(shown),
        "withdrawals": sum(act.told is not None for act in withdrawn),
        "withdrawals_confirmed_under_fault": len(under),
        "grants_given_back": sum(act.told is not None for act in journal.acts if act.kind == "granted"),
        "writes": len(journal.written), "faults": len(faults),
        "stale_answers": len(stale), "lost": sum(lost.values()), "doubled": sum(doubled.values()),
        "answers_without_record": unrecorded + acts_unrecorded,
        "broken": asked.broken, "plan": asked.broken or asked.plan,
        "faults_by_kind": dict(sorted(Counter(fault.kind for fault in faults).items())),
        "stale_by_body": len(by_body), "stale_by_store": len(by_store), "lost_by_kind": lost,
        "doubled_by_kind": doubled, "answers_said_held_back": _said_held_back(journal.answered, held),
        "confirmation_ms": _percentiles([1000 * (act.told - act.sent) for act in withdrawn if act.told is not None]),
        "statuses": dict(sorted(journal.statuses.items())), "stores": held.counts,
        "odd": journal.odd[:5],
    }  # fmt: skip


def _active(faults: list[Fault], moment: float) -> bool:
    return any(fault.began <= moment and (fault.over is None or moment <= fault.over) for fault in faults)


def _lost(
    journals: list[Journal], clients: Clients, held: Stores, last: list[Read], texts: Counter[str], epochs: Epochs
) -> dict[str, int]:
    journal, subjects = clients.journal, clients.world.subjects
    wanted = _in_force(journals, len(subjects))
    told = [act for act in journal.acts if act.told is not None]
    withdrawn = [act for act in told if act.kind == "withdrawn"]
    in_store = {
        (number, service): held.live.get((subjects[number].id, f"service:{service}"), frozenset()) & set(CATEGORIES)
        for number, service in wanted
    }
    seen = Counter(
        (read.subject, read.service) for read in last if read.shown == wanted.get((read.subject, read.service))
    )
    return {
        "writes": sum(held.entries.get(id_) is None for id_ in journal.written.values()),
        "texts": sum(texts[text] == 0 for text in journal.written),
        "withdrawals": sum(not held.withdrawals.get(act.change or "", ("", False))[1] for act in withdrawn),
        "states": sum(in_store[cell] != categories for cell, categories in wanted.items()),
        "last_reads": sum(len(clients.world.ports) - seen[cell] for cell in wanted),
        "granted_and_not_found": sum(judge.missing(read, epochs) for read in journal.reads),
        "records_not_in_ledger": len(held.unledgered), "ledger_gaps": held.gaps, "pending": held.pending,
        "states_not_published": len(held.behind),
    }  # fmt: skip


def _in_force(journals: list[Journal], subjects: int) -> dict[tuple[int, str], frozenset[str]]:
    """What must be in force at the end, by what the clients did. Without those of whom an act has no answer."""
    found = {(number, service): frozenset(CATEGORIES) for number in range(WRITTEN, subjects) for service in READERS}
    acts = [act for journal in journals for act in journal.acts]
    for act in sorted(acts, key=lambda act: act.sent):
        cell = (act.subject, act.service)
        change = frozenset(act.categories)
        found[cell] = found[cell] | change if act.kind == "granted" else found[cell] - change
    unknown = {(act.subject, act.service) for act in acts if act.told is None}
    return {cell: categories for cell, categories in found.items() if cell not in unknown}


def _doubled(journals: list[Journal], clients: Clients, held: Stores, texts: Counter[str]) -> dict[str, int]:
    subjects = clients.world.subjects
    acts = Counter(subjects[act.subject].id for journal in journals for act in journal.acts if act.kind == "withdrawn")
    stored = Counter(whose for whose, _ in held.withdrawals.values())
    written = {subject.id for subject in subjects[:WRITTEN]}
    entries = sum(whose in written for whose in held.entries.values()) - len(CATEGORIES) * WRITTEN
    return {
        "writes": max(0, entries - sum(len(one.written) for one in journals)),
        "texts": sum(max(0, count - 1) for count in texts.values()),
        "withdrawals": sum(max(0, count - acts[whose]) for whose, count in stored.items()),
        "events": held.doubled_events,
    }  # fmt: skip


def _said_held_back(answered: list[str], held: Stores) -> int:
    """Answers that a client has whole, and whose every record says that there was none."""
    found = (held.looks.of_trace.get(trace, {}).keys() for trace in answered)
    return sum(bool(records) and records <= held.looks.held_back for records in found)


def _percentiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }
