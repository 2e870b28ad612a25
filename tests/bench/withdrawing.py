"""From a withdrawal to its confirmation, with three gateways that may answer."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from story.cast import Story
from story.narrative import expect
from story.steps.consent import answer, citizen
from tests.bench.report import Figure
from tests.bench.standing import Standing, another, close, progress

WITHDRAWALS = 120
SERVICES = (
    "school-health", "gamlebyen-school", "police-prevention", "health-clinic", "leisure-club", "outreach", "nav",
    "child-psychiatry", "general-practice", "follow-up-team",
)  # fmt: skip
CATEGORIES = ("school", "leisure", "work")
PER_FAMILY = len(SERVICES) * len(CATEGORIES)


async def withdrawals(first: Story, standing: Standing) -> list[float]:
    """Milliseconds of each, from sending the withdrawal to the answer that it is confirmed."""
    taken: list[float] = []
    while len(taken) < WITHDRAWALS:
        story = another(first, standing)
        await _consented(story)
        youth = story["youth"]
        path = story.subject("youth", "withdrawals")
        url = f"{standing.gateways[0]}{path}"
        for service in SERVICES:
            for category in CATEGORIES:
                body = {"recipient": f"service:{service}", "category": category}
                began = time.perf_counter()
                made = await youth.http.post(url, json=body, headers={"X-CSRF-Token": youth.csrf})
                taken.append(1_000 * (time.perf_counter() - began))
                expect("a withdrawal, confirmed at once", (200, "confirmed"), (made.status_code, made.json()["status"]))
        story.callers = {"youth": youth}
        await close(story)
        progress(f"{len(taken)} withdrawals, p50 of this family's {statistics.median(taken[-PER_FAMILY:]):.0f} ms")
    return taken


async def _consented(story: Story) -> None:
    """A youth who has agreed to all of SERVICES and CATEGORIES; for these the youth's own word is enough."""
    cells = [{"service": one, "categories": list(CATEGORIES), "actions": ["read"]} for one in SERVICES]
    body = {
        **story.family.youth.asked_as(), "guardians": [story.family.mother.asked_as(), story.family.father.asked_as()],
        "responsibility": "felles", "level": 1, "why": "Måling.", "purpose": "follow-up", "cells": cells,
        "until": (story.today + timedelta(days=300)).isoformat(),
    }  # fmt: skip
    await story["nurse"].post("/requests", body, 201)
    story.callers["youth"] = await citizen(story, "youth", story.family.youth)
    await _is_asked(story, "youth")
    expect("the request after the youth's answer", "in-force", await answer(story, "youth"))


async def _is_asked(story: Story, who: str) -> None:
    """The gateway has read that this person is asked: a request is public once it is written, and known soon after."""
    for _ in range(100):
        found = (await story[who].get("/me/requests"))["items"]
        if any(one["answer"]["items"] for one in found):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a person who is asked does not see it")


def figures(taken: list[float]) -> Iterator[Figure]:
    """p50 and p99."""
    ordered = sorted(taken)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    told = f"withdrawal to confirmation, 3 gateways, {len(ordered)} withdrawals"
    yield Figure(f"{told}, p50", statistics.median(ordered), "ms", "<= 80", "30")
    yield Figure(f"{told}, p99", p99, "ms", "<= 250", "100")
