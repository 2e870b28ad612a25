"""The processes of a race: started, killed, paused, started again. Every one is ours and is known by its id."""

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local_stack import kafka, postgres, services
from local_stack.parts import parts, site
from local_stack.ports import Ports
from local_stack.processes import Child, Command, end_group, until
from local_stack.services import Site
from local_stack.supervisor import Part
from tests.bench.standing import folder
from tests.stack import ROOT

GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")
CONSENTS = ("consent-1", "consent-2")
_LINK_PORTS, _BROKER_PORTS = 7100, 7300
_ON_KAFKA = (*CONSENTS, *GATEWAYS, "logbook")


@dataclass(slots=True)
class Member:
    """One process and how it is started. `wanted`: it should run now; what ends all the same is started again."""

    name: str
    command: Command
    ready: Callable[[], bool]
    address: str = ""
    """Where it says whether it is ready, and what it waits for."""
    child: Child | None = None
    wanted: bool = False
    ended_by_itself: list[str] = field(default_factory=list)
    hands: threading.Lock = field(default_factory=threading.Lock)
    """One hand at a time starts or ends it: two processes of one name would fight for its port."""


class Fleet:
    """Every process by its name."""

    def __init__(self, site: Site, members: Mapping[str, Member], databases: Callable[[], None]) -> None:
        self.site, self.members, self._databases = site, members, databases

    def start_all(self) -> None:
        """Everything, in the order of its needs. The provisioner ends when topics and users are there."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.start, ("postgres", "kafka")))
        self._databases()
        self.start("provisioner")
        self.end("provisioner")
        ours = (*CONSENTS, "logbook", *GATEWAYS)
        with ThreadPoolExecutor(len(ours)) as pool:
            list(pool.map(self.start, ours))

    def run_as(self, name: str, *arguments: str) -> None:
        """From its next start on it is this module with these arguments, and the same settings."""
        member = self.members[name]
        member.command = replace(member.command, argv=[member.command.argv[0], "-m", *arguments])

    def start(self, name: str, seconds: float = 60.0) -> None:
        """Start it, and again should it end at once; AssertionError when it is not ready in time."""
        member = self.members[name]
        with member.hands:
            if member.child is None or member.child.code is not None:
                member.child = Child(member.command)
            member.wanted = True
        if not until(lambda: self._running(member) and member.ready(), seconds):
            raise AssertionError(f"{name} is not ready:\n" + "\n".join(member.child.last_lines()))

    def _running(self, member: Member) -> bool:
        """Up, or started again: PostgreSQL waits a moment for what a killed one left. Notes how it ended."""
        with member.hands:
            child = member.child
            if member.wanted and child is not None and child.code is not None:
                member.ended_by_itself.append(f"{child.code}: " + " | ".join(child.last_lines(2))[-600:])
                member.child = Child(member.command)
        return True

    def kill(self, name: str) -> None:
        """SIGKILL to it and all that it started; returns when it is gone."""
        member = self.members[name]
        with member.hands:
            member.wanted = False
            if member.child is not None:
                end_group(member.child.pid)
                member.child.kill()

    def end(self, name: str) -> None:
        """Ask it to end, as before an upgrade."""
        member = self.members[name]
        with member.hands:
            member.wanted = False
            if member.child is not None:
                member.child.stop(signal.SIGINT if name == "postgres" else signal.SIGTERM)

    def signal(self, name: str, number: signal.Signals) -> None:
        """A signal to it and all that it started."""
        child = self.members[name].child
        if child is not None and child.code is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, number)

    async def watch(self) -> None:
        """Start again what ended without being asked to."""
        while True:
            await asyncio.sleep(0.25)
            for member in self.members.values():
                if member.wanted and not member.hands.locked():
                    self._running(member)

    def stop(self) -> None:
        """End all."""
        first = [name for name in self.members if name not in ("postgres", "kafka")]
        for names in (first, ["postgres", "kafka"]):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(self.end, names))


class Links:
    """The proxies between the parts, in a process of their own."""

    def __init__(self, places: Mapping[str, tuple[int, int]]) -> None:
        self.places = places
        self._process: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()

    async def open(self) -> None:
        """Start listening."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.races.proxy", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            cwd=ROOT, start_new_session=True,
        )  # fmt: skip
        await self._say(dict(self.places))

    async def set(self, link: str, mode: str, seconds: float = 0.0) -> None:
        """From now on the link is so."""
        async with self._one:
            await self._say({"link": link, "mode": mode, "seconds": seconds})

    async def _say(self, told: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        if not await self._process.stdout.readline():
            raise AssertionError("the proxies ended")

    async def close(self) -> None:
        """End them."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()


@contextmanager
def fleet(issuers: Mapping[str, str], *, raced: bool = True) -> Iterator[tuple[Fleet, dict[str, tuple[int, int]]]]:
    """The members, not started, in a folder of their own, and the links that `Links` has to open for them.

    raced: False where they are measured: no proxies in between, and the database waits for its disk.
    """
    with folder() as state:
        ports = Ports()
        try:
            here = site(ROOT, state, ports)
            links = _places(ports, raced)
            usual = {part.name: part for part in parts(here, lambda: None)}
            made = Fleet(here, _members(here, usual, links, issuers, raced), usual["postgres"].after)
            try:
                yield made, links
            finally:
                made.stop()
        finally:
            ports.release()


def _places(ports: Ports, raced: bool) -> dict[str, tuple[int, int]]:
    """Each link's own port and where it leads. The broker has a listener for each client, advertised at its link.

    Where nothing is raced, a link is the very place that it leads to.
    """
    for place, name in enumerate((*CONSENTS[1:], GATEWAYS[2], f"{GATEWAYS[2]}-operations")):
        ports.find(name, 8150 + place)
    ports.given["consent-1"] = ports.given["consent"]
    wanted = [(f"{one}>{other}", ports.given[other]) for one in GATEWAYS for other in (*CONSENTS, "logbook")]
    wanted += [(f"{one}>postgres", ports.given["postgres"]) for one in (*CONSENTS, "logbook")]
    for place, name in enumerate(_ON_KAFKA):
        ports.find(f"kafka-{name}", _BROKER_PORTS + place)
        wanted.append((f"{name}>kafka", ports.given[f"kafka-{name}"]))
    found = {}
    for place, (name, target) in enumerate(wanted):
        if raced:
            ports.find(name, _LINK_PORTS + place)
        found[name] = (ports.given.get(name, target), target)
    return found


def _members(
    here: Site, usual: Mapping[str, Part], links: Mapping[str, tuple[int, int]], issuers: Mapping[str, str],
    raced: bool,
) -> dict[str, Member]:  # fmt: skip
    def at(link: str) -> str:
        return f"http://127.0.0.1:{links[link][0]}"

    def settings(name: str, database: str | None) -> dict[str, str]:
        told = {
            "SAMLOGG_KAFKA_BOOTSTRAP": f"127.0.0.1:{links[f'{name}>kafka'][0]}", "OTEL_TRACES_EXPORTER": "none",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }  # fmt: skip
        if database is not None:
            port = here.ports["postgres"]
            told["SAMLOGG_DATABASE_URL"] = here.database(database).replace(
                f":{port}/", f":{links[f'{name}>postgres'][0]}/"
            )
        return told

    def member(name: str, command: Command, told: Mapping[str, str], ready: str) -> Member:
        made = replace(command, environment={**command.environment, **told}, log=here.log(name))
        return Member(name, made, lambda: services.answers(f"{ready}/ready"), ready)

    found = {"postgres": _postgres(usual["postgres"], raced), "kafka": _kafka(here, usual["kafka"], links)}
    found["provisioner"] = Member("provisioner", usual["provisioner"].make(), usual["provisioner"].ready)
    for number, name in enumerate(CONSENTS, 1):
        url = here.url(name)
        told = {"SAMLOGG_PORT": str(here.ports[name]), "SAMLOGG_LEADER_URL": url, "SAMLOGG_REPLICA": str(number)}
        found[name] = member(name, services.service(here, "consent"), settings(name, "consent") | told, url)
    logbook = services.service(here, "logbook")
    found["logbook"] = member("logbook", logbook, settings("logbook", "logbook"), here.url("logbook"))
    for name in GATEWAYS:
        told = settings(name, None) | {
            "SAMLOGG_CONSENT_URLS": ",".join(at(f"{name}>{one}") for one in CONSENTS),
            "SAMLOGG_LOGBOOK_URL": at(f"{name}>logbook"),
            **{f"SAMLOGG_ISSUER_{kind.upper()}": url for kind, url in issuers.items()},
        }
        found[name] = member(name, services.gateway(here, name), told, here.url(f"{name}-operations"))
    return found


def _postgres(part: Part, raced: bool) -> Member:
    command = part.make()
    # in a race a process's end is what is tested, not the machine's
    argv = [*command.argv, "-c", "fsync=off"] if raced else command.argv
    return Member("postgres", replace(command, argv=argv), part.ready)


def _kafka(here: Site, part: Part, links: Mapping[str, tuple[int, int]]) -> Member:
    """The broker with one more listener for each client: its connections lead through that client's own link."""
    command = part.make()
    path = here.state / "kafka" / "server.properties"
    told = dict(line.split("=", 1) for line in path.read_text().splitlines())
    for place, name in enumerate(_ON_KAFKA):
        listener, (link, port) = f"RACE{place}", links[f"{name}>kafka"]
        told["listeners"] = f"{listener}://127.0.0.1:{port},{told['listeners']}"
        told["advertised.listeners"] += f",{listener}://127.0.0.1:{link}"
        told["listener.security.protocol.map"] += f",{listener}:SASL_PLAINTEXT"
        told[f"listener.name.{listener.lower()}.scram-sha-512.sasl.jaas.config"] = told[
            "listener.name.internal.scram-sha-512.sasl.jaas.config"
        ]
    told["num.network.threads"] = "1"
    path.write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    return Member("kafka", command, lambda: kafka.answers(here.ports["kafka"]))


def superuser(here: Site) -> str:
    """PostgreSQL's own address, past every link."""
    return postgres.url(postgres.SUPERUSER, here.vault.word("postgres"), here.ports["postgres"], "postgres")


def direct(here: Site, name: str) -> str:
    """A database's address for asyncpg, past every link."""
    return here.database(name, driver="postgresql")


def log_of(here: Site, name: str) -> Path:
    """Where a member's output is."""
    return here.log(name)
