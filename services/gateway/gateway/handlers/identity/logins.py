"""Logins: from the door to the provider and back (OpenID Connect code flow with PKCE, state and nonce)."""

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast
from urllib.parse import urlencode

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.problems import Problem
from gateway import storage
from gateway.handlers.identity.callers import Callers, refused
from gateway.handlers.identity.people import Match
from gateway.handlers.identity.provider import CodeRefused, Provider
from gateway.handlers.identity.rules import Rules
from gateway.handlers.identity.sessions import IDLE, Sessions, no_database
from gateway.model import identity as model
from gateway.model.identity import Assurance, Kind, TokenRefused, Verified
from gateway.storage import Attempt

LONGEST = timedelta(minutes=10)
"""A login that takes longer has to begin again."""

_ASKED: Mapping[Kind, Mapping[Assurance, str]] = {
    kind: {level: word for word, level in words.items()} for kind, words in model.ASSURANCES.items()
}


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and the value of the cookie that ties the login to it."""

    to: str
    browser: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The new session's cookie value, and the path to go on to."""

    cookie: str
    next: str


class Logins:
    """Begins logins and finishes them."""

    def __init__(
        self, rules: Rules, providers: Mapping[Kind, Provider], engine: AsyncEngine, sessions: Sessions,
        callers: Callers, match: Match,
    ) -> None:  # fmt: skip
        self._rules = rules
        self._providers = providers
        self._engine = engine
        self._sessions = sessions
        self._callers = callers
        self._match = match

    async def begin(self, kind: Kind, wanted: Assurance, next_path: str, browser: str | None, now: float) -> Begun:
        """Send somebody to the provider. `browser`: the cookie of an earlier login, kept so that two tabs can log in.

        Problem 400 `next-not-local` when the path would lead away from here.
        """
        path = model.local_path(next_path)
        if path is None:
            raise Problem(400, "next-not-local", "A login can only go on to a path of this very address.")
        provider = self._providers[kind]
        metadata = await provider.metadata()
        if provider.client is None or metadata.authorization is None:
            raise Problem(503, "provider-unreachable", "The login provider cannot be asked now.")
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        browser = browser or secrets.token_urlsafe(32)
        started = datetime.fromtimestamp(now, UTC)
        made = Attempt(kind, wanted.name, nonce, verifier, path, started)
        hashed = self._sessions.hashed
        try:
            async with self._engine.begin() as conn:
                await storage.keep_attempt(
                    conn, state=hashed("state", state), browser=hashed("browser", browser), ends=started + LONGEST,
                    made=made,
                )  # fmt: skip
                await storage.sweep(conn, now=started, seen_before=started - IDLE)
        except (SQLAlchemyError, OSError) as error:
            raise no_database() from error
        asked = {
            "response_type": "code", "client_id": provider.client.id, "redirect_uri": self._rules.callback,
            "scope": "openid", "state": state, "nonce": nonce, "acr_values": _ASKED[kind][wanted],
            "code_challenge": _challenge(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        joint = "&" if "?" in metadata.authorization else "?"
        return Begun(metadata.authorization + joint + urlencode(asked), browser)

    async def finish(self, answer: Mapping[str, str], browser: str | None, session: str | None, now: float) -> LoggedIn:
        """What the provider's answer is worth. Problem 401 or 403 with the reason, and then there is no session.

        The login is taken out of the database first, whatever comes of it: no answer counts twice, and an answer that
        this browser did not ask for finds nothing. `session`: the session the browser had; it ends.
        """
        attempt = await self._take(answer.get("state"), browser, now)
        if attempt is None:
            raise _refused("login-unknown", "This login was not begun in this browser, or has been used; begin again.")
        kind = cast("Kind", attempt.kind)
        try:
            found = await self._proven(kind, attempt, answer, now)
            if found.assurance < Assurance[attempt.wanted]:
                raise TokenRefused("low-assurance")
            person, login = await self._whom(found, now)
        except TokenRefused as error:
            raise refused(error.reason) from error
        cookie = await self._sessions.start(
            kind=kind, person=person, login=login, assurance=found.assurance.name, instead_of=session
        )
        return LoggedIn(cookie, attempt.next)

    async def _take(self, state: str | None, browser: str | None, now: float) -> Attempt | None:
        if not state or not browser:
            return None
        hashed = self._sessions.hashed
        moment = datetime.fromtimestamp(now, UTC)
        try:
            async with self._engine.begin() as conn:
                return await storage.take_attempt(
                    conn, state=hashed("state", state), browser=hashed("browser", browser), now=moment
                )
        except (SQLAlchemyError, OSError) as error:
            raise no_database() from error

    async def _proven(self, kind: Kind, attempt: Attempt, answer: Mapping[str, str], now: float) -> Verified:
        provider = self._providers[kind]
        metadata = await provider.metadata()
        named = answer.get("iss")
        if named != metadata.issuer and (named is not None or metadata.announces_issuer):
            raise TokenRefused("wrong-issuer")
        code = answer.get("code")
        if "error" in answer or not code:
            raise _refused("login-refused", "The login provider did not let this login through.")
        try:
            token = await provider.exchange(code, attempt.verifier, self._rules.callback, now)
        except CodeRefused as error:
            raise _refused("code-refused", "The login provider gave nothing for this login; begin again.") from error
        return model.id_token(
            await provider.claims(token), kind=kind, issuer=metadata.issuer, client=self._rules.clients[kind].id,
            nonce=attempt.nonce, started=attempt.started_at.timestamp(), now=now,
        )  # fmt: skip

    async def _whom(self, found: Verified, now: float) -> tuple[str | None, str | None]:
        """Person id of a citizen, keyed hash of a staff member's login. The national id goes no further than this."""
        if found.kind == "staff":
            login = model.login_hash(self._rules.identity_key, found.issuer, found.subject)
            self._callers.staff(login, found.assurance, "session", now)
            return None, login
        if found.national_id is None:
            return None, None
        return await self._match(model.national_id(found.national_id, synthetic=self._rules.synthetic)), None


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _refused(slug: str, title: str) -> Problem:
    return Problem(401, slug, title, reason=slug)
