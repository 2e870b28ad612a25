"""The load generator, a process of its own. Task: {url, token, clients, seconds}, or {pairs: [urls], token, rounds}."""

import asyncio
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import uvloop

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)\r\n")


class Client(asyncio.Protocol):
    """One request at a time over one connection, for as long as `going` says. Only a status and a length are read:
    the load shares its cores with what is measured.
    """

    def __init__(self, request: bytes, taken: list[float], going: Callable[[], bool]) -> None:
        self._request, self._taken, self._going = request, taken, going
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def _ask(self) -> None:
        self._received, self._whole = bytearray(), 0
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Part of an answer; when it is whole and 200, ask again."""
        self._received += data
        if not self._whole and (end := self._received.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._received, 0, end + 2)
            if not self._received.startswith(b"HTTP/1.1 200 ") or length is None:
                self._fail(f"not an answer: {bytes(self._received[:200])!r}")
                return
            self._whole = end + 4 + int(length[1])
        if not self._whole or len(self._received) < self._whole:
            return
        self._taken.append(1_000 * (time.perf_counter() - self._began))
        if self._going():
            self._ask()
        else:
            self.done.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fine once it is done."""
        self._fail(f"the connection was lost: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(AssertionError(why))


async def flood(task: dict[str, Any]) -> dict[str, Any]:
    """So many clients, each with one request at a time; every answer must be 200. Milliseconds, sorted."""
    place = urlsplit(task["url"])
    target = f"{place.path}?{place.query}"
    request = f"GET {target} HTTP/1.1\r\nhost: {place.netloc}\r\nauthorization: Bearer {task['token']}\r\n\r\n".encode()
    until = time.perf_counter() + task["seconds"]
    taken: list[float] = []
    began, computed = time.perf_counter(), time.process_time()
    loop = asyncio.get_running_loop()

    async def client() -> None:
        _, one = await loop.create_connection(
            lambda: Client(request, taken, lambda: time.perf_counter() < until), place.hostname, place.port
        )
        await one.done

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
    if "pairs" not in task:
        print(json.dumps(await flood(task)))
        return
    headers = {"Authorization": f"Bearer {task['token']}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False) as session:
        print(json.dumps(await pairs(session, task)))


if __name__ == "__main__":
    uvloop.run(main())
