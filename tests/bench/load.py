"""The load generator, a process of its own. Task: {url, token, clients, seconds}, or {pairs: [urls], token, rounds}."""

import asyncio
import hashlib
import json
import sys
import time
from typing import Any

import aiohttp
import uvloop


async def flood(session: aiohttp.ClientSession, task: dict[str, Any]) -> dict[str, Any]:
    """So many clients, each with one request at a time; every answer must be 200. Milliseconds, sorted."""
    until = time.perf_counter() + task["seconds"]
    taken: list[float] = []

    async def client() -> None:
        while (began := time.perf_counter()) < until:
            async with session.get(task["url"]) as answer:
                body = await answer.read()
            if answer.status != 200:
                raise AssertionError(f"{answer.status}: {body[:200]!r}")
            taken.append(1_000 * (time.perf_counter() - began))

    began, computed = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(task["clients"])))
    spent = time.perf_counter() - began
    taken.sort()
    return {
        "p50": taken[len(taken) // 2], "p99": taken[len(taken) * 99 // 100], "per_second": len(taken) / spent,
        "count": len(taken), "computed": time.process_time() - computed,
    }  # fmt: skip


async def pairs(session: aiohttp.ClientSession, task: dict[str, Any]) -> dict[str, Any]:
    """Both addresses in turn, the first one changing: milliseconds of each, and how many kinds of answers came."""
    taken: list[list[float]] = [[], []]
    seen: list[set[str]] = [set(), set()]
    for round_ in range(task["rounds"]):
        for which in ((0, 1), (1, 0))[round_ % 2]:
            began = time.perf_counter()
            async with session.get(task["pairs"][which]) as answer:
                body = await answer.read()
            taken[which].append(1_000 * (time.perf_counter() - began))
            headers = sorted((name.lower(), value) for name, value in answer.headers.items() if name.lower() != "date")
            seen[which].add(hashlib.sha256(repr((answer.status, headers, body)).encode()).hexdigest())
            if answer.status != 404:
                raise AssertionError(f"{answer.status}: {body[:200]!r}")
    return {"taken": taken, "seen": [sorted(each) for each in seen]}


async def main() -> None:
    """Do the task."""
    task = json.load(sys.stdin)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {task['token']}"}
    async with aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False) as session:
        print(json.dumps(await (pairs if "pairs" in task else flood)(session, task)))


if __name__ == "__main__":
    uvloop.run(main())
