"""How the story logs in: through our door, the provider's page and back, and with a machine's assertion."""

from __future__ import annotations

import io
import json
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from story import door
from story.narrative import Narrator, UnexpectedError
from story.world import World

GATEWAY, PROVIDER = "http://127.0.0.1:1", "http://127.0.0.1:2/idporten"


def world(folder: Path) -> World:
    return World(
        gateways=(GATEWAY,), citizen=PROVIDER, staff=PROVIDER, machine="http://127.0.0.1:2/maskinporten",
        audience="samlogg", zipkin="", mailbox=folder, first_admin_code=folder,
        district=folder, police_status="", police_folder=folder, folder=folder, databases={},
        ledger_key="", witness_key="",
        gateway_parts=("gateway-1",), consent_part="consent", logbook_part="logbook",
    )  # fmt: skip


class Provider:
    """The gateway's log-in doors and an OpenID provider that keeps what was posted to it."""

    def __init__(self, *, callback: int = 302) -> None:
        self.callback, self.posted = callback, dict[str, list[str]]()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/login":
            return httpx.Response(
                302, headers={"location": f"{PROVIDER}/authorize?state=s1&as={request.url.params['as']}"}
            )
        if request.url.path.endswith("/authorize"):
            self.posted = parse_qs(request.content.decode())
            return httpx.Response(302, headers={"location": f"{GATEWAY}/callback?code=c1&state=s1"})
        if request.url.path == "/callback":
            return httpx.Response(self.callback, headers={"location": "/session", "set-cookie": "samlogg=k1; Path=/"})
        if request.url.path == "/session" and request.headers.get("cookie") == "samlogg=k1":
            return httpx.Response(200, json={"kind": "citizen", "csrf": "f1"})
        self.posted = parse_qs(request.content.decode())
        return httpx.Response(200, json={"access_token": "m1"})


def narrator() -> Narrator:
    made = Narrator(io.StringIO())
    made.new_trace()
    return made


async def test_a_log_in_ends_with_a_session_and_its_token_against_forged_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    provider = Provider()
    monkeypatch.setattr(door, "client", provider.client)
    caller = await door.log_in(world(tmp_path), narrator(), "the youth", "citizen", "u1", {"pid": "1", "acr": "high"})
    assert caller.csrf == "f1" and caller.calls == 0
    assert provider.posted["username"] == ["u1"]
    assert json.loads(provider.posted["claims"][0]) == {"pid": "1", "acr": "high"}


async def test_a_log_in_that_the_gateway_turns_down_is_said_without_the_person(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(door, "client", Provider(callback=403).client)
    with pytest.raises(UnexpectedError, match="GET /callback for the youth: expected 302, and 403 came"):
        await door.log_in(world(tmp_path), narrator(), "the youth", "citizen", "u1", {"pid": "20914695016"})


async def test_a_machine_signs_its_assertion_for_the_issuer_and_asks_for_our_audience(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    provider, pair = Provider(), RSAKey.generate_key(2048)
    monkeypatch.setattr(door, "client", provider.client)
    caller = await door.machine(world(tmp_path), narrator(), "the school's program", "education-agency", pair)
    claims = jwt.decode(provider.posted["assertion"][0], pair, algorithms=["RS256"]).claims
    assert caller.bearer == "m1"
    assert (claims["aud"], claims["resource"], claims["iss"]) == (
        "http://127.0.0.1:2/maskinporten",
        "samlogg",
        "education-agency",
    )
    assert claims["exp"] - claims["iat"] <= 120
