"""A tiny gateway and token issuer for the agency's own tests: answers are set, requests are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from police import keys
from police.gateway import Gateway, MachineToken
from police.settings import Settings

FIRST, SECOND, ISSUER = "http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3/maskinporten"
PERSON = {"given_name": "Prøve", "family_name": "Testesen", "birth_date": "2011-05-02"}

Reply = Callable[[httpx.Request], httpx.Response]


def item(number: int, category: str = "school") -> dict[str, str]:
    return {"id": f"item-{number}", "category": category, "kind": "entry", "at": "2026-01-01T08:00:00Z"}


@dataclass
class FakeGateway:
    """Replies by path; a path that is not set answers 404, a gateway in `away` does not answer at all."""

    replies: dict[str, Reply] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    asked: list[httpx.Request] = field(default_factory=list)
    tokens: int = 0

    def reply(self, path: str, status: int = 200, body: object = None, **headers: str) -> None:
        self.replies[path] = lambda request: httpx.Response(
            status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(ISSUER):
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 120})
        if any(str(request.url).startswith(gateway) for gateway in self.away):
            raise httpx.ConnectError("refused", request=request)
        self.asked.append(request)
        found = self.replies.get(request.url.path)
        return found(request) if found else httpx.Response(404)

    def door(self, folder: Path) -> Gateway:
        """The agency's own client, asking this gateway."""
        settings = Settings(folder, (FIRST, SECOND), ISSUER, "police", "samlogg", "samlogg", 0, False)
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        return Gateway(settings, MachineToken(settings, keys.key(folder, keys.CLIENT), http), http)
