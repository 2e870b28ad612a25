"""A door for tests: real routing, decision, lease, cut and transport; scripted services and records."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvicorn
from multidict import CIMultiDictProxy
from uvicorn.server import ServerState

from chassis.clock import lease_now
from chassis.permit import Actor
from chassis.problems import Problem
from gateway.api.door import HttpDoor
from gateway.api.streams import ROUTE as STREAM
from gateway.api.streams import Streaming
from gateway.api.wire import DoorProtocol
from gateway.handlers.door import Door
from gateway.handlers.forward import Given, Inner
from gateway.handlers.gathering import NotRecorded
from gateway.handlers.records import Look
from gateway.handlers.refusals import Refusals
from gateway.handlers.streams import Streams
from gateway.model.decide import decide
from gateway.model.facts import Facts
from gateway.model.handles import Handles, agency_audience, person_audience
from gateway.model.lease import Lease
from gateway.model.routing import Table, routes_of

CHILD = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
STRANGER = "99999999-9999-4999-8999-999999999999"
GUARDIAN = "33333333-3333-4333-8333-333333333333"

TEACHER = Actor("staff", "staff-1", ("school-1",), "professional", "school", "high")
POLICE = Actor("machine", "attachment-1", ("police-1",), None, "police", "high")
YOUTH = Actor("person", CHILD, assurance="high")


def entry(name: str, method: str, path: str, **more: Any) -> dict[str, Any]:
    """One entry of a route table, as chassis.routes writes it."""
    service = name.split(".")[0]
    subject = "path" if "{subject}" in path else "none"
    base = {
        "id": name,
        "service": service,
        "method": method,
        "path": path,
        "subject": subject,
        "action": "read",
        "basis": "grant",
        "category": "any",
        "lease": "required",
        "me": False,
        "record": True,
    }
    return {**base, **more}


ROUTES = [
    entry("logbook.items", "GET", "/subjects/{subject}/items", me=True),
    entry("logbook.item", "GET", "/subjects/{subject}/items/{item}", category="item"),
    entry("logbook.add-entry", "POST", "/subjects/{subject}/entries", action="contribute", category="body:category"),
    entry("logbook.change", "PUT", "/subjects/{subject}/items/{item}", action="contribute", category="item"),
    STREAM,
    entry("consent.looks", "GET", "/subjects/{subject}/looks", category="fixed:looks"),
    entry(
        "consent.withdraw",
        "POST",
        "/subjects/{subject}/withdrawals",
        action="none",
        basis="self",
        lease="none",
        record=False,
    ),
    entry("consent.ask", "POST", "/requests", action="none", basis="role:professional", record=False),
    entry("notify.contact", "GET", "/me/contact", action="none", basis="self", record=False),
    entry("directory.services", "GET", "/services", action="none", basis="public", record=False),
]


def grant(
    name: str, recipient: str, categories: list[str], *, actions: tuple[str, ...] = ("read",), **more: Any
) -> Any:
    """One grant of a subject's state."""
    return {
        "id": name,
        "kind": "consent",
        "recipient": recipient,
        "categories": categories,
        "actions": list(actions),
        "purpose": "follow-up",
        "basis": "gdpr-6-1-a+9-2-a",
        "from": 0,
        "until": None,
        "back": None,
        "except": [],
        **more,
    }


class World:
    """The facts, and what happened to them."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.lease = Lease("test")
        self.lease.granted(lease_now(), 3600)
        self._version = 0
        self.on_change: Callable[[str, str], None] = lambda *_: None
        for category in ("school", "health"):
            self._entity("category", category)
        for agency in ("school", "police"):
            self._entity("agency", agency)
            self._entity("service", f"{agency}-1", agency=agency)
        self._entity("staff", "staff-1", services=["school-1"], role="professional")
        self._entity("attachment", "attachment-1", agency="police", services=["police-1"])

    def _entity(self, kind: str, name: str, **more: Any) -> None:
        value = {"version": 1, "kind": kind, "id": name, "active": True, **more}
        self.facts.apply_entity(f"{kind}:{name}", 1, "directory.state.v1", json.dumps(value).encode())

    def state(self, subject: str, *grants: Any, requests: Any = (), **more: Any) -> None:
        """The subject's whole state from now on."""
        self._version += 1
        value = {
            "version": self._version,
            "subject": subject,
            "grants": list(grants),
            "requests": list(requests),
        } | more
        assert self.facts.apply_subject(subject, self._version, "consent.state.v1", json.dumps(value).encode())
        self.lease.applied("consent.state.v1:0", self._version)
        self.on_change("consent.state.v1", subject)

    def end_lease(self) -> None:
        """The lease is over."""
        self.lease.until = 0.0


@dataclass
class ScriptedRecords:
    """Records that are durable when the test says so. `happened` is shared with the services: one order of events."""

    happened: list[str]
    sent: list[Look] = field(default_factory=list)
    held: list[tuple[str, str]] = field(default_factory=list)
    came: dict[str, tuple[int, int]] = field(default_factory=dict)
    when_durable: Callable[[Look], Awaitable[None]] | None = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def trouble(self) -> str | None:
        return None

    async def send(self, look: Look) -> Awaitable[None]:
        self.sent.append(look)
        self.happened.append(f"sent {look.outcome}")
        return self._durable(look)

    async def _durable(self, look: Look) -> None:
        if self.when_durable is not None:
            await self.when_durable(look)
        self.happened.append("durable")

    def held_back(self, look: Look, reason: str, came: tuple[int, int] | None = None) -> None:
        self.held.append((look.id, reason))
        if came is not None:
            self.came[look.id] = came


async def never_durable(_: Look) -> None:
    raise NotRecorded


def given(body: Any, status: int = 200, **headers: str) -> Given:
    """A service's answer."""
    kind = "application/problem+json" if status >= 400 else "application/json"
    return Given(status, {"content-type": kind, **headers}, json.dumps(body).encode())


def item(name: str, category: str, **more: Any) -> dict[str, Any]:
    """One item of a list."""
    return {"id": name, "kind": "entry", "category": category, "at": "2026-01-01T00:00:00.000Z", **more}


@dataclass
class ScriptedServices:
    """Answers as the test says, and remembers what was asked."""

    happened: list[str]
    reply: Callable[[Inner], Awaitable[Given]]
    asked: list[Inner] = field(default_factory=list)

    async def ask(self, inner: Inner) -> Given:
        self.asked.append(inner)
        self.happened.append("asked")
        return await self.reply(inner)


@dataclass(frozen=True)
class Known:
    """A caller."""

    actor: Actor
    audience: str


TOKENS = {
    "teacher": Known(TEACHER, agency_audience("school")),
    "police": Known(POLICE, agency_audience("police")),
    "youth": Known(YOUTH, person_audience(CHILD)),
    "weak": Known(
        Actor("staff", "staff-1", ("school-1",), "professional", "school", "substantial"), agency_audience("school")
    ),
    "guardian": Known(Actor("person", GUARDIAN, assurance="high"), person_audience(GUARDIAN)),
}


async def identify(scope: Any) -> Known:
    """By bearer token; 401 for nobody."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return TOKENS[value.decode().removeprefix("Bearer ")]
    raise Problem(401, "not-logged-in", "Log in first.")


@dataclass
class Rig:
    """A door that is being served on loopback."""

    world: World
    records: ScriptedRecords
    services: ScriptedServices
    handles: Handles
    refusals: Refusals
    happened: list[str]
    address: tuple[str, int]
    client: aiohttp.ClientSession
    app: HttpDoor
    door: Door
    streams: Streams
    connections: set[Any]

    def handle(self, who: str, subject: str = CHILD) -> str:
        """What this caller calls the subject."""
        return self.handles.to_handle(TOKENS[who].audience, subject)

    async def ask(
        self,
        who: str | None,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Told":
        """One request from outside; `{h}` in the path is the caller's handle of the child."""
        sent = dict(headers or {})
        if who is not None:
            sent["authorization"] = f"Bearer {who}"
            path = path.replace("{h}", self.handle(who))
        url = f"http://{self.address[0]}:{self.address[1]}{path}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if isinstance(data, bytes):
            sent.setdefault("content-type", "application/json")
        async with self.client.request(method, url, data=data, headers=sent, allow_redirects=False) as answer:
            return Told(answer.status, answer.headers, await answer.read())


@dataclass(frozen=True)
class Told:
    """What came out."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        return str(self.json["type"]).rsplit(":", 1)[-1]


async def two_items(_: Inner) -> Given:
    """What a good owner answers to the teacher."""
    return given({"items": [item("a", "school"), item("b", "school")], "next": None}, etag='"v1"')


@asynccontextmanager
async def rig(world: World | None = None, *, beat: float = 60.0) -> AsyncIterator[Rig]:
    """Serve a door; the teacher may read and contribute `school` about the child unless the test changes it."""
    if world is None:
        world = World()
        world.state(CHILD, grant("g1", "service:school-1", ["school"], actions=("read", "contribute")))
    happened: list[str] = []
    records = ScriptedRecords(happened)
    services = ScriptedServices(happened, two_items)
    handles, refusals = Handles(b"h" * 32), Refusals()
    door = Door(
        facts=world.facts,
        lease=world.lease,
        handles=handles,
        services=services,
        records=records,
        refusals=refusals,
        decide=decide,
        now=lambda: datetime.now(UTC),
        lease_now=lease_now,
    )
    streams = Streams(door=door, handles=handles, lease=world.lease, lease_now=lease_now)
    world.on_change = streams.changed
    streaming = Streaming(streams=streams, door=door, lease=world.lease, still=identify, beat=beat)
    streams.reading(dict.fromkeys(range(12), 0))
    streams.caught_up()
    owners = ("consent", "directory", "gateway", "logbook", "notify")
    table = Table([route for name in owners for route in _routes(name)])
    app = HttpDoor(
        table=table, identify=identify, door=door, handles=handles, lease=world.lease, lease_now=lease_now,
        streaming=streaming, secure=False,
    )  # fmt: skip
    state = ServerState()
    async with serve(app, state) as address, aiohttp.ClientSession() as client:
        yield Rig(
            world, records, services, handles, refusals, happened, address, client, app, door, streams,
            state.connections,
        )  # fmt: skip


def _routes(service: str) -> Any:
    return routes_of(service, [found for found in ROUTES if found["service"] == service])


@asynccontextmanager
async def serve(app: Any, state: ServerState | None = None) -> AsyncIterator[tuple[str, int]]:
    """Serve an ASGI callable with the door's protocol in this very loop."""
    config = uvicorn.Config(
        app, http=DoorProtocol, lifespan="off", log_config=None, access_log=False, date_header=False
    )
    config.load()
    state = state or ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: DoorProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.wait_closed()
