"""What we ask of the gateway: our sealed credential, whom a handle means, and the items we were granted."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from police.settings import Settings

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class UnavailableError(Exception):
    """No answer can be had now; try again after `wait` seconds."""

    def __init__(self, wait: float | None = None) -> None:
        super().__init__("the gateway cannot answer now")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway said no: `status` is 403 or 404; it does not say whether there is anything to see."""

    status: int


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What we hold is what we would be given (304)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its JSON body and the tag that tells whether it has changed."""

    body: dict[str, Any]
    etag: str | None


class MachineToken:
    """A bearer token by the JWT grant (as Maskinporten's): the organisation is the identity, no person."""

    def __init__(self, settings: Settings, pair: RSAKey, http: httpx.AsyncClient) -> None:
        self._settings, self._pair, self._http = settings, pair, http
        self._token, self._until = "", 0.0

    async def get(self, *, fresh: bool) -> str:
        """A token that lives for at least ten more seconds; `fresh` forgets the one we hold."""
        if fresh or time.monotonic() > self._until - 10:
            await self._fetch()
        return self._token

    async def _fetch(self) -> None:
        now = int(time.time())
        claims = {
            "iss": self._settings.client_id,
            "sub": self._settings.client_id,
            "aud": self._settings.issuer,
            "resource": self._settings.audience,
            "scope": self._settings.scope,
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid.uuid4()),
        }
        assertion = jwt.encode({"alg": "RS256", "kid": self._pair.kid}, claims, self._pair)
        form = {
            "grant_type": JWT_GRANT,
            "assertion": assertion,
            "client_id": self._settings.client_id,
            "scope": self._settings.scope,
            "audience": self._settings.audience,
        }
        try:
            answer = await self._http.post(f"{self._settings.issuer}/token", data=form)
            answer.raise_for_status()
            body = answer.json()
            self._token = str(body["access_token"])
            self._until = time.monotonic() + float(body.get("expires_in", 60))
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise UnavailableError from error


class Gateway:
    """The gateway's HTTP door; the gateways are tried in turn when one does not answer."""

    def __init__(self, settings: Settings, token: MachineToken, http: httpx.AsyncClient) -> None:
        self._gateways, self._token, self._http = settings.gateways, token, http

    async def credential(self, attachment: str) -> Answer | Refused:
        """`{user, sealed, bootstrap, feed, inbox}`, or a refusal while it is not made yet."""
        return _not_unchanged(await self._get(f"/attachments/{attachment}/credential"))

    async def identity(self, handle: str) -> Answer | Refused:
        """`{given_name, family_name, birth_date}` of whom the handle means; recorded as a look."""
        return _not_unchanged(await self._get(f"/subjects/{handle}/identity"))

    async def items(self, handle: str, etag: str | None) -> Answer | Unchanged | Refused:
        """All items of the handle; `etag` is the tag of the last answer that was whole.

        A tag is given back only when one page held everything: a tag speaks for one page.
        """
        first = await self._get(f"/subjects/{handle}/items?limit=100", etag)
        if not isinstance(first, Answer):
            return first
        items, cursor = list(first.body["items"]), first.body.get("next")
        whole = cursor is None
        while cursor is not None:
            page = await self._get(f"/subjects/{handle}/items?limit=100&after={cursor}")
            if not isinstance(page, Answer):
                return page
            items += page.body["items"]
            cursor = page.body.get("next")
        return Answer({"items": items}, first.etag if whole else None)

    async def _get(self, path: str, etag: str | None = None) -> Answer | Unchanged | Refused:
        wait: float | None = None
        for gateway in self._gateways:
            answer = await self._ask(f"{gateway}{path}", {"If-None-Match": etag} if etag else {})
            if answer is None:
                continue
            if answer.status_code == 200:
                return Answer(answer.json(), answer.headers.get("ETag"))
            if answer.status_code == 304:
                return Unchanged()
            if answer.status_code in {403, 404}:
                return Refused(answer.status_code)
            wait = _seconds(answer.headers.get("Retry-After"))
        raise UnavailableError(wait)

    async def _ask(self, url: str, headers: dict[str, str]) -> httpx.Response | None:
        """One gateway's answer; None if it cannot be reached. A token that is not taken is renewed once."""
        for fresh in (False, True):
            bearer = {"Authorization": f"Bearer {await self._token.get(fresh=fresh)}"}
            try:
                answer = await self._http.get(url, headers={**headers, **bearer})
            except httpx.TransportError:
                return None
            if answer.status_code != 401:
                break
        return answer


async def pause(tries: int, wait: float | None) -> None:
    """Wait as long as we were asked to, or longer each time, never more than half a minute."""
    await asyncio.sleep(min(30.0, wait if wait is not None else 0.2 * 2 ** min(tries, 8)))


def _not_unchanged(answer: Answer | Unchanged | Refused) -> Answer | Refused:
    if isinstance(answer, Unchanged):
        raise UnavailableError
    return answer


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdigit() else None
