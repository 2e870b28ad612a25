"""Fails closed, and comes back: one part is away, and what clients see is timed. Real processes, one clock."""

import asyncio
import json
import math
import random
import secrets
import signal
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.races import world
from tests.races.fleet import CONSENTS, GATEWAYS, Fleet, direct, fleet
from tests.races.listeners import Listened, listen
from tests.races.race import directory_first
from tests.races.wire import Gone, Line, Reply, now
from tests.races.world import CATEGORIES, HOLDER, READERS, Issuers, Subject, World

LEASE_SECONDS = 5.0
STREAMS = 6
"""Live streams at each gateway."""
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: at which gateway, when it was asked for, when its first byte came, its status (0: none), and the
    type of its problem if it was one."""

    gateway: int
    sent: float
    first: float
    status: int
    problem: str = ""


@dataclass
class Stand:
    """A stack that is up, with subjects who have agreed and have a log, and somebody who reads all the time."""

    fleet: Fleet
    issuers: Issuers
    world: World
    tell: Tell
    seen: list[Seen] = field(default_factory=list)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @asynccontextmanager
    async def readers(self, rate: float) -> AsyncIterator[None]:
        """So many reads a second at each gateway, by the holder's staff, about the first subject."""
        self.seen.clear()
        self._tasks = [asyncio.create_task(self._read(n, 4 / rate)) for n in range(len(GATEWAYS)) for _ in range(4)]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, gateway: int, step: float) -> None:
        line = Line(self.world.ports[gateway])
        await asyncio.sleep(random.random() * step)
        while True:
            began = now()
            try:
                reply = await self.read(line, HOLDER, self.world.subjects[0], seconds=10.0)
                problem = "" if reply.status == 200 else str(json.loads(reply.body or b"{}").get("type"))
                self.seen.append(Seen(gateway, reply.sent, reply.first, reply.status, problem))
            except Gone:
                self.seen.append(Seen(gateway, began, now(), 0))
            await asyncio.sleep(max(0.001, began + step - now()))

    async def read(self, line: Line, service: str, subject: Subject, *, seconds: float = 5.0) -> Reply:
        """One read by the service's staff."""
        staff = self.world.staff[service]
        path = f"/subjects/{subject.handles[staff.audience]}/items?limit=20"
        return await line.ask("GET", path, {"Authorization": f"Bearer {staff.token}"}, seconds=seconds)

    async def withdraw(self, line: Line, subject: Subject, service: str, category: str | None = None) -> dict[str, Any]:
        """The answer to a withdrawal. A replica that is paused answers 503: asked again under the same key."""
        path, body = f"/subjects/{subject.own}/withdrawals", {"recipient": f"service:{service}", "category": category}
        headers = {"Authorization": f"Bearer {subject.token}", "Idempotency-Key": secrets.token_hex(12)}
        for _ in range(5):
            reply = await line.ask("POST", path, headers, json.dumps(body).encode(), seconds=15.0)
            if reply.status != 503:
                break
        assert reply.status in (200, 202), f"a withdrawal was answered {reply.status}: {reply.body[:200]!r}"
        made: dict[str, Any] = json.loads(reply.body)
        return made

    async def confirmed(self, line: Line, subject: Subject, change: str, seconds: float) -> float:
        """When the withdrawal was told to be confirmed; AssertionError if not within so long."""
        headers = {"Authorization": f"Bearer {subject.token}"}
        end = now() + seconds
        while now() < end:
            try:
                reply = await line.ask("GET", f"/subjects/{subject.own}/withdrawals/{change}", headers, seconds=2.0)
            except Gone:
                continue
            if reply.status == 200 and json.loads(reply.body)["status"] == "confirmed":
                return reply.first
            await asyncio.sleep(0.02)
        raise AssertionError(f"not confirmed within {seconds} s")

    async def reads_everywhere(self, seconds: float = 30.0) -> dict[int, float]:
        """When each gateway gave its next answer to a read that was sent from now on."""
        began, end = now(), now() + seconds
        while now() < end:
            found = {
                n: min((one.first for one in self.seen if one.gateway == n and one.sent >= began and one.status == 200),
                       default=0.0)
                for n in range(len(GATEWAYS))
            }  # fmt: skip
            if all(found.values()):
                return found
            await asyncio.sleep(0.02)
        raise AssertionError(f"not every gateway answers again within {seconds} s")

    async def lease_ends(self) -> list[float]:
        """When each gateway's lease ends by its own account, to within the time that asking takes (a few ms)."""
        return list(await asyncio.gather(*(asyncio.to_thread(self._lease_end, name) for name in GATEWAYS)))

    def _lease_end(self, name: str) -> float:
        base = self.fleet.site.url(f"{name}-operations")
        asked = now()
        try:
            urllib.request.urlopen(f"{base}/ready", timeout=2).read()
        except urllib.error.HTTPError as error:
            error.read()
        page = urllib.request.urlopen(f"{base}/metrics", timeout=2).read().decode()
        [left] = [line.split()[1] for line in page.splitlines() if line.startswith("samlogg_lease_seconds_left ")]
        return asked + float(left)

    async def leader(self) -> str:
        """Who leads."""
        while not (found := await self.leading()):
            await asyncio.sleep(0.1)
        return found[0]

    async def leading(self) -> list[str]:
        """Every replica that says it leads."""
        found = []
        for name in CONSENTS:
            try:
                page = await asyncio.to_thread(
                    lambda url: urllib.request.urlopen(url, timeout=1).read(),
                    f"{self.fleet.site.url(name)}/inner/leader",
                )
            except OSError:
                continue
            if json.loads(page)["leads"]:
                found.append(name)
        return found


@asynccontextmanager
async def stand(subjects: int, tell: Tell, seed: int = 1) -> AsyncIterator[Stand]:
    """Two replicas of consent, three gateways, logbook, broker, database, as they are run; nothing is left running."""
    issuers = Issuers()
    await issuers.open()
    try:
        with fleet(issuers.urls, raced=False) as (members, _):
            starting = asyncio.create_task(asyncio.to_thread(members.start_all))
            await directory_first(members, issuers, starting)
            people = await world.settle(members.site, issuers, subjects, seed)
            tell("the stack is up")
            watching = asyncio.create_task(members.watch())
            try:
                yield Stand(members, issuers, people, tell)
            finally:
                watching.cancel()
    finally:
        await issuers.close()


def _signal(stand: Stand, names: tuple[str, ...], number: signal.Signals) -> None:
    for name in names:
        stand.fleet.signal(name, number)


async def consent_is_paused(stand: Stand) -> dict[str, float]:
    """Every replica of consent is stopped: reads go on until each lease's end, then nothing; then they come back.

    late_ms: the latest answer after its gateway's lease had ended. refused: share of requests sent 100 ms after that
    which were refused. answered: share of those sent before it that were answered. back_s: from SIGCONT to the last
    gateway's first answer. stream_late_ms: the latest end of a live stream after its gateway's lease.
    """
    streams = [asyncio.create_task(_listen(stand, gateway)) for gateway in range(len(GATEWAYS)) for _ in range(STREAMS)]
    async with stand.readers(60.0):
        await asyncio.sleep(1.5)
        _signal(stand, CONSENTS, signal.SIGSTOP)
        stopped = now()
        try:
            await asyncio.sleep(1.6)  # what was asked before has been answered or given up
            ends = await stand.lease_ends()
            await asyncio.sleep(max(ends) - now() + 2.5)
        finally:
            _signal(stand, CONSENTS, signal.SIGCONT)
        continued = now()
        back = await stand.reads_everywhere()
    closed = [(gateway, heard.ended) for gateway, heard in await asyncio.gather(*streams)]
    late = [1_000 * (at - ends[gateway]) if at is not None else math.inf for gateway, at in closed]
    assert min(late) > -100, "a stream ended long before the lease did"
    during = [one for one in stand.seen if stopped <= one.sent < continued - 0.2]
    answered = [one for one in during if one.status == 200]
    before = [one for one in during if one.sent < ends[one.gateway] - 0.1]
    after = [one for one in during if one.sent > ends[one.gateway] + 0.1]
    assert len(before) > 50 and len(after) > 50, (len(before), len(after))
    return {
        "late_ms": 1_000 * max(0.0, *(one.first - ends[one.gateway] for one in answered)),
        "refused": sum(one.status == 503 for one in after) / len(after),
        "answered": sum(one.status == 200 for one in before) / len(before),
        "lease_s": min(ends) - stopped, "back_s": max(back.values()) - continued, "stream_late_ms": max(late),
    }  # fmt: skip


async def _listen(stand: Stand, gateway: int) -> tuple[int, Listened]:
    """A live stream about the first subject, by the holder's staff."""
    staff = stand.world.staff[HOLDER]
    path = f"/subjects/{stand.world.subjects[0].handles[staff.audience]}/stream"
    headers = {"Authorization": f"Bearer {staff.token}"}
    heard = await listen(stand.world.ports[gateway], path, headers, lambda at, said: None, lambda: False)
    assert heard.status == 200, heard
    return gateway, heard


async def consent_is_killed(stand: Stand) -> dict[str, float]:
    """Every replica is killed and started again. back_s: from the first one ready to the last gateway's answer."""
    async with stand.readers(60.0):
        await asyncio.sleep(1.0)
        await asyncio.gather(*(asyncio.to_thread(stand.fleet.kill, name) for name in CONSENTS))
        await asyncio.sleep(LEASE_SECONDS)
        silent = [one for one in stand.seen if one.sent > now() - 0.5]
        ready = await asyncio.gather(*(asyncio.create_task(_started(stand, name)) for name in CONSENTS))
        back = await stand.reads_everywhere()
    assert silent and all(one.status == 503 for one in silent)
    return {"back_s": max(back.values()) - min(ready)}


async def _started(stand: Stand, name: str) -> float:
    await asyncio.to_thread(stand.fleet.start, name)
    return now()


async def the_leader_is_paused(stand: Stand, seconds: float) -> dict[str, float]:
    """The leader is stopped for so long: another takes over, and what the first does when it wakes harms nothing.

    told_s: from the stop to the confirmation of a withdrawal asked for right after it. stale: answers under that grant
    to reads sent after the confirmation. leaders: how many lead once it is awake. refused: share of the reads that were
    not answered in the seconds after it woke.
    """
    subject, line, reader = stand.world.subjects[1], Line(stand.world.ports[1]), Line(stand.world.ports[2])
    async with stand.readers(20.0):
        first = await stand.leader()
        _signal(stand, (first,), signal.SIGSTOP)
        stopped = now()
        stale = 0
        try:
            made = await stand.withdraw(line, subject, READERS[0])
            told = now() if made["status"] == "confirmed" else await stand.confirmed(line, subject, made["id"], 30.0)
            while now() < stopped + seconds:
                reply = await stand.read(reader, READERS[0], subject)
                stale += reply.status == 200
                await asyncio.sleep(0.05)
        finally:
            _signal(stand, (first,), signal.SIGCONT)
        woke = now()
        for _ in range(60):
            reply = await stand.read(reader, READERS[0], subject)
            stale += reply.status == 200
            await asyncio.sleep(0.05)
        leaders = await stand.leading()
    after = [one for one in stand.seen if woke <= one.sent < woke + 2.5]
    assert after and leaders != [first]
    return {
        "told_s": told - stopped, "stale": float(stale), "leaders": float(len(leaders)),
        "refused": sum(one.status != 200 for one in after) / len(after),
    }  # fmt: skip


async def a_gateway_is_paused(stand: Stand) -> dict[str, float]:
    """One gateway is stopped for longer than a lease: a withdrawal at another is confirmed all the same, in told_s."""
    subject, line = stand.world.subjects[2], Line(stand.world.ports[0])
    _signal(stand, (GATEWAYS[2],), signal.SIGSTOP)
    try:
        began = now()
        made = await stand.withdraw(line, subject, READERS[0])
        told = now() if made["status"] == "confirmed" else await stand.confirmed(line, subject, made["id"], 20.0)
    finally:
        _signal(stand, (GATEWAYS[2],), signal.SIGCONT)
    return {"told_s": told - began}


async def readers_are_slow(stand: Stand, readers: int) -> dict[str, float]:
    """So many clients of one gateway ask for a large answer and take none of it for ten seconds.

    refused: reads of others, there and elsewhere, that were not answered. told_ms: the longest of some withdrawals
    meanwhile.
    """
    large, subject, line = stand.world.subjects[3], stand.world.subjects[2], Line(stand.world.ports[1])
    await _write_much(stand, large, 110)
    told = []
    async with stand.readers(20.0):
        tasks = [asyncio.create_task(_ask_and_take_nothing(stand, large, 10.0)) for _ in range(readers)]
        began = now()
        for service, category in [(one, two) for one in READERS[1:] for two in CATEGORIES]:
            asked = now()
            made = await stand.withdraw(line, subject, service, category)
            assert made["status"] == "confirmed"
            told.append(1_000 * (now() - asked))
        await asyncio.sleep(max(0.0, began + 10.0 - now()))
        await asyncio.gather(*tasks)
    during = [one for one in stand.seen if one.sent >= began]
    stand.tell(f"reads of others that were not answered: {_why(during)}")
    return {"refused": float(sum(one.status != 200 for one in during)), "told_ms": max(told)}


def _why(seen: Sequence[Seen]) -> dict[str, int]:
    """How many were refused, by gateway and problem."""
    return dict(Counter(f"{GATEWAYS[one.gateway]} {one.status} {one.problem}" for one in seen if one.status != 200))


async def _write_much(stand: Stand, subject: Subject, entries: int) -> None:
    staff, line = stand.world.staff[HOLDER], Line(stand.world.ports[0])
    path = f"/subjects/{subject.handles[staff.audience]}/entries"
    headers = {"Authorization": f"Bearer {staff.token}"}
    for number in range(entries):
        body = json.dumps({"category": CATEGORIES[number % 2], "text": "slow " * 780}).encode()
        reply = await line.ask("POST", path, headers, body)
        assert reply.status == 201, reply.body[:200]


async def _ask_and_take_nothing(stand: Stand, subject: Subject, seconds: float) -> None:
    """Ask the first gateway for all of it, and read nothing."""
    staff = stand.world.staff[HOLDER]
    target = f"/subjects/{subject.handles[staff.audience]}/items?limit=100"
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, ("127.0.0.1", stand.world.ports[0]))
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {staff.token}\r\n\r\n"
        await loop.sock_sendall(sock, head.encode())
        await asyncio.sleep(seconds)
    finally:
        sock.close()


async def the_broker_is_away(stand: Stand, seconds: float) -> dict[str, float]:
    """The broker is killed for so long: withdrawals are taken as pending, nothing is answered, and all catches up.

    pending: withdrawals that were taken while it was away, none of them told as confirmed. answered: reads answered
    later than a second after it went. told_s: from its being ready to the last confirmation. back_s: to the last
    gateway's first answer.
    """
    subject = stand.world.subjects[3]
    asked = [(service, category) for service in READERS[:2] for category in CATEGORIES]
    async with stand.readers(10.0):
        await asyncio.to_thread(stand.fleet.kill, "kafka")
        gone = now()
        taken = []
        for place, (service, category) in enumerate(asked):
            line = Line(stand.world.ports[place % 3])
            made = await stand.withdraw(line, subject, service, category)
            assert made["status"] == "pending", "a withdrawal was confirmed without a broker"
            taken.append((line, made["id"]))
        await asyncio.sleep(max(0.0, gone + seconds - now()))
        for line, change in taken:
            headers = {"Authorization": f"Bearer {subject.token}"}
            reply = await line.ask("GET", f"/subjects/{subject.own}/withdrawals/{change}", headers)
            assert json.loads(reply.body)["status"] == "pending"
        answered = sum(one.status == 200 for one in stand.seen if one.sent > gone + 1.0)
        ready = await _started(stand, "kafka")
        told = [await stand.confirmed(line, subject, change, 60.0) for line, change in taken]
        back = await stand.reads_everywhere(60.0)
    return {
        "pending": float(len(taken)), "answered": float(answered), "told_s": max(told) - ready,
        "back_s": max(back.values()) - ready,
    }  # fmt: skip


async def ten_thousand_change_at_once(stand: Stand, subjects: int) -> dict[str, float]:
    """The directory's categories change, so that what the law yields changes for every subject.

    refused: reads of somebody not concerned that were not answered while the change went through. all_s: until the last
    change was confirmed.
    """
    conn = await asyncpg.connect(direct(stand.fleet.site, "consent"))
    try:
        await _more_subjects(conn, subjects)
        async with stand.readers(30.0):
            await asyncio.sleep(1.0)
            began = now()
            more = {"special": False, "name": {"nb": "new"}}
            await world.publish(stand.fleet.site, [("category", f"new-{secrets.token_hex(3)}", more)])
            while await conn.fetchval("SELECT count(*) FROM change WHERE kind = 'law'") < subjects:
                await asyncio.sleep(0.1)
            while await conn.fetchval("SELECT count(*) FROM change WHERE state = 'pending'"):
                await asyncio.sleep(0.2)
            ended = now()
            await asyncio.sleep(1.0)
    finally:
        await conn.close()
    during = [one for one in stand.seen if began <= one.sent <= ended]
    stand.tell(f"reads of others that were not answered: {_why(during)}")
    refused = sum(one.status != 200 for one in during)
    return {"refused": float(refused), "reads": float(len(during)), "all_s": ended - began}


async def _more_subjects(conn: "asyncpg.Connection[asyncpg.Record]", subjects: int) -> None:
    """Copies of a subject, without guardians, numbers or grants: what the law yields for them is published too."""
    await conn.execute(
        "WITH made AS (INSERT INTO person (id, names, birth_date, birth_source, language, created_at)"
        " SELECT gen_random_uuid(), names, birth_date, birth_source, language, created_at"
        " FROM (SELECT person.* FROM person JOIN subject USING (id) LIMIT 1) one, generate_series(1, $1) RETURNING id)"
        " INSERT INTO subject (id, created_at) SELECT id, now() FROM made",
        subjects,
    )


async def under_load(stand: Stand, rate: float, withdrawals: int, *, before: int = 30) -> list[float]:
    """Milliseconds from each withdrawal to its confirmation while so many reads a second run.

    before: so many go before those that count: a new connection and a new program are slower for a while.
    """
    taken: list[float] = []
    line = Line(stand.world.ports[0])
    async with stand.readers(rate / len(GATEWAYS)):
        await asyncio.sleep(1.0)
        for subject in stand.world.subjects[4:]:
            for service in READERS:
                for category in CATEGORIES:
                    if len(taken) == before + withdrawals:
                        return taken[before:]
                    began = time.perf_counter()
                    made = await stand.withdraw(line, subject, service, category)
                    taken.append(1_000 * (time.perf_counter() - began))
                    assert made["status"] == "confirmed"
    raise AssertionError(f"only {len(taken)} withdrawals could be made")
