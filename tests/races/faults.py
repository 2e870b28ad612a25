"""What goes wrong in a race: each fault by its kind, when it began and when it was over, drawn from one seed."""

import asyncio
import json
import random
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from local_stack.processes import until
from tests.races.fleet import CONSENTS, GATEWAYS, Fleet, Links
from tests.races.wire import now

_BACK = 45.0


@dataclass(slots=True)
class Fault:
    """One fault. `names`: what it is done to. `over` None: still going on."""

    kind: str
    names: tuple[str, ...]
    began: float
    over: float | None = None


@dataclass
class Faults:
    """The hands that do it, and the list of what was done."""

    fleet: Fleet
    links: Links
    chance: random.Random
    done: list[Fault] = field(default_factory=list)
    log: Callable[[str], None] = lambda _: None
    stopping: bool = False
    busy: set[str] = field(default_factory=set)
    """Processes that a fault is about: another one leaves them alone meanwhile."""

    @asynccontextmanager
    async def happening(self, kind: str, *names: str) -> AsyncIterator[None]:
        """From here until the end of the block."""
        fault = Fault(kind, names, now())
        self.done.append(fault)
        self.busy |= set(names)
        self.log(f"{kind} {' '.join(names)}")
        try:
            yield
        finally:
            fault.over = now()
            self.busy -= set(names)

    async def pause(self, low: float, high: float) -> None:
        """Some time in between."""
        await asyncio.sleep(self.chance.uniform(low, high))

    def mostly_short(self, longest: float) -> float:
        """Seconds: half of them below an eighth of the longest, for a long one keeps every confirmation waiting."""
        return 0.2 + (longest - 0.2) * float(self.chance.random() ** 3)

    def free(self, *names: str) -> str | None:
        """One of these that no fault is about now."""
        left = [name for name in names if name not in self.busy]
        return self.chance.choice(left) if left else None

    # -- processes ---------------------------------------------------------------------------------------------------

    async def leader(self) -> str:
        """The replica of `consent` that leads now; any of them when none does."""
        for name in CONSENTS:
            if await asyncio.to_thread(_leads, f"{self.fleet.site.url(name)}/inner/leader"):
                return name
        return self.chance.choice(CONSENTS)

    async def kill(self, name: str) -> None:
        """SIGKILL, a moment, and started again; over when it is ready."""
        async with self.happening(f"kill-{_role(name)}", name):
            await asyncio.to_thread(self.fleet.kill, name)
            await self.pause(0.0, 0.5)
            await self._back(name)

    async def restart(self, name: str) -> None:
        """SIGTERM and started again, as before an upgrade."""
        async with self.happening(f"restart-{_role(name)}", name):
            await asyncio.to_thread(self.fleet.end, name)
            await self._back(name)

    async def _back(self, name: str) -> None:
        try:
            await asyncio.to_thread(self.fleet.start, name, _BACK)
        except AssertionError as error:  # another fault may keep it from being ready
            self.log(str(error).splitlines()[0])

    async def stop(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        async with self.happening(f"stop-{_role(name)}", name):
            self.fleet.signal(name, signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.fleet.signal(name, signal.SIGCONT)

    # -- links -------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def link(self, name: str, mode: str, seconds: float = 0.0) -> AsyncIterator[None]:
        """The link in that mode while the block runs."""
        async with self.happening(f"{mode}-{_ends(name)}", name):
            await self.links.set(name, mode, seconds)
            try:
                yield
            finally:
                await self.links.set(name, "pass")

    async def trouble_on(self, name: str, mode: str) -> None:
        """The link in that mode for a while."""
        delay, longest = {"slow": (self.chance.uniform(0.02, 0.4), 5.0), "deaf": (0.0, 7.0)}.get(mode, (0.0, 4.0))
        async with self.link(name, mode, delay):
            await asyncio.sleep(self.mostly_short(longest))


def _leads(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=0.5) as answer:
            return bool(json.load(answer)["leads"])
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _waits_for(address: str) -> str:
    try:
        with urllib.request.urlopen(f"{address}/ready", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except (OSError, ValueError) as error:
        return f"no answer: {type(error).__name__}"


def _role(name: str) -> str:
    return {"kafka": "broker", "postgres": "database"}.get(name, name.split("-")[0])


def _ends(link: str) -> str:
    one, other = link.split(">")
    return f"{_role(one)}-{_role(other)}"


Lane = Callable[[Faults], Awaitable[None]]


async def processes(faults: Faults) -> None:
    """One process after another: killed, paused, restarted."""
    acts = {
        "kill-gateway": 4.0, "stop-gateway": 6.0, "restart-gateway": 1.0, "kill-leader": 2.0, "stop-leader": 3.0,
        "kill-consent": 1.0, "restart-consent": 1.0, "kill-logbook": 1.0, "stop-logbook": 1.5, "kill-kafka": 0.7,
        "stop-kafka": 1.5, "kill-postgres": 1.0, "stop-postgres": 1.5,
    }  # fmt: skip
    while not faults.stopping:
        what, _, whom = faults.chance.choices(list(acts), list(acts.values()))[0].partition("-")
        await _act(faults, what, whom)
        await faults.pause(2.0, 6.0)


async def _act(faults: Faults, what: str, whom: str) -> None:
    if whom == "leader":
        name: str | None = await faults.leader()
    else:
        name = faults.free(*{"gateway": GATEWAYS, "consent": CONSENTS}.get(whom, (whom,)))
    if name is None or name in faults.busy:
        return
    longest = {"gateway": 7.0, "leader": 9.0}.get(whom, 3.0)
    if what == "stop":
        await faults.stop(name, faults.mostly_short(longest))
    elif what == "kill":
        await faults.kill(name)
    else:
        await faults.restart(name)


async def networks(faults: Faults) -> None:
    """One link after another: cut, silent, slow, or late with the news."""
    modes: Mapping[str, tuple[str, ...]] = {
        "consent": ("cut", "hang", "slow"), "logbook": ("cut", "hang", "slow", "slow"),
        "postgres": ("cut", "hang", "slow"), "kafka": ("cut", "hang", "slow", "deaf", "deaf"),
    }  # fmt: skip
    while not faults.stopping:
        name = faults.chance.choice(list(faults.links.places))
        kind = name.split(">")[1].split("-")[0]
        if name not in faults.busy:
            await faults.trouble_on(name, faults.chance.choice(modes[kind]))
        await faults.pause(2.0, 6.0)


def kills_of(*names: str) -> Lane:
    """These are killed, one after another, each as soon as the last one is back."""

    async def lane(faults: Faults) -> None:
        while not faults.stopping:
            await faults.kill(faults.chance.choice(names))
            await faults.pause(0.1, 1.0)

    return lane


async def ready(faults: Faults, seconds: float = 60.0) -> dict[str, str]:
    """Everything up and ready again after the last fault; who is not, and what it says it waits for."""
    late = {}
    for name, member in faults.fleet.members.items():
        if name == "provisioner":
            continue
        if not member.wanted:
            await asyncio.to_thread(faults.fleet.start, name, seconds)
        elif not await asyncio.to_thread(until, member.ready, seconds):
            late[name] = await asyncio.to_thread(_waits_for, member.address)
    return late
