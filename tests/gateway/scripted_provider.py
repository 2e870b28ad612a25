"""An OpenID provider that does exactly what a test tells it to: well by default, and badly on purpose."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from joserfc import jws
from joserfc.jwk import RSAKey

Claims = dict[str, Any]


@cache
def key(kid: str) -> RSAKey:
    """A signing key by its name, the same all through a test run."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def signed(claims: Claims, *, kid: str = "one", shown_as: str | None = None, alg: str = "RS256") -> str:
    """A token signed with the key `kid`, whose header says `shown_as` (default: the truth)."""
    return jws.serialize_compact(
        {"alg": alg, "kid": shown_as or kid, "typ": "JWT"}, json.dumps(claims).encode(), key(kid), algorithms=[alg]
    )


def unsigned(claims: Claims) -> str:
    """A token of `alg: none`."""
    return f"{_part({'alg': 'none', 'kid': 'one'})}.{_part(claims)}."


def signed_with_public_key(claims: Claims) -> str:
    """HS256, keyed with the bytes of our public key: what a careless checker takes for a good signature."""
    content = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{_part(claims)}"
    secret = key("one").as_pem(private=False)
    return f"{content}.{_text(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


def _part(value: Claims) -> str:
    return _text(json.dumps(value).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@dataclass
class Script:
    """What the provider does, and what it was asked."""

    subject: str = "sub-1"
    claims: Claims = field(default_factory=dict)
    """Who logs in: pid, acr and the like. A value of None takes the claim out."""
    sign: Callable[[Claims], str] = signed
    shown: tuple[str, ...] = ("one",)
    answer: Callable[[dict[str, str]], dict[str, str]] = lambda answer: answer
    """What becomes of the parameters of the redirect back."""
    metadata: Claims = field(default_factory=dict)
    codes_last: bool = False
    """Takes a code as often as it comes, as no provider may."""
    checks_verifier: bool = True
    broken: bool = False
    asked_for_keys: int = 0
    token_requests: list[dict[str, str]] = field(default_factory=list)


@dataclass
class ScriptedProvider:
    """The provider under `url`; change `script` at any time."""

    url: str
    script: Script = field(default_factory=Script)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def claims(self, asked: dict[str, str]) -> Claims:
        """The claims of a good ID token for this login, and then what the script makes of them."""
        now = int(time.time())
        good: Claims = {
            "iss": self.url, "aud": asked["client_id"], "sub": self.script.subject, "nonce": asked["nonce"],
            "iat": now, "exp": now + 120, "acr": asked.get("acr_values", ""),
        }  # fmt: skip
        return {name: value for name, value in {**good, **self.script.claims}.items() if value is not None}

    def app(self) -> web.Application:
        """Its pages, by the names that real ones have."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._describe)
        app.router.add_get("/.well-known/oauth-authorization-server", self._describe)
        app.router.add_get("/jwks", self._keys)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        return app

    async def _describe(self, _: web.Request) -> web.Response:
        if self.script.broken:
            return web.Response(status=503)
        good = {
            "issuer": self.url, "jwks_uri": f"{self.url}/jwks", "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "end_session_endpoint": f"{self.url}/endsession",
            "authorization_response_iss_parameter_supported": True,
        }  # fmt: skip
        return web.json_response({**good, **self.script.metadata})

    async def _keys(self, _: web.Request) -> web.Response:
        if self.script.broken:
            return web.Response(status=503)
        self.script.asked_for_keys += 1
        return web.json_response({"keys": [key(kid).as_dict(private=False) for kid in self.script.shown]})

    async def _authorize(self, request: web.Request) -> web.Response:
        """Nobody is asked anything: whoever comes here is logged in as the script says."""
        asked = dict(request.query)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        answer = self.script.answer({"code": code, "state": asked["state"], "iss": self.url})
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(answer)}"})

    async def _token(self, request: web.Request) -> web.Response:
        if self.script.broken:
            return web.Response(status=503)
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.script.token_requests.append({**form, "authorization": request.headers.get("Authorization", "")})
        asked = self._codes.get(form.get("code", ""))
        if asked is not None and not self.script.codes_last:
            del self._codes[form["code"]]
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"] or not self._verifies(asked, form):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = self.script.sign(self.claims(asked))
        return web.json_response({"id_token": token, "access_token": "never-read", "token_type": "Bearer"})

    def _verifies(self, asked: dict[str, str], form: dict[str, str]) -> bool:
        challenge = _text(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        return not self.script.checks_verifier or (
            asked.get("code_challenge_method") == "S256" and asked.get("code_challenge") == challenge
        )


@asynccontextmanager
async def scripted_provider() -> AsyncIterator[ScriptedProvider]:
    """A provider on a free port of this machine."""
    provider = ScriptedProvider("")
    runner = web.AppRunner(provider.app(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        provider.url = f"http://{host}:{port}"
        yield provider
    finally:
        await runner.cleanup()
