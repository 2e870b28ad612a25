"""Step 8: logbook, consent and a gateway are killed in the middle of bursts; in every store each effect is once."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx

from story import stores
from story.cast import NURSE_SERVICE, SCHOOL_SERVICE, Story
from story.narrative import UnexpectedError, expect, expect_true
from story.people import new_family
from story.steps.log import all_items
from story.steps.looks import all_looks

BURST = 24
FAMILIES = 8
KILLED_AFTER = 6
PATIENCE = 120.0


Back = asyncio.Task[float]
"""Done when a killed part makes progress again; its result is how many seconds that took."""


async def killed_and_back(story: Story) -> None:
    """Three kills, three bursts, and a count after each."""
    await kill_logbook(story)
    await kill_consent(story)
    back = await kill_gateway(story)
    for service in ("logbook", "consent"):
        await stores.settle(story.world, service)
    subject = await inner_subject(story)
    await logbook_counts(story, subject)
    await ledger_counts(story, subject)
    story.say(f"The stores hold what the youth is shown. {await again(story.world.gateway_parts[-1], back)}")


async def burst(
    story: Story, part: str, acts: Sequence[Callable[[], Awaitable[Any]]], width: int = 4
) -> tuple[list[Any], Back]:
    """Do all, a few at a time; SIGKILL the part once some have been answered, with others still under way."""
    waiting, done, back = list(acts), [], list[Back]()

    async def work() -> None:
        while waiting:
            act = waiting.pop(0)
            done.append(await act())
            if len(done) == KILLED_AFTER:
                await asyncio.to_thread(story.control.kill, part, signal.SIGKILL)
                back.append(asyncio.create_task(ready_again(story, part)))

    workers = [asyncio.create_task(work()) for _ in range(width)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    expect_true(f"{part} was killed in the middle of its burst", back)
    return done, back[0]


async def ready_again(story: Story, part: str) -> float:
    """Wait until the part makes progress again; the seconds it took."""
    began = time.monotonic()
    await asyncio.to_thread(story.control.wait_ready, part)
    return time.monotonic() - began


async def again(part: str, back: Back) -> str:
    """A sentence on how long the part was away."""
    return f"{part} was back after {await back:.1f} s."


def write(story: Story, who: str, text: str, replicas: Sequence[int]) -> Callable[[], Awaitable[str]]:
    """One school entry, sent to the replicas in turn under one idempotency key until it is answered."""
    turns, key = itertools.cycle(replicas), secrets.token_hex(12)

    async def act() -> str:
        for _ in range(int(PATIENCE)):
            try:
                answer = await story[who].patiently(
                    "POST", story.subject(who, "entries"), {"category": "school", "text": text},
                    replica=next(turns), headers={"Idempotency-Key": key}, seconds=0.8,
                )  # fmt: skip
            except UnexpectedError:
                continue
            if answer.status_code == 201:
                return str(answer.json()["id"])
            if answer.status_code != 503:
                raise UnexpectedError(f"a write in a burst: expected 201, and {answer.status_code} came")
        raise UnexpectedError("a write in a burst was not answered in two minutes")

    return act


async def kill_logbook(story: Story) -> None:
    """Writes whose answer was lost are repeated; each entry is there once, and is pointed to at least once."""
    school_before = len(story.feed.about(story.handles["school"]))
    texts = [f"Notat {number} {secrets.token_hex(4)}" for number in range(BURST)]
    replicas = range(len(story.world.gateways))
    acts = [write(story, "nurse", text, replicas) for text in texts]
    ids, back = await burst(story, story.world.logbook_part, acts)
    await each_once(story, texts, ids)
    await stores.settle(story.world, "logbook")
    pointers = await pointed(story, school_before, BURST)
    story.say(
        f"logbook killed in a burst of {BURST} writes: each entry is there once; the school got {pointers} pointers "
        f"for them, doubles with the same id. {await again('logbook', back)}"
    )


async def each_once(story: Story, texts: Sequence[str], ids: Sequence[str]) -> None:
    """Every text is in the log exactly once, under the id that was answered."""
    items = await all_items(story, "youth")
    counted = Counter(one.get("text") for one in items)
    expect(
        "how often each entry of the burst is there",
        Counter(dict.fromkeys([1], len(texts))),
        Counter(counted[t] for t in texts),
    )
    expect_true("every answered id is there", set(ids) <= {one["id"] for one in items})


async def pointed(story: Story, before: int, count: int, seconds: float = 30.0) -> int:
    """How many pointers came for `count` entries: as many different ids, perhaps more deliveries."""
    for _ in range(int(seconds / 0.1)):
        new = story.feed.about(story.handles["school"])[before:]
        if len({pointer.id for pointer in new}) >= count:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    new = story.feed.about(story.handles["school"])[before:]
    expect("different pointers for the entries of the burst", count, len({pointer.id for pointer in new}))
    return len(new)


async def kill_consent(story: Story) -> None:
    """Requests for other families, and a withdrawal in their midst; each request is once, the withdrawal holds."""
    chance = random.Random(secrets.randbits(64))
    acts: list[Callable[[], Awaitable[Any]]] = [ask_for(story, chance) for _ in range(FAMILIES)]
    acts.insert(KILLED_AFTER, withdraw_participants(story))
    done, back = await burst(story, story.world.consent_part, acts, width=2)
    made = [one for one in done if one is not None]
    expect("different requests", FAMILIES, len(set(made)))
    there = await stores.one(
        story.world, "consent", "SELECT count(*) FROM request WHERE id::text = ANY($1::text[])", made
    )
    expect("those requests in consent's store", FAMILIES, there)
    people = await stores.one(
        story.world, "consent",
        "SELECT count(*) FROM request WHERE subject IN"
        " (SELECT subject FROM request WHERE id::text = ANY($1::text[]))", made,
    )  # fmt: skip
    expect("requests for those families, lost answers included", FAMILIES, people)
    log = await story["nurse"].get(story.subject("nurse", "log"))
    expect_true("the nurse is no longer told who takes part", SCHOOL_SERVICE not in str(log.get("participants") or ""))
    story.say(
        f"consent killed in a burst of {FAMILIES} requests and a withdrawal: each is there once; the withdrawal holds. "
        f"{await again('consent', back)}"
    )


def ask_for(story: Story, chance: random.Random) -> Callable[[], Awaitable[str]]:
    """A request for a family of its own."""
    family, key = new_family(story.today, chance), secrets.token_hex(12)
    body = {
        **family.youth.asked_as(), "guardians": [family.mother.asked_as(), family.father.asked_as()],
        "responsibility": "felles", "level": 1, "why": "Vi vil hjelpe sammen.", "purpose": "follow-up",
        "cells": [{"service": NURSE_SERVICE, "categories": ["school"], "actions": ["read", "contribute"]}],
        "until": (story.today + timedelta(days=200)).isoformat(),
    }  # fmt: skip

    async def act() -> str:
        answer = await story["nurse"].patiently(
            "POST", "/requests", body, headers={"Idempotency-Key": key}, seconds=PATIENCE
        )
        expect("a request in a burst", 201, answer.status_code)
        return str(answer.json()["id"])

    return act


def withdraw_participants(story: Story) -> Callable[[], Awaitable[None]]:
    """The youth keeps from the nurse who else takes part, while consent is being killed."""
    body = {"recipient": f"service:{NURSE_SERVICE}", "category": "participants"}
    key = secrets.token_hex(12)

    async def act() -> None:
        youth = story["youth"]
        answer = await youth.patiently(
            "POST", story.subject("youth", "withdrawals"), body, headers={"Idempotency-Key": key}, seconds=PATIENCE
        )
        expect_true(f"a withdrawal in a burst is taken ({answer.status_code})", answer.status_code in {200, 202})
        made = answer.json()
        for _ in range(int(PATIENCE / 0.2)):
            said = await youth.patiently("GET", story.subject("youth", f"withdrawals/{made['id']}"), seconds=PATIENCE)
            if said.status_code == 200 and said.json()["status"] == "confirmed":
                return
            await asyncio.sleep(0.2)
        raise UnexpectedError("a withdrawal was not confirmed within two minutes after consent was killed")

    return act


async def kill_gateway(story: Story) -> Back:
    """One replica dies with requests under way; the other goes on; nothing is done twice and no look is lost."""
    last = len(story.world.gateways) - 1
    texts = [f"Beskjed {number} {secrets.token_hex(4)}" for number in range(BURST)]
    order = [last, *range(last)]
    acts: list[Callable[[], Awaitable[Any]]] = [write(story, "nurse", text, order) for text in texts]
    acts += [read(story, last) for _ in range(BURST)]
    random.shuffle(acts)
    before = await nurse_reads(story)
    done, back = await burst(story, story.world.gateway_parts[last], acts)
    ids = [one for one in done if isinstance(one, str)]
    answered, tried = (
        sum(one[0] for one in done if isinstance(one, tuple)),
        sum(one[1] for one in done if isinstance(one, tuple)),
    )
    await each_once(story, texts, ids)
    for _ in range(200):
        looks = await nurse_reads(story) - before
        if looks >= answered:
            break
        await asyncio.sleep(0.2)
    expect_true(f"every answered read is a look ({answered} answered, {looks} looks)", looks >= answered)
    expect_true(f"no look without a request ({tried} sent, {looks} looks)", looks <= tried)
    story.say(
        f"{story.world.gateway_parts[last]} killed in a burst of {2 * BURST}: each entry is there once; "
        f"{answered} reads were answered, {looks} looks recorded (after a kill a recorded look counts)."
    )
    return back


def read(story: Story, replica: int) -> Callable[[], Awaitable[tuple[int, int]]]:
    """One read of the log at a replica that may die, then at the first; (answers, requests)."""

    async def act() -> tuple[int, int]:
        until = time.monotonic() + PATIENCE
        for sent, turn in enumerate(itertools.cycle([replica, 0]), start=1):
            with suppress(httpx.TransportError):
                answer = await story["nurse"].ask("GET", story.subject("nurse", "log"), replica=turn)
                if answer.status_code == 200:
                    return 1, sent
            if time.monotonic() > until:
                break
            await asyncio.sleep(0.1)
        raise UnexpectedError("a read in a burst was never answered")

    return act


async def nurse_reads(story: Story) -> int:
    """How many looks at the log for the nurse's service are recorded as answered."""
    looks = await all_looks(story, "youth")
    return sum(
        one["route"] == "logbook.get-log" and one["outcome"] == "answered" and NURSE_SERVICE in one["actor"]["services"]
        for one in looks
    )


async def inner_subject(story: Story) -> str:
    """The youth's id inside, found by an entry of theirs: for counting only."""
    found = await stores.one(story.world, "logbook", "SELECT subject FROM item WHERE id = $1", story.items["school"])
    return str(found)


async def logbook_counts(story: Story, subject: str) -> None:
    """What the store holds is what the youth is shown, and one log with one holder."""
    shown = len(await all_items(story, "youth"))
    stored = await stores.one(story.world, "logbook", "SELECT count(*) FROM item WHERE subject = $1", subject)
    expect("entries in logbook's store beside those the youth sees", shown, stored)
    logs = await stores.one(story.world, "logbook", "SELECT count(*) FROM log WHERE subject = $1", subject)
    expect("logs of the youth", 1, logs)
    holders = await stores.one(
        story.world, "logbook",
        "SELECT count(*) FROM holder JOIN log ON log.id = holder.log WHERE log.subject = $1 AND until IS NULL", subject,
    )  # fmt: skip
    expect("holders of that log", 1, holders)


async def ledger_counts(story: Story, subject: str) -> None:
    """The ledger's looks are those that the youth is shown, each record once."""
    for _ in range(50):
        stored = await stores.one(
            story.world, "consent", "SELECT count(*) FROM ledger WHERE subject::text = $1", subject
        )
        looks = await all_looks(story, "youth")
        if len(looks) >= stored:
            break
        await asyncio.sleep(0.2)
    expect("looks shown twice", 0, len(looks) - len({one["id"] for one in looks}))
