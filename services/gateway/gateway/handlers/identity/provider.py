"""One issuer of tokens: what it says about itself, its keys, and the exchange of a code. Talks to nobody else."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from chassis.problems import Problem, unavailable
from gateway.handlers.identity import published
from gateway.handlers.identity.published import Key, Metadata, payload
from gateway.model.identity import Kind, TokenRefused

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256")
"""Signatures that are accepted. No symmetric one: our copy of an issuer's key is public."""

FRESH_SECONDS = 600.0
"""After this the keys are asked for again, so that a key the issuer has taken away stops counting."""
KEPT_SECONDS = 86_400.0
"""How long keys count while the issuer cannot be asked."""
BETWEEN_SECONDS = 10.0
"""At most one question in this time, however many tokens name keys that we do not know."""
AT_FIRST_SECONDS = 1.0
"""The same, for an issuer that has never answered."""
_LONGEST = 256 * 1024
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_HEADERS = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_WELL_KNOWN: dict[Kind, str] = {
    "citizen": "/.well-known/openid-configuration",
    "staff": "/.well-known/openid-configuration",
    "machine": "/.well-known/oauth-authorization-server",
}


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at the issuer: a secret, or a private key (JWK) that signs an assertion instead."""

    id: str
    secret: str | None = field(default=None, repr=False)
    key: RSAKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    """Metadata and keys, asked for at one moment. `generation` rises when a key has gone."""

    metadata: Metadata
    keys: Mapping[str, Key]
    at: float
    generation: int


class CodeRefused(Exception):
    """The issuer gave no token for the code."""


class Provider:
    """One issuer. `ticks` is a monotonic clock; what is known is replaced whole, never changed."""

    def __init__(
        self, kind: Kind, issuer: str, client: Client | None, *, plain_http: bool,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.kind: Kind = kind
        self.client = client
        self._issuer = issuer
        self._plain_http = plain_http
        self._ticks = ticks
        self._http: aiohttp.ClientSession | None = None
        self._known: _Known | None = None
        self._asked: float | None = None
        self._asking: asyncio.Task[None] | None = None

    def open(self, http: aiohttp.ClientSession) -> None:
        """Give the session to ask with; nothing is asked yet."""
        self._http = http

    async def close(self) -> None:
        """Stop asking."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    def is_issuer(self, name: object) -> bool:
        """Is this the issuer's name? Exactly, once it has told it; until then a slash at the end does not matter."""
        if not isinstance(name, str):
            return False
        known = self._known
        return name == known.metadata.issuer if known else name.rstrip("/") == self._issuer.rstrip("/")

    def generation(self) -> int | None:
        """What a remembered token is good for; None when the keys are due to be asked for again."""
        known = self._known
        if known is None or self._ticks() >= known.at + FRESH_SECONDS:
            return None
        return known.generation

    async def metadata(self) -> Metadata:
        """What the issuer says about itself. Problem 503 when it never could be asked."""
        return (await self._current()).metadata

    async def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token that this issuer signed with a key it shows. TokenRefused otherwise.

        A key that we do not know makes us ask once; the claims themselves are not checked here.
        """
        try:
            signed = jws.extract_compact(token.encode())
        except (JoseError, ValueError) as error:
            raise TokenRefused("token-malformed") from error
        header = signed.headers()
        if header.get("alg") not in ALGORITHMS:
            raise TokenRefused("token-algorithm")
        key = await self._key(header.get("kid"))
        try:
            valid = jws.validate_compact(signed, key, registry=_HEADERS)
        except (JoseError, ValueError) as error:
            raise TokenRefused("token-algorithm") from error
        if not valid:
            raise TokenRefused("token-signature")
        return payload(signed.payload)

    async def exchange(self, code: str, verifier: str, redirect: str, now: float) -> str:
        """The ID token for a code. CodeRefused when the issuer gives none; Problem 503 when it cannot be asked.

        Any other token it gives is not even read: nothing of ours asks anything of the issuer in the person's name.
        """
        metadata = await self.metadata()
        client = self.client
        if client is None or metadata.token is None:
            raise CodeRefused
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier,
            "client_id": client.id,
        }  # fmt: skip
        headers = {"Accept": "application/json"}
        if client.key is not None:
            signed = _assertion(client.id, client.key, metadata.issuer, now)
            form |= {"client_assertion_type": _ASSERTION, "client_assertion": signed}
        elif metadata.secret_in_form:
            form["client_secret"] = client.secret or ""
        else:
            headers["Authorization"] = aiohttp.encode_basic_auth(
                quote(client.id, safe=""), quote(client.secret or "", safe="")
            )
        answer = await self._ask("POST", metadata.token, data=form, headers=headers)
        found = answer.get("id_token")
        if not isinstance(found, str):
            raise CodeRefused
        return found

    async def _key(self, kid: object) -> Key:
        if not isinstance(kid, str):
            raise TokenRefused("token-key-unknown")
        known = await self._current()
        if kid not in known.keys:
            await self._refresh(BETWEEN_SECONDS)
            known = await self._current()
        if kid not in known.keys:
            raise TokenRefused("token-key-unknown")
        return known.keys[kid]

    async def _current(self) -> _Known:
        """What is known, asked for again when it is old. While the issuer is away, old keys count for a day."""
        known, now = self._known, self._ticks()
        if known is not None and now < known.at + FRESH_SECONDS:
            return known
        await self._refresh(AT_FIRST_SECONDS if known is None else BETWEEN_SECONDS)
        known = self._known
        if known is None or now >= known.at + KEPT_SECONDS:
            raise unavailable("provider-unreachable", "The login provider cannot be asked now.")
        return known

    async def _refresh(self, between: float) -> None:
        """Ask the issuer unless it was asked just now; everybody who needs it at once waits for the same answer."""
        if self._asking is None or self._asking.done():
            if self._asked is not None and self._ticks() < self._asked + between:
                return
            self._asking = asyncio.create_task(self._learn())
        await asyncio.shield(self._asking)

    async def _learn(self) -> None:
        """Take what the issuer says now. What cannot be asked, or cannot be read, changes nothing."""
        self._asked = self._ticks()
        try:
            found = await self._ask("GET", self._issuer.rstrip("/") + _WELL_KNOWN[self.kind])
            metadata = published.metadata(found, self._issuer, plain_http=self._plain_http)
            keys = published.keys(await self._ask("GET", metadata.jwks_uri))
        except (Problem, CodeRefused, ValueError):
            return
        generation = 0 if self._known is None else self._known.generation + int(_lost(self._known.keys, keys))
        self._known = _Known(metadata, keys, self._ticks(), generation)

    async def _ask(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """A JSON object. No redirects: an issuer that sends us elsewhere is not the one we were told of."""
        if self._http is None:
            raise RuntimeError("open() comes first")
        try:
            async with self._http.request(method, url, allow_redirects=False, **more) as answer:
                if answer.status >= 500:
                    raise unavailable("provider-unreachable", "The login provider cannot be asked now.")
                body = await answer.content.read(_LONGEST + 1)
                while len(body) <= _LONGEST and not answer.content.at_eof():
                    body += await answer.content.read(_LONGEST + 1 - len(body))
                if answer.status != 200 or len(body) > _LONGEST:
                    raise CodeRefused
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unavailable("provider-unreachable", "The login provider cannot be asked now.") from error
        try:
            return payload(body)
        except TokenRefused as error:
            raise CodeRefused from error


def _lost(before: Mapping[str, Key], after: Mapping[str, Key]) -> bool:
    """Has a key gone, or another taken its name? Then what was checked with it has to be checked again."""
    return any(kid not in after or after[kid].thumbprint() != key.thumbprint() for kid, key in before.items())


def _assertion(client: str, key: RSAKey, issuer: str, now: float) -> str:
    """The client's own signed word (private_key_jwt), good for one minute and one use."""
    claims = {
        "iss": client, "sub": client, "aud": issuer, "iat": int(now), "exp": int(now) + 60,
        "jti": secrets.token_urlsafe(24),
    }  # fmt: skip
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key.kid} if key.kid else {})
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, algorithms=["RS256"])
