"""Who takes part in a race: a small district, subjects who agree to services, and the logs that are read."""

import asyncio
import base64
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaProducer

from chassis import events
from gateway.model.handles import Handles, agency_audience, person_audience
from gateway.model.identity import login_hash
from local_stack import kafka, openid
from local_stack.services import Site
from story.people import Person, new_family
from tests.gateway import scripted_provider as scripted
from tests.races.fleet import GATEWAYS
from tests.races.wire import Gone, Line, Reply

DISTRICT = "races"
CATEGORIES = ("school", "leisure")
READERS = ("reader-1", "reader-2", "reader-3", "reader-4")
HOLDER = "holder"
_DAY = 86_400
Entry = tuple[str, str, dict[str, Any]]
"""Kind, id, and what else the directory says."""


@dataclass(frozen=True, slots=True)
class Staff:
    """A professional of one service; each service is an agency of its own."""

    service: str
    token: str
    audience: str


@dataclass(slots=True)
class Subject:
    """Somebody with a log, who gives consent and takes it back."""

    id: str
    token: str
    request: str
    text: tuple[str, str]
    handles: dict[str, str]
    """By audience."""

    @property
    def own(self) -> str:
        """What they call themselves."""
        return self.handles[person_audience(self.id)]


@dataclass
class World:
    """What the clients of a race need to know."""

    ports: tuple[int, ...]
    staff: dict[str, Staff] = field(default_factory=dict)
    subjects: list[Subject] = field(default_factory=list)


class Issuers:
    """The three OpenID issuers, in this process."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = {}
        self._open = AsyncExitStack()

    async def open(self) -> None:
        """Serve."""
        for kind in ("citizen", "staff", "machine"):
            self.urls[kind] = (await self._open.enter_async_context(scripted.scripted_provider())).url

    async def close(self) -> None:
        """Serve no longer."""
        await self._open.aclose()

    def token(self, kind: str, sub: str, **claims: Any) -> str:
        """A bearer token for a day."""
        now = int(time.time())
        acr = {"citizen": "idporten-loa-high", "staff": "high"}[kind]
        good = {"iss": self.urls[kind], "aud": openid.AUDIENCE, "iat": now, "exp": now + _DAY, "sub": sub, "acr": acr}
        return scripted.signed({**good, **claims})


async def publish_directory(site: Site, issuers: Issuers) -> None:
    """The district's state as `directory` publishes it: categories, agencies, services, staff, the guide."""
    key = base64.b64decode(site.vault.key("identity"))
    await publish(
        site,
        [
            (
                kind,
                name,
                {**more, "identity": login_hash(key, issuers.urls["staff"], name)} if kind == "staff" else more,
            )
            for kind, name, more in _entries()
        ],
    )


async def publish(site: Site, entries: Iterable[Entry]) -> None:
    """Records of the directory's state topic, as `directory` writes them."""
    producer = AIOKafkaProducer(
        bootstrap_servers=site.bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=kafka.ADMIN, sasl_plain_password=site.vault.word("kafka-admin"), acks="all",
    )  # fmt: skip
    await producer.start()
    try:
        for kind, name, more in entries:
            data = {"version": 1, "kind": kind, "id": name, "active": True, **more}
            event = events.new_event(
                "directory", "directory.state.v1", f"{kind}:{name}", data, datetime.now(UTC), version=1
            )
            await producer.send_and_wait(
                "directory.state.v1", events.value(event), event.key.encode(), headers=events.headers(event)
            )
    finally:
        await producer.stop()


def _entries() -> list[Entry]:
    found: list[Entry] = [
        ("category", name, {"special": False, "name": {"nb": name}}) for name in (*CATEGORIES, "participants")
    ]
    settings = {"log_from_level": 1, "plan_types": ["stafettlogg"]}
    found.append(("district", DISTRICT, {"levels": [0, 1, 2, 3], "settings": settings}))
    for service in (HOLDER, *READERS):
        agency = f"agency-{service}"
        found.append(("agency", agency, {"orgnr": None}))
        found.append(("service", service, {"agency": agency, "name": {"nb": service}}))
        found.append(("staff", f"staff-{service}", {"services": [service], "role": "professional"}))
    return found


async def settle(site: Site, issuers: Issuers, subjects: int, seed: int) -> World:
    """Everything in force: each subject agrees to every service, and has a log with an entry of each category."""
    handles = Handles(base64.b64decode(site.vault.key("handle")))
    world = World(tuple(site.ports[name] for name in GATEWAYS))
    for service in (HOLDER, *READERS):
        token = issuers.token("staff", f"staff-{service}")
        world.staff[service] = Staff(service, token, agency_audience(f"agency-{service}"))
    chance, today = random.Random(seed), datetime.now(UTC).date()
    people = [new_family(today, chance) for _ in range(subjects)]
    waiting = list(enumerate(people))

    async def work() -> None:
        line = Line(world.ports[0])
        while waiting:
            number, family = waiting.pop(0)
            parents = [family.mother, family.father]
            world.subjects.append(await _subject(line, world, issuers, handles, number, family.youth, parents))
        line.close()

    await asyncio.gather(*(work() for _ in range(6)))
    return world


async def _subject(
    line: Line, world: World, issuers: Issuers, handles: Handles, number: int, youth: Person, parents: list[Person]
) -> Subject:
    nurse = world.staff[HOLDER]
    cells = [
        {"service": one, "categories": list(CATEGORIES), "actions": list(_actions(one))} for one in (HOLDER, *READERS)
    ]
    today = datetime.now(UTC).date()
    asked = {
        **youth.asked_as(), "guardians": [one.asked_as() for one in parents], "responsibility": "felles", "level": 1,
        "why": "Race.", "purpose": "follow-up", "cells": cells, "until": (today + timedelta(days=300)).isoformat(),
    }  # fmt: skip
    made = await patiently(line, "POST", "/requests", nurse.token, asked, 201)
    id_ = handles.subject_of(nurse.audience, made["subject"])
    assert id_ is not None
    token = issuers.token("citizen", f"youth-{number}", pid=youth.national_id)
    known = {one.audience: handles.to_handle(one.audience, id_) for one in world.staff.values()}
    known[person_audience(id_)] = handles.to_handle(person_audience(id_), id_)
    subject = Subject(id_, token, made["id"], ("", ""), known)
    shown = await patiently(line, "GET", f"/subjects/{subject.own}/requests/{made['id']}", token, None, 200)
    subject.text = (shown["text"]["version"], shown["text"]["language"])
    every = [(one, category, action) for one in world.staff for category in CATEGORIES for action in _actions(one)]
    said = answer_of(subject, every)
    await patiently(line, "POST", f"/subjects/{subject.own}/requests/{made['id']}/answer", token, said, 200)
    path = f"/subjects/{known[nurse.audience]}"
    opening = {
        "plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "decision": "Race.", "category": CATEGORIES[0],
    }  # fmt: skip
    await patiently(line, "POST", f"{path}/log", nurse.token, opening, 201)
    for category in CATEGORIES:
        await patiently(line, "POST", f"{path}/entries", nurse.token, {"category": category, "text": "Race."}, 201)
    return subject


def _actions(service: str) -> tuple[str, ...]:
    return ("read", "contribute") if service == HOLDER else ("read",)


def answer_of(subject: Subject, cells: list[tuple[str, str, str]]) -> dict[str, Any]:
    """A yes to these cells."""
    said = [
        {"service": service, "category": category, "action": action, "answer": "yes"}
        for service, category, action in cells
    ]
    return {"cells": said, "text_version": subject.text[0], "language": subject.text[1]}


async def patiently(
    line: Line, method: str, path: str, token: str, body: Mapping[str, Any] | None, wanted: int, *, seconds: float = 60
) -> Any:
    """The body of the answer with this status, asked for until it comes (under one key)."""
    headers = {"Authorization": f"Bearer {token}"}
    if method == "POST":
        headers["Idempotency-Key"] = random.randbytes(12).hex()
    raw = b"" if body is None else json.dumps(body).encode()

    async def once() -> Reply:
        return await line.ask(method, path, headers, raw)

    return json.loads((await until_status(once, wanted, seconds)).body)


async def until_status(once: Callable[[], Awaitable[Reply]], wanted: int, seconds: float) -> Reply:
    """The answer with this status; AssertionError when it does not come in time."""
    end = time.monotonic() + seconds
    found = "nobody answered"
    while time.monotonic() < end:
        try:
            reply = await once()
            if reply.status == wanted:
                return reply
            found = f"{reply.status} {reply.body[:300]!r}"
        except Gone:
            found = "nobody answered"
        await asyncio.sleep(0.2)
    raise AssertionError(f"expected {wanted}: {found}")
