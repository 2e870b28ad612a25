"""Every service's real app on a loopback port, with something in it; each request is signed on its way to the app."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
import uvicorn
from joserfc.jwk import OctKey, RSAKey
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

import notify.app
from chassis import permit
from chassis.keys import SubjectKeys
from chassis.permit import Actor, Cell, Permit
from chassis.storage import make_engine, migrate
from consent.app import create_app as create_consent
from consent.handlers import checkpoints
from consent.handlers import directory as consent_directory
from consent.model.notes import Signer
from directory.app import create_app as create_directory
from gateway.app import create_app as create_gateway
from gateway.settings import Settings as GatewaySettings
from logbook.app import create_app as create_logbook
from notify.settings import Settings as NotifySettings
from tests.consent import callers as consent_callers
from tests.consent import paper
from tests.consent.looking import append, look
from tests.contracts.messages import ROOT
from tests.directory.conftest import FIRST_CODE, NURSE, TEACHER, read_document, settings_on
from tests.logbook import callers as logbook_callers
from tests.stack import Kafka, Postgres

INNER = b"i" * 32
_EVERYTHING = ("family", "grants", "health", "looks", "participants", "school")


@dataclass(frozen=True, slots=True)
class Door:
    """Where a service answers, and values of parameters for which it has something to show."""

    base: str
    known: Mapping[str, list[str]]


class Signing:
    """The gateway's part: signs exactly this request for the actor that `who` names for its method and path."""

    def __init__(self, app: ASGIApp, audience: str, who: Callable[[str, str], Actor]) -> None:
        self._app, self._audience, self._who = app, audience, who
        self._key = OctKey.import_key(INNER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        path, query = scope["raw_path"].decode("ascii"), scope["query_string"].decode("ascii")
        parts, method = path.split("/"), scope["method"]
        subject = unquote(parts[2]) if parts[1] == "subjects" and len(parts) > 2 else None
        action: permit.Action = "read" if method == "GET" else "contribute"
        cells = tuple(Cell(category, _GRANT) for category in _EVERYTHING)
        token = permit.sign(
            self._key, audience=self._audience, method=method, path=f"{path}?{query}" if query else path, body=body,
            actor=self._who(method, path), subject=subject, route=f"{method} {path}", record=None, now=time.time(),
            permit=Permit(subject, action, "follow-up", cells) if subject else None,
        )  # fmt: skip
        kept = [pair for pair in scope["headers"] if pair[0] != permit.HEADER.encode()]
        signed = {**scope, "headers": [*kept, (permit.HEADER.encode(), token.encode())]}
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(signed, again, send)


_GRANT = str(uuid4())
_BY_STAFF = ("/questions", "/registered-", "/information", "/taking-back", "/form")
"""Parts of consent's paths that staff ask."""


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an app whose lifespan is seen to elsewhere, in this loop; its base address."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    config.load()
    protocol: Any = config.http_protocol_class
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def open_doors(postgres: Postgres, kafka: Kafka) -> AsyncIterator[dict[str, Door]]:
    """All five. The gateway is whole, on the real bus; the others run without one."""
    async with AsyncExitStack() as opened:
        yield {
            "consent": await opened.enter_async_context(_consent(postgres)),
            "directory": await opened.enter_async_context(_directory(postgres)),
            "gateway": await opened.enter_async_context(_gateway(postgres, kafka)),
            "logbook": await opened.enter_async_context(_logbook(postgres)),
            "notify": await opened.enter_async_context(_notify(postgres)),
        }


@asynccontextmanager
async def _consent(postgres: Postgres) -> AsyncIterator[Door]:
    database = postgres.fresh_database("consent")
    app = create_consent(consent_callers.settings_for(database, postgres.fresh_database("consent_keys")), bus=False)
    nurse, family = consent_callers.staff(consent_callers.NURSE), set[str]()
    officer = Actor("staff", "officer", (), "privacy-officer", None, "high")

    def who(method: str, path: str) -> Actor:
        if path == "/requests" or path.startswith("/forms/") or any(part in path for part in _BY_STAFF):
            return nurse
        if "/audit" in path or path == "/texts":
            return officer
        return consent_callers.person(sorted(family)[0])

    engine = make_engine(database, pool_size=2)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://c") as client:
        async with engine.begin() as conn:
            await consent_directory.keep(conn, consent_callers.entries())
        desk = consent_callers.Desk(client, engine)
        case = await (await consent_callers.Case(desk, consent_callers.a_request(15)).made()).everybody_agrees()
        other = await consent_callers.Case(desk, consent_callers.a_request(17)).made()
        family.add(case.subject)
        gone = (await case.withdraw(case.subject, consent_callers.POLICE)).json()
        looked, question = await _asked_about(case)
        known = {
            "subject": [case.subject, other.subject], "request": [case.id, other.id], "withdrawal": [gone["id"]],
            "look": [looked], "question": [question], "service": [consent_callers.NURSE],
            "language": ["nb"], "version": ["2026-11-2"],
            **await _otherwise(case, other),
        }  # fmt: skip
        async with listening(Signing(app, "consent", who)) as base:
            yield Door(base, known)
    await engine.dispose()


async def _otherwise(case: consent_callers.Case, other: consent_callers.Case) -> dict[str, list[str]]:
    """A companion of the first, a form of the other's request, a grant, and something that is kept."""
    made, _ = await paper.named(case, consent_callers.person(case.subject))
    printed = await paper.form(other, paper.NURSE_STAFF)
    grants = [grant["id"] for grant in await case.grants()]
    kept = await case.desk.ask(
        "POST", f"{case.path}/keepings", consent_callers.person(case.subject), {"category": "health"},
        subject=case.subject,
    )  # fmt: skip
    return {
        "companion": [made.json()["id"]], "form": [paper.code_on(printed)], "grant": grants,
        "keeping": [kept.json()["id"]],
    }  # fmt: skip


async def _asked_about(case: consent_callers.Case) -> tuple[str, str]:
    """A look of the nurse that is in a checkpoint, and a question about it."""
    seen = look(case.subject, consent_callers.staff(consent_callers.NURSE), "health")
    await append(case, seen)
    async with case.desk.engine.begin() as conn:
        await checkpoints.sign(conn, Signer("samlogg.test/ledger", b"l" * 32), datetime.now(UTC))
    made = await case.desk.ask(
        "POST", f"{case.path}/looks/{seen.id}/question", consent_callers.person(case.subject), {"text": "Hvorfor?"},
        subject=case.subject, permit=case.permit("looks"),
    )  # fmt: skip
    return seen.id, made.json()["id"]


@asynccontextmanager
async def _directory(postgres: Postgres) -> AsyncIterator[Door]:
    app = create_directory(settings_on(postgres.fresh_database("directory")), bus=False)
    newcomer = Actor("staff", None, assurance="high", login="ab" * 32)
    admin, agency = newcomer, "police-district"

    def who(method: str, path: str) -> Actor:
        if path == "/invitations/redeem":
            return newcomer
        return Actor("machine", str(uuid4()), (), None, agency, "high") if path.endswith("/credential") else admin

    async with app.router.lifespan_context(app), listening(Signing(app, "directory", who)) as base:
        async with httpx.AsyncClient(base_url=base, timeout=60) as client:
            first = (await client.post("/invitations/redeem", json={"code": FIRST_CODE})).json()["staff"]
            admin = Actor("staff", first, (), "admin", None, "high")
            assert (await client.put("/districts/gamlebyen", json=read_document())).status_code == 200
            key = RSAKey.generate_key(2048, private=True).as_dict(private=False)
            attached = {"services": ["police-prevention"], "public_key": key, "ports": ["listen"]}
            made = (await client.post(f"/agencies/{agency}/attachments", json=attached)).json()["id"]
        known = {
            "agency": [agency], "attachment": [made], "district": ["gamlebyen"], "staff": [NURSE, TEACHER],
            "service": ["police-prevention", "school-health"],
        }  # fmt: skip
        yield Door(base, known)


@asynccontextmanager
async def _logbook(postgres: Postgres) -> AsyncIterator[Door]:
    urls = postgres.fresh_database("logbook"), postgres.fresh_database("logbook_keys")
    app = create_logbook(logbook_callers.settings_for(*urls), guides=logbook_callers.guides(), bus=False)
    nurse = logbook_callers.staff(logbook_callers.NURSE)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://l") as client:
        door = logbook_callers.Door(client)
        await door.open(nurse)
        goal = (await door.goal(nurse))["id"]
        measure, meeting, entry = await door.measure(nurse, goal), await door.meeting(nurse), await door.entry(nurse)
        items = [goal, measure["id"], meeting["id"], entry["id"]]
        async with listening(Signing(app, "logbook", lambda _method, _path: nurse.actor)) as base:
            yield Door(base, {"subject": [door.subject], "item": items})


@asynccontextmanager
async def _notify(postgres: Postgres) -> AsyncIterator[Door]:
    """Without its background work, which needs the bus: the database is prepared as its start does."""
    given = _common(postgres.fresh_database("notify")) | {
        "keys_database_url": postgres.fresh_database("notify_keys"), "hash_key": _key(b"h"),
        "key_encryption_key": _key(b"w"), "smtp_host": "127.0.0.1", "smtp_from": "log@samlogg.test",
    }  # fmt: skip
    settings = NotifySettings(**given)
    engine, keys = (
        make_engine(url.get_secret_value(), pool_size=1) for url in (settings.database_url, settings.keys_database_url)
    )
    await migrate(engine, notify.app.MIGRATIONS)
    await SubjectKeys(keys, settings.key_encryption_key.get_secret_value()).prepare()
    somebody = Actor("person", str(uuid4()), assurance="high")
    app = notify.app.create_app(settings)
    async with listening(Signing(app, "notify", lambda _method, _path: somebody)) as base:
        yield Door(base, {})
    for each in (engine, keys):
        await each.dispose()


@asynccontextmanager
async def _gateway(postgres: Postgres, kafka: Kafka) -> AsyncIterator[Door]:
    """As nobody in particular: nobody signs for it, and nobody is logged in."""
    away = "http://127.0.0.1:9"
    there = kafka.admin.list_topics(timeout=5).topics
    for topic, count in _BUS.items():
        if topic not in there:
            kafka.make_topic(topic, count)
    given = _common(postgres.fresh_database("gateway")) | kafka.settings | {
        **{f"{name}_url": away for name in ("directory", "logbook", "notify")}, "consent_urls": away,
        **{f"inner_key_{name}": _key(name[:1].encode()) for name in ("consent", "directory", "logbook", "notify")},
        **{f"issuer_{name}": f"http://localhost:9/{name}" for name in ("citizen", "staff", "machine")},
        "handle_key": _key(b"5"), "session_key": _key(b"6"), "identity_key": _key(b"7"), "operations_port": 0,
        "public_url": "http://localhost:8000", "audience": "samlogg", "client_id": "gateway",
        "client_secret": "a-client-secret", "contracts": ROOT / "services",
    }  # fmt: skip
    app = create_gateway(GatewaySettings(**given))
    async with app.router.lifespan_context(app), listening(app) as base:
        yield Door(base, {})


_BUS = {"consent.state.v1": 12, "directory.state.v1": 1, "consent.events.v1": 12, "logbook.events.v1": 12,
        "gateway.access.v1": 12}  # fmt: skip


def _key(letter: bytes) -> str:
    return base64.b64encode(letter * 32).decode()


def _common(database: str) -> dict[str, Any]:
    return {
        "mode": "synthetic", "database_url": database, "inner_key": _key(b"i"), "kafka_bootstrap": "127.0.0.1:9",
        "kafka_user": "nobody", "kafka_password": "none",
    }  # fmt: skip


def document(service: str) -> dict[str, Any]:
    """The committed OpenAPI of the service; of the gateway, what it answers itself."""
    found: dict[str, Any] = json.loads((ROOT / "services" / service / "contract" / "openapi.json").read_text())
    if service == "gateway":
        own = {"/login", "/callback", "/logout", "/session", "/me"}
        found["paths"] = {path: each for path, each in found["paths"].items() if path in own}
    return found
