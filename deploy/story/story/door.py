"""The gateway's HTTP door as an app uses it: log in with OpenID Connect, or bring a machine token, then ask."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from story.narrative import Narrator, UnexpectedError, expect
from story.world import World

ASSURANCE = {"high": "idporten-loa-high", "substantial": "idporten-loa-substantial"}
STAFF_HIGH = "high"
SAFE = frozenset({"GET", "HEAD"})
REDIRECTS = frozenset({302, 303, 307})
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Caller:
    """Somebody at the door. `who` is a role in the story ("the youth"), never a name; `calls` counts requests."""

    who: str
    gateways: tuple[str, ...]
    narrator: Narrator
    http: httpx.AsyncClient
    bearer: str | None = None
    csrf: str = ""
    calls: int = 0
    session: dict[str, Any] = field(default_factory=dict)

    async def ask(
        self, method: str, path: str, body: Any = None, *, replica: int = 0, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """One request to one replica, under the step's trace. Raises httpx.TransportError when nobody answers."""
        sent = {"traceparent": self.narrator.traceparent(), **(headers or {})}
        if self.bearer:
            sent["Authorization"] = f"Bearer {self.bearer}"
        elif method not in SAFE:
            sent["X-CSRF-Token"] = self.csrf
        self.calls += 1
        return await self.http.request(method, f"{self.gateways[replica]}{path}", json=body, headers=sent)

    async def get(self, path: str, *, replica: int = 0) -> Any:
        """The body of an answer that must be 200; waits out up to ten seconds of 503."""
        answer = await self.patiently("GET", path, replica=replica)
        expect(f"GET {shape(path)} for {self.who}", 200, answer.status_code)
        return answer.json()

    async def post(self, path: str, body: Any, *expected: int) -> Any:
        """The body of an answer to a POST that must have one of the statuses (200 and 201 if none is named)."""
        answer = await self.patiently("POST", path, body)
        if answer.status_code not in (expected or (200, 201)):
            raise UnexpectedError(_unexpected(f"POST {shape(path)} for {self.who}", expected or (200, 201), answer))
        return answer.json() if answer.content else None

    async def patiently(
        self, method: str, path: str, body: Any = None, *, replica: int = 0, headers: Mapping[str, str] | None = None,
        seconds: float = 10.0,
    ) -> httpx.Response:  # fmt: skip
        """The answer, once there is one other than 503; a write has one idempotency key however often it is sent."""
        given = dict(headers or {})
        if method == "POST":
            given.setdefault("Idempotency-Key", str(uuid.uuid4()))
        until = time.monotonic() + seconds
        while True:
            try:
                answer = await self.ask(method, path, body, replica=replica, headers=given)
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise UnexpectedError(f"{method} {shape(path)} for {self.who}: nobody answered") from None
                answer = None
            if answer is not None and (answer.status_code != 503 or time.monotonic() > until):
                return answer
            await asyncio.sleep(0.1)


def _unexpected(what: str, expected: tuple[int, ...], answer: httpx.Response) -> str:
    kind = ""
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        kind = f" ({answer.json().get('type', '')})"
    return f"{what}: expected {' or '.join(map(str, expected))}, and {answer.status_code}{kind} came"


def shape(path: str) -> str:
    """The path without what stands for a person: handles and ids become `…`."""
    bare = path.split("?")[0]
    return "/".join("…" if len(part) > 24 else part for part in bare.split("/"))


def client() -> httpx.AsyncClient:
    """An HTTP client of its own: its cookies belong to one person."""
    return httpx.AsyncClient(timeout=15.0, follow_redirects=False)


async def log_in(
    world: World, narrator: Narrator, who: str, kind: str, sub: str, claims: Mapping[str, Any], assurance: str = "high"
) -> Caller:
    """Log in as a browser does: our door, the provider's page, back with a code, and a session behind a cookie.

    kind: citizen | staff. sub: what the provider calls them. assurance: what our door asks the provider for.
    Raises UnexpectedError where the way is not as it must be.
    """
    http = client()
    began = await http.get(
        f"{world.gateways[0]}/login", params={"as": kind, "next": "/session", "assurance": assurance}
    )
    if began.status_code not in REDIRECTS:
        raise UnexpectedError(_unexpected(f"GET /login as {kind}", (302,), began))
    provider = began.headers["location"]
    form = {"username": sub, "claims": json.dumps(dict(claims))}
    agreed = await http.post(provider, data=form)
    if agreed.status_code not in REDIRECTS:
        raise UnexpectedError(f"the provider answered {agreed.status_code} to the log-in of {who}")
    back = await http.get(urljoin(provider, agreed.headers["location"]))
    if back.status_code not in REDIRECTS:
        raise UnexpectedError(_unexpected(f"GET /callback for {who}", (302,), back))
    caller = Caller(who, world.gateways, narrator, http)
    caller.session = await caller.get("/session")
    caller.csrf = str(caller.session["csrf"])
    caller.calls = 0
    return caller


async def machine(world: World, narrator: Narrator, who: str, client_id: str, pair: RSAKey) -> Caller:
    """An agency's program with a fresh machine token (JWT grant, as Maskinporten's)."""
    http, now = client(), int(time.time())
    claims = {
        "iss": client_id, "sub": client_id, "aud": world.machine, "resource": world.audience,
        "scope": "samlogg", "iat": now, "exp": now + 60, "jti": str(uuid.uuid4()),
    }  # fmt: skip
    form = {
        "grant_type": JWT_GRANT, "client_id": client_id, "scope": "samlogg", "audience": world.audience,
        "assertion": jwt.encode({"alg": "RS256"}, claims, pair),
    }  # fmt: skip
    answer = await http.post(f"{world.machine}/token", data=form)
    expect(f"a machine token for {who}", 200, answer.status_code)
    return Caller(who, world.gateways, narrator, http, bearer=str(answer.json()["access_token"]))
