"""A decided, recorded read through the gateway, and the same through gateways that do not record or even decide."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import psutil

from story.cast import Story
from story.steps.consent import ask_and_answer
from story.steps.log import open_log, write
from tests.bench.report import Figure
from tests.bench.standing import APART, Standing, elsewhere, fill, progress, staff_token

ITEMS = 20
CLIENTS = 32
ROUNDS = 6
WARM_SECONDS = 10.0
SECONDS = 2.5


async def family_with_log(story: Story) -> str:
    """A family with consent in force and a log of ITEMS items; the path under which the nurse reads them."""
    await ask_and_answer(story)
    await open_log(story)
    await write(story)
    await fill(story, ITEMS)
    return story.subject("nurse", "items?limit=50")


def rates(standing: Standing, path: str, token: str) -> Iterator[Figure]:
    """p50 of one client and reads per second of CLIENTS, through one gateway of a stack as `make demo` runs it."""
    found = _rounds(standing, {"decided": f"{standing.gateways[0]}{path}"}, token)
    one, many = _middle(found["decided", 1], "p50"), _middle(found["decided", CLIENTS], "per_second")
    yield Figure("read, decided and recorded, one client, p50", one, "ms", "<= 5", "2.5")
    yield Figure(f"read, decided and recorded, {CLIENTS} clients", many, "reads/s", ">= 800", "2000")


def shares(standing: Standing, path: str, token: str) -> Iterator[Figure]:
    """What deciding and recording cost: the same reads against the gateways of APART, rounds interleaved."""
    places = {"decided": f"{standing.gateways[0]}{path}"}
    places |= {name.removeprefix("gateway-"): f"{standing.site.url(name)}{path}" for name in APART}
    found = _rounds(standing, places, token)
    share = statistics.median(_pairs(found["decided", CLIENTS], found["bare", CLIENTS]))
    yield Figure(
        f"decided and recorded to bare, {CLIENTS} clients, rate, median of the pairs", share, "x", ">= 0.7", "0.9"
    )
    share = statistics.median(_pairs(found["decided", CLIENTS], found["unrecorded", CLIENTS]))
    yield Figure(f"recorded to unrecorded, {CLIENTS} clients, rate, median of the pairs", share, "x", ">= 0.85", "0.95")
    share = _middle(found["bare", 1], "p50") / _middle(found["decided", 1], "p50")
    yield Figure("decided and recorded to bare, one client, speed", share, "x", ">= 0", "0.9")


def _rounds(standing: Standing, places: Mapping[str, str], token: str) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """By place and number of clients: what the load generator found in each round. Everything is warm before."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for url in places.values():
        _has_all(url, token)
        elsewhere("tests.bench.load", {"url": url, "token": token, "clients": CLIENTS, "seconds": WARM_SECONDS})
    for round_ in range(ROUNDS):
        for clients in (1, CLIENTS):
            order = list(places.items())
            for name, url in order if round_ % 2 else reversed(order):
                task = {"url": url, "token": token, "clients": clients, "seconds": SECONDS}
                before = computed(standing)
                last = elsewhere("tests.bench.load", task)
                found.setdefault((name, clients), []).append(last)
                progress(f"read, {name}, {clients}: p50 {last['p50']:.2f} ms, {last['per_second']:.0f}/s")
                progress(f"  computing per read: {_each(before, computed(standing), last)}")
    return found


def _middle(found: Sequence[Mapping[str, float]], what: str) -> float:
    return statistics.median([float(one[what]) for one in found])


def _pairs(with_it: Sequence[Mapping[str, Any]], without: Sequence[Mapping[str, Any]]) -> list[float]:
    """Of each round: the rate with what is measured as a share of that without."""
    return [one["per_second"] / other["per_second"] for one, other in zip(with_it, without, strict=True)]


def computed(standing: Standing) -> dict[str, float]:
    """Seconds of computing of every part so far, its children included."""
    found = {}
    for name, pid in standing.supervisor.pids().items():
        process = psutil.Process(pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        found[name] = sum(one.user + one.system for one in times)
    return found


def _each(before: dict[str, float], after: dict[str, float], done: dict[str, Any]) -> str:
    """Milliseconds of each part for one read, the largest first; that of the load generator is its own."""
    spent = {name: after[name] - before[name] for name in before} | {"load": done["computed"]}
    largest = sorted(spent, key=lambda name: -spent[name])[:6]
    return ", ".join(f"{name} {1_000 * spent[name] / done['count']:.2f} ms" for name in largest)


def _has_all(url: str, token: str) -> None:
    answer = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=10)
    if answer.status_code != 200 or len(answer.json()["items"]) != ITEMS:
        raise AssertionError(f"{answer.status_code}: not {ITEMS} items")


async def prepared(standing: Standing, story: Story) -> tuple[str, str]:
    """The path to read and the nurse's token."""
    return await family_with_log(story), await staff_token(standing.world, "demo-nurse")
