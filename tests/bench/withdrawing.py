"""From a withdrawal to its confirmation, with three gateways that may answer."""

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
        story.callers = {who: story.callers[who] for who in ("youth", "mother", "father")}
        await close(story)
        progress(f"{len(taken)} withdrawals, p50 so far {statistics.median(taken):.0f} ms")
    return taken


async def _consented(story: Story) -> None:
    """A family that has agreed to all of SERVICES and CATEGORIES."""
    people = {"youth": story.family.youth, "mother": story.family.mother, "father": story.family.father}
    cells = [{"service": one, "categories": list(CATEGORIES), "actions": ["read"]} for one in SERVICES]
    body = {
        **story.family.youth.asked_as(), "guardians": [people[who].asked_as() for who in ("mother", "father")],
        "responsibility": "felles", "level": 1, "why": "Måling.", "purpose": "follow-up", "cells": cells,
        "until": (story.today + timedelta(days=300)).isoformat(),
    }  # fmt: skip
    await story["nurse"].post("/requests", body, 201)
    for who, person in people.items():
        story.callers[who] = await citizen(story, who, person)
        said = await answer(story, who)
    expect("the request after the last answer", "in-force", said)


def figures(taken: list[float]) -> Iterator[Figure]:
    """p50 and p99."""
    ordered = sorted(taken)
    p99 = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
    told = f"withdrawal to confirmation, 3 gateways, {len(ordered)} withdrawals"
    yield Figure(f"{told}, p50", statistics.median(ordered), "ms", "<= 80", "30")
    yield Figure(f"{told}, p99", p99, "ms", "<= 250", "100")
