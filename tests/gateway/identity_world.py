"""What the tests of identity share: settings, a directory in memory, people, and the doors on real HTTP."""

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from pydantic import SecretBytes, SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import problems, storage
from gateway.api.identity import routes
from gateway.handlers.identity import Caller, Identity, refuse_unsafe, rules
from gateway.model.facts import Facts
from gateway.model.handles import Handles
from gateway.model.identity import login_hash
from tests.gateway.scripted_provider import ScriptedProvider

MIGRATIONS = Path(__file__).parents[2] / "services" / "gateway" / "migrations"
IDENTITY_KEY, SESSION_KEY, HANDLE_KEY = (bytes([fill]) * 32 for fill in (1, 2, 3))
AUDIENCE = "https://samlogg.test.example/api"
CLIENT = "samlogg-client"

YOUTH_NUMBER = "20914695016"
"""Synthetic (month + 80)."""
REAL_SHAPED_NUMBER = "02013299997"
YOUTH = "4f1c1c0e-51c4-4f0c-9a57-1d4f4a0c7d11"
SCHOOL_ORGNR, POLICE_ORGNR = "991825827", "313876144"


@dataclass
class TestSettings:
    """Good settings of a synthetic installation on this machine; each test changes what it is about."""

    __test__ = False

    mode: Any = "synthetic"
    public_url: str = "http://127.0.0.1:8000"
    audience: str = AUDIENCE
    issuer_citizen: str = "http://127.0.0.1:1/citizen"
    issuer_staff: str = "http://127.0.0.1:1/staff"
    issuer_machine: str = "http://127.0.0.1:1/machine"
    client_id: str = CLIENT
    client_secret: SecretStr | None = field(default_factory=lambda: SecretStr("a-client-secret"))
    client_key: SecretStr | None = None
    client_id_staff: str | None = None
    client_secret_staff: SecretStr | None = None
    handle_key: SecretBytes = field(default_factory=lambda: SecretBytes(HANDLE_KEY))
    session_key: SecretBytes = field(default_factory=lambda: SecretBytes(SESSION_KEY))
    identity_key: SecretBytes = field(default_factory=lambda: SecretBytes(IDENTITY_KEY))


class Directory:
    """Records of directory.state.v1, applied to facts as the projection would."""

    def __init__(self) -> None:
        self.facts = Facts()
        self._versions: dict[str, int] = {}
        self.put("agency", "oslo-school", orgnr=SCHOOL_ORGNR)
        self.put("agency", "police", orgnr=POLICE_ORGNR)
        self.put("service", "school-nurse", agency="oslo-school")
        self.put("service", "school", agency="oslo-school")
        self.put("service", "prevention", agency="police")
        self.put("attachment", "attachment-police", agency="police", services=["prevention"], opaque="x1")

    def put(self, kind: str, name: str, **more: Any) -> None:
        """The next version of an entity."""
        key = f"{kind}:{name}"
        version = self._versions[key] = self._versions.get(key, 0) + 1
        value = {"version": version, "kind": kind, "id": name, "active": True, **more}
        assert self.facts.apply_entity(key, version, "directory.state.v1", json.dumps(value).encode())

    def staff(self, name: str, issuer: str, subject: str, services: Sequence[str], **more: Any) -> str:
        """A staff member who has redeemed the invitation with this login; the login's hash."""
        login = login_hash(IDENTITY_KEY, issuer, subject)
        more.setdefault("role", "professional")
        self.put("staff", name, services=list(services), identity=login, **more)
        return login


@dataclass
class People:
    """`consent`, as far as identity asks it: person by national id, and what it was asked."""

    known: dict[str, str] = field(default_factory=lambda: {YOUTH_NUMBER: YOUTH})
    asked: list[str] = field(default_factory=list)

    async def match(self, national_id: str) -> str | None:
        """The person, if any."""
        self.asked.append(national_id)
        return self.known.get(national_id)


@dataclass
class Clock:
    """Wall and monotonic time that a test can move."""

    ahead: float = 0.0

    def now(self) -> float:
        """Unix time."""
        return time.time() + self.ahead

    def ticks(self) -> float:
        """Monotonic seconds."""
        return time.monotonic() + self.ahead


@dataclass
class World:
    """One replica of identity's doors, and everything it depends on. `http` does not follow redirects by itself."""

    url: str
    identity: Identity
    directory: Directory
    people: People
    clock: Clock
    http: httpx.AsyncClient
    engine: AsyncEngine

    async def log_in(self, who: str = "citizen", **query: str) -> httpx.Response:
        """The whole way of a browser, with this world's client; the answer of /callback (or of what failed before)."""
        begun = await self.http.get("/login", params={"as": who, **query})
        if begun.status_code != 303:
            return begun
        back = await self.http.get(begun.headers["location"])
        assert back.status_code == 302, back.text
        return await self.http.get(back.headers["location"])

    async def session(self) -> httpx.Response:
        """Who the gateway takes this browser for."""
        return await self.http.get("/session")

    async def csrf(self) -> dict[str, str]:
        """The header that a change needs."""
        return {"X-CSRF-Token": (await self.session()).json()["csrf"]}

    async def sessions(self) -> int:
        """How many sessions there are in the database."""
        async with self.engine.connect() as conn:
            return int((await conn.exec_driver_sql("SELECT count(*) FROM session")).scalar_one())


def problem(answer: httpx.Response) -> tuple[int, str]:
    """Status and the end of the type, of an answer that must be a whole problem document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    found = re.fullmatch(r"urn:samlogg:problem:([a-z-]+)", body["type"])
    assert found, body
    return answer.status_code, found.group(1)


def migrated(url: str) -> str:
    """The database, with the gateway's tables made by its own migrations. Called outside any loop."""

    async def migrate() -> None:
        engine = storage.make_engine(url)
        await storage.migrate(engine, MIGRATIONS)
        await engine.dispose()

    asyncio.run(migrate())
    return url


@asynccontextmanager
async def emptied(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a migrated database without sessions and logins."""
    engine = storage.make_engine(url)
    async with engine.begin() as conn:
        await conn.exec_driver_sql("TRUNCATE session, login_attempt")
    yield engine
    await engine.dispose()


@asynccontextmanager
async def world(
    engine: AsyncEngine, providers: dict[str, ScriptedProvider], *, directory: Directory | None = None,
    people: People | None = None, clock: Clock | None = None, tls: Path | None = None, **settings: Any,
) -> AsyncIterator[World]:  # fmt: skip
    """A replica on a free port. `providers`: citizen, staff and machine, as far as the test needs them.

    tls: a folder with `cert.pem` and `key.pem` for localhost; then the door is served over TLS.
    """
    directory, people, clock = directory or Directory(), people or People(), clock or Clock()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"{'https' if tls else 'http'}://localhost:{listening.getsockname()[1]}"
    issuers: dict[str, Any] = {f"issuer_{kind}": provider.url for kind, provider in providers.items()}
    found = TestSettings(**{"public_url": url, **issuers, **settings})
    refuse_unsafe(found)
    identity = Identity(rules(found), engine, directory.facts, people.match, now=clock.now, ticks=clock.ticks)
    app = _app(identity, Handles(HANDLE_KEY))
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off",
            ssl_certfile=str(tls / "cert.pem") if tls else None, ssl_keyfile=tls / "key.pem" if tls else None,
        )
    )  # fmt: skip
    await identity.open()
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=url, verify=trusting(tls), trust_env=False, timeout=10) as http:
            yield World(url, identity, directory, people, clock, http, engine)
    finally:
        server.should_exit = True
        await serving
        await identity.close()
        listening.close()


def trusting(tls: Path | None) -> Any:
    """What httpx needs to trust the certificate in this folder."""
    if tls is None:
        return True
    import ssl

    return ssl.create_default_context(cafile=str(tls / "cert.pem"))


def _app(identity: Identity, handles: Handles) -> FastAPI:
    """Identity's own routes, and one of a service behind the same question."""
    app = FastAPI()
    problems.install(app)

    def subjects(caller: Caller) -> list[tuple[str, list[str]]]:
        return [(caller.actor.id or "", ["self"])] if caller.actor.kind == "person" else []

    app.include_router(routes(identity, handles, subjects))

    @app.api_route("/anything", methods=["GET", "POST", "PUT", "DELETE"])
    async def anything(request: Request) -> dict[str, Any]:
        caller = await identity.identify(request.scope)
        return {**asdict(caller.actor), "audience": caller.audience, "via": caller.via}

    return app
