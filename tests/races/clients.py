"""The clients of a race: professionals who read, listen and write, and people who take consent back and give it."""

import asyncio
import itertools
import json
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.model.handles import person_audience
from tests.races.judge import Act, Read
from tests.races.listeners import listen
from tests.races.wire import Gone, Line, Reply, now
from tests.races.world import CATEGORIES, HOLDER, READERS, Subject, World, answer_of

WRITTEN = 3
"""The first subjects: their logs are written to, and their consent stays."""
LISTENED = 4
"""The next ones: their logs are listened to, and written to so that there is something to hear."""
LISTENERS = 2
"""At each gateway."""
_MARKS = {category: f'"category":"{category}"'.encode() for category in CATEGORIES}
_READ_SECONDS, _ACT_SECONDS = 15.0, 12.0


class Pacer:
    """So many a second, all together; what was missed while nothing was answered is made up for."""

    def __init__(self, rate: float) -> None:
        self._step = 1.0 / rate
        self._next = now()

    async def turn(self) -> None:
        """Wait for the next turn."""
        self._next = max(self._next + self._step, now() - 60.0)
        left = self._next - now()
        await asyncio.sleep(max(0.0, left))


@dataclass
class Journal:
    """What the clients saw."""

    reads: list[Read] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    messages: list[Read] = field(default_factory=list)
    """Of live streams, each as if it had been asked for when its stream was."""
    streams: Counter[str] = field(default_factory=Counter)
    """Messages by the trace of their stream, with its beginning: each must have a record."""
    answered: list[str] = field(default_factory=list)
    """Traces of answers that must have a record."""
    written: dict[str, str] = field(default_factory=dict)
    """Text to the id that was told."""
    odd: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)


class Clients:
    """All of them, until `stopping`."""

    def __init__(self, world: World, seed: int, *, reads: float, withdrawals: float, pause: float = 0.6) -> None:
        self.world, self.journal, self.stopping = world, Journal(), False
        self._chance = random.Random(seed)
        self._reads, self._withdrawals, self._writes = Pacer(reads), Pacer(withdrawals), Pacer(2.0)
        self._stirs = Pacer(4.0)
        self._pause = pause
        self.prefix = secrets.token_hex(8)
        self._number = itertools.count(1)
        self._hot: dict[tuple[int, str], None] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._lines: list[Line] = []

    def start(self) -> None:
        """Begin: eight readers and two listeners for each gateway, one pair of hands for each subject and service, two
        writers, and two who write what is listened to."""
        for gateway in range(len(self.world.ports)):
            self._begin(*(self._reader(gateway) for _ in range(8)))
            self._begin(*(self._listener(gateway) for _ in range(LISTENERS)))
        for number in range(WRITTEN, len(self.world.subjects)):
            self._begin(*(self._steward(number, service) for service in READERS))
        self._begin(*(self._writer(n) for n in range(2)))
        self._begin(*(self._stirrer(n) for n in range(2)))

    def _begin(self, *work: "asyncio._CoroutineLike[None]") -> None:
        self._tasks += [asyncio.create_task(one) for one in work]

    def check(self) -> None:
        """Raise what a client stumbled over: that is a mistake of the race, not of the product."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def finish(self, seconds: float = 60.0) -> None:
        """Let everybody end what they have begun."""
        self.stopping = True
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for line in self._lines:
            line.close()
        self.check()

    # -- asking ------------------------------------------------------------------------------------------------------

    def _line(self, gateway: int) -> Line:
        line = Line(self.world.ports[gateway])
        self._lines.append(line)
        return line

    def _headers(self, token: str) -> tuple[str, dict[str, str]]:
        number = next(self._number)
        trace = f"{self.prefix}{number:016x}"
        return trace, {"Authorization": f"Bearer {token}", "traceparent": f"00-{trace}-{number:016x}-00"}

    async def _reader(self, gateway: int) -> None:
        line = self._line(gateway)
        known: dict[tuple[int, str], tuple[bytes, frozenset[str]]] = {}
        while await self._goes_on(self._reads):
            subject, service = self._aim()
            await self.read(line, subject, service, known)

    async def _goes_on(self, pacer: Pacer) -> bool:
        """Wait for the next turn; False when the race is over."""
        if not self.stopping:
            await pacer.turn()
        return not self.stopping

    def _aim(self) -> tuple[int, str]:
        """Mostly where consent is being taken back just now."""
        if self._hot and self._chance.random() < 0.7:
            return self._chance.choice(list(self._hot))
        return self._chance.randrange(WRITTEN, len(self.world.subjects)), self._chance.choice(READERS)

    async def read(
        self, line: Line, subject: int, service: str, known: dict[tuple[int, str], tuple[bytes, frozenset[str]]]
    ) -> Read | None:
        """One read by the service's staff; None when there was no answer. Now and then with the tag of the last one."""
        staff = self.world.staff[service]
        trace, headers = self._headers(staff.token)
        last = known.get((subject, service))
        if last is not None and self._chance.random() < 0.15:
            headers["If-None-Match"] = last[0].decode()
        path = f"/subjects/{self.world.subjects[subject].handles[staff.audience]}/items?limit=20"
        try:
            reply = await line.ask("GET", path, headers, seconds=_READ_SECONDS)
        except Gone:
            self.journal.statuses["read unanswered"] += 1
            await asyncio.sleep(0.1)
            return None
        self.journal.statuses[f"read {reply.status}"] += 1
        shown = frozenset(name for name, mark in _MARKS.items() if reply.status == 200 and mark in reply.body)
        if reply.status == 304 and last is not None:
            shown = last[1]
        if reply.status == 200 and reply.etag is not None:
            known[subject, service] = (reply.etag, shown)
        found = Read(trace, subject, service, reply.sent, reply.first, reply.status, shown)
        self._keep(found)
        return found

    def _keep(self, read: Read) -> None:
        if read.status in (200, 304):
            self.journal.answered.append(read.trace)
        if read.status in (200, 304, 404):
            self.journal.reads.append(read)

    async def _act(self, lines: Sequence[Line], token: str, method: str, path: str, body: object, key: str) -> Reply:
        """Asked of one gateway after another, under one key, until one answers what is no failure of its own."""
        raw = b"" if body is None else json.dumps(body).encode()
        for line in itertools.cycle(lines):
            trace, headers = self._headers(token)
            if method == "POST":
                headers["Idempotency-Key"] = key
            try:
                reply = await line.ask(method, path, headers, raw, seconds=_ACT_SECONDS)
            except Gone:
                self.journal.statuses[f"{method} unanswered"] += 1
            else:
                self.journal.statuses[
                    f"{method} {path.split('/')[3].partition('?')[0]} {reply.status}{_problem(reply)}"
                ] += 1
                if reply.status in (200, 201, 202) and "withdrawals" not in path:
                    self.journal.answered.append(trace)
                if reply.status < 500 and reply.status != 401:
                    return reply
            await asyncio.sleep(0.6)
        raise AssertionError("there is no gateway")

    # -- listening ---------------------------------------------------------------------------------------------------

    async def _listener(self, gateway: int) -> None:
        """One stream after another, about somebody whose consent comes and goes."""
        while not self.stopping:
            number = self._chance.choice(self._listened())
            service = self._chance.choice(READERS)
            staff = self.world.staff[service]
            trace, headers = self._headers(staff.token)
            sent = now()

            def told(at: float, said: Any, about: tuple[str, int, str, float] = (trace, number, service, sent)) -> None:
                if said.get("category"):
                    trace, number, service, sent = about
                    shown = frozenset({said["category"]})
                    self.journal.messages.append(Read(trace, number, service, sent, at, 200, shown))
                    self.journal.streams[trace] += 1

            path = f"/subjects/{self.world.subjects[number].handles[staff.audience]}/stream"
            heard = await listen(self.world.ports[gateway], path, headers, told, lambda: self.stopping)
            status = heard.status
            self.journal.statuses[f"stream {status or 'unanswered'}"] += 1
            if status == 200:
                self.journal.streams[trace] += 1
            else:
                await asyncio.sleep(0.5)

    def _listened(self) -> range:
        return range(WRITTEN, min(WRITTEN + LISTENED, len(self.world.subjects)))

    async def _stirrer(self, first: int) -> None:
        """Writes to the logs that are listened to; both categories in turn, so that each stays among the newest."""
        lines = [self._line(gateway) for gateway in range(len(self.world.ports))]
        staff = self.world.staff[HOLDER]
        places = self._listened()
        for number in itertools.count(first, 2):
            if not await self._goes_on(self._stirs):
                return
            handle = self.world.subjects[places[number % len(places)]].handles[staff.audience]
            body = {"category": CATEGORIES[(number // len(places)) % len(CATEGORIES)], "text": "Stirred."}
            self._chance.shuffle(lines)
            path = f"/subjects/{handle}/entries"
            reply = await self._act(lines, staff.token, "POST", path, body, secrets.token_hex(12))
            assert reply.status == 201, f"a write was answered {reply.status}: {reply.body!r}"

    # -- consent -----------------------------------------------------------------------------------------------------

    async def _steward(self, number: int, service: str) -> None:
        subject = self.world.subjects[number]
        lines = [self._line(gateway) for gateway in range(len(self.world.ports))]
        missing: set[str] = set()
        while await self._goes_on(self._withdrawals):
            self._chance.shuffle(lines)
            self._hot[number, service] = None
            chosen = self._chance.choice([None, None, *(set(CATEGORIES) - missing)])
            if not missing and self._chance.random() < 0.05:
                await asyncio.gather(
                    *(self._withdraw(lines[n::2], number, service, c) for n, c in enumerate(CATEGORIES))
                )
                missing |= set(CATEGORIES)
            else:
                await self._withdraw(lines, number, service, chosen)
                missing |= set(CATEGORIES) if chosen is None else {chosen}
            if self._chance.random() < 0.8:
                await asyncio.sleep(self._chance.uniform(0.0, self._pause))
            if self._chance.random() < 0.9 or len(missing) == len(CATEGORIES):
                self._chance.shuffle(lines)
                await self._grant(lines, subject, number, service, sorted(missing))
                missing.clear()
            self._hot.pop((number, service), None)

    async def _withdraw(self, lines: Sequence[Line], number: int, service: str, category: str | None) -> None:
        subject = self.world.subjects[number]
        act = Act("withdrawn", number, service, CATEGORIES if category is None else (category,), now())
        self.journal.acts.append(act)
        path, body = f"/subjects/{subject.own}/withdrawals", {"recipient": f"service:{service}", "category": category}
        reply = await self._act(lines, subject.token, "POST", path, body, secrets.token_hex(12))
        assert reply.status in (200, 202), f"a withdrawal was answered {reply.status}: {reply.body!r}"
        made = json.loads(reply.body)
        act.change = made["id"]
        while made["status"] != "confirmed":
            await asyncio.sleep(0.5)
            reply = await self._act(lines, subject.token, "GET", f"{path}/{act.change}", None, "")
            assert reply.status == 200, f"the state of a withdrawal: {reply.status}"
            made = json.loads(reply.body)
        await _read_all()
        act.told = now()

    async def _grant(
        self, lines: Sequence[Line], subject: Subject, number: int, service: str, categories: Sequence[str]
    ) -> None:
        act = Act("granted", number, service, tuple(categories), now())
        self.journal.acts.append(act)
        body = answer_of(subject, [(service, category, "read") for category in categories])
        path, key = f"/subjects/{subject.own}/requests/{subject.request}/answer", secrets.token_hex(12)
        while True:
            reply = await self._act(lines, subject.token, "POST", path, body, key)
            assert reply.status in (200, 202), f"an answer was answered {reply.status}: {reply.body!r}"
            made = json.loads(reply.body)
            if made["state"] == "in-force":
                break
            await asyncio.sleep(0.5)
        act.change, act.told = made.get("change"), now()
        if act.change is None:
            self.journal.odd.append(repr([act, [one for one in self.journal.acts if one.subject == number][-8:]]))

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _writer(self, first: int) -> None:
        lines = [self._line(gateway) for gateway in range(len(self.world.ports))]
        staff = self.world.staff[HOLDER]
        for number in itertools.count(first, 2):
            if not await self._goes_on(self._writes):
                return
            handle = self.world.subjects[number % WRITTEN].handles[staff.audience]
            text = f"race {self.prefix} {number}"
            body = {"category": CATEGORIES[number % len(CATEGORIES)], "text": text}
            self._chance.shuffle(lines)
            reply = await self._act(
                lines, staff.token, "POST", f"/subjects/{handle}/entries", body, secrets.token_hex(12)
            )
            assert reply.status == 201, f"a write was answered {reply.status}: {reply.body!r}"
            self.journal.written[text] = json.loads(reply.body)["id"]

    # -- afterwards --------------------------------------------------------------------------------------------------

    async def last_reads(self, seconds: float = 60.0) -> list[Read]:
        """Every cell once more, at every gateway, when all is quiet."""
        found: list[Read] = []

        async def at(gateway: int) -> None:
            line = self._line(gateway)
            for number in range(WRITTEN, len(self.world.subjects)):
                for service in READERS:
                    end = now() + seconds
                    read = await self.read(line, number, service, {})
                    while (read is None or read.status == 503) and now() < end:
                        await asyncio.sleep(0.2)
                        read = await self.read(line, number, service, {})
                    if read is not None:
                        found.append(read)
            line.close()

        await asyncio.gather(*(at(gateway) for gateway in range(len(self.world.ports))))
        return found

    async def last_texts(self) -> Counter[str]:
        """How often each written text is shown to the subjects themselves."""
        found: Counter[str] = Counter()
        line = self._line(0)
        for subject in self.world.subjects[:WRITTEN]:
            after: str | None = None
            while True:
                own = subject.handles[person_audience(subject.id)]
                path = f"/subjects/{own}/items?limit=50" + (f"&after={after}" if after else "")
                reply = await self._act([line], subject.token, "GET", path, None, "")
                page = json.loads(reply.body)
                found.update(one["text"] for one in page["items"] if (one.get("text") or "").startswith("race "))
                after = page["next"]
                if after is None:
                    break
        line.close()
        return found


def _what(path: str) -> str:
    """The third part of /subjects/<handle>/withdrawals/…"""
    return path.partition("?")[0].split("/")[3]


def _problem(reply: Reply) -> str:
    """What it was that could not be answered."""
    return f" {json.loads(reply.body)['type'].rpartition(':')[2]}" if reply.status == 503 and reply.body else ""


async def _read_all() -> None:
    """Let every socket that is readable in this turn of the loop be read, and what it brought be seen."""
    for _ in range(3):
        await asyncio.sleep(0)
