"""Identity as the door uses it: one question per request, and the steps of a login."""

import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import aiohttp
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Scope

from chassis.problems import Problem
from gateway.handlers.identity.bearers import BearerRules, Bearers, no_token
from gateway.handlers.identity.callers import Caller, Callers, not_logged_in, refused
from gateway.handlers.identity.logins import Begun, LoggedIn, Logins
from gateway.handlers.identity.people import Match
from gateway.handlers.identity.provider import Provider
from gateway.handlers.identity.rules import Rules
from gateway.handlers.identity.sessions import Sessions
from gateway.model.facts import Facts
from gateway.model.identity import Assurance, Kind, TokenRefused

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = b"x-csrf-token"
_LONGEST_COOKIE = 128


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a request shows of itself: at most one bearer token, at most one cookie of each name."""

    bearer: bytes | None
    session: str | None
    csrf: bytes | None
    origin: bytes | None
    site: bytes | None


class Identity:
    """Who calls. `match`: national id to person id; `now`: Unix time (the wall clock, never the business clock)."""

    def __init__(
        self, rules: Rules, engine: AsyncEngine, facts: Facts, match: Match, *,
        now: Callable[[], float] = time.time, ticks: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.rules = rules
        self._now = now
        self._providers: dict[Kind, Provider] = {
            kind: Provider(kind, issuer, rules.clients.get(kind), plain_http=rules.synthetic, ticks=ticks)
            for kind, issuer in rules.issuers.items()
        }
        self._callers = Callers(facts)
        self._sessions = Sessions(engine, rules.session_key, now, ticks)
        bearer_rules = BearerRules(rules.audience, rules.identity_key, rules.synthetic)
        self._bearers = Bearers(bearer_rules, self._providers, self._callers, match, now)
        self._logins = Logins(rules, self._providers, engine, self._sessions, self._callers, match)
        self._http: aiohttp.ClientSession | None = None
        self._cookie = rules.cookie.encode()
        self._origin = _origin(rules.public_url).encode()

    async def open(self) -> None:
        """Start when the process does. Issuers are asked when they are first needed.

        In production by way of the environment's proxy, if it names one; synthetic issuers are next door.
        """
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=5, connect=2), cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=not self.rules.synthetic,
        )  # fmt: skip
        for provider in self._providers.values():
            provider.open(self._http)

    async def close(self) -> None:
        """End with the process."""
        for provider in self._providers.values():
            await provider.close()
        if self._http is not None:
            await self._http.close()

    async def still(self, scope: Scope) -> Caller:
        """Who makes this request, whose answer goes on since a while: a stream alone does not keep a session alive."""
        return await self.identify(scope, used=False)

    async def identify(self, scope: Scope, *, used: bool = True) -> Caller:
        """Who makes this HTTP request. used: see `Sessions.find`.

        Problem 401 or 403 with a stable type and `reason`; 503 when it cannot be found out now. A request with an
        Authorization header is that token's, whatever cookies came with it. A request that changes something under a
        cookie must show the session's token and come from our own pages.
        """
        shown = _shown(scope["headers"], self._cookie)
        if shown.bearer is not None:
            return await self._bearers.caller(shown.bearer)
        if shown.session is None:
            raise not_logged_in()
        row = await self._sessions.find(shown.session, used=used)
        if scope["method"] not in SAFE_METHODS:
            self._not_forged(shown, shown.session)
        until = row.ends_at.timestamp()
        try:
            if row.kind == "staff":
                return self._callers.staff(row.login or "", Assurance[row.assurance], "session", until)
            return self._callers.citizen(row.person, Assurance[row.assurance], "session", until)
        except TokenRefused as error:
            raise refused(error.reason) from error

    async def begin(self, kind: Kind, wanted: Assurance, next_path: str, cookies: Mapping[str, str]) -> Begun:
        """Begin a login (Logins.begin)."""
        browser = _plain(cookies.get(self.rules.login_cookie))
        return await self._logins.begin(kind, wanted, next_path, browser, self._now())

    async def finish(self, answer: Mapping[str, str], cookies: Mapping[str, str]) -> LoggedIn:
        """Finish a login (Logins.finish)."""
        browser, session = (_plain(cookies.get(name)) for name in (self.rules.login_cookie, self.rules.cookie))
        return await self._logins.finish(answer, browser, session, self._now())

    async def end(self, cookies: Mapping[str, str]) -> None:
        """End the session of this browser, on every replica."""
        session = _plain(cookies.get(self.rules.cookie))
        if session is not None:
            await self._sessions.end(session)

    async def leave(self, kind: Kind) -> str | None:
        """Where the browser can end the provider's own session too; None when the provider has no such place."""
        try:
            metadata = await self._providers[kind].metadata()
        except Problem:
            return None
        client = self._providers[kind].client
        if metadata.end_session is None or client is None:
            return None
        asked = {"client_id": client.id, "post_logout_redirect_uri": self.rules.public_url + "/"}
        return metadata.end_session + ("&" if "?" in metadata.end_session else "?") + urlencode(asked)

    def csrf(self, cookies: Mapping[str, str]) -> str | None:
        """The token that a request which changes something must show; None without a session cookie."""
        session = _plain(cookies.get(self.rules.cookie))
        return None if session is None else self._sessions.csrf(session)

    def _not_forged(self, shown: _Shown, session: str) -> None:
        """Two independent checks: the token that only our own pages can read, and where the browser says it comes from.

        A client that is no browser sends neither Origin nor Sec-Fetch-Site; then the token decides alone.
        """
        if (shown.site is not None and shown.site != b"same-origin") or shown.origin not in (None, self._origin):
            raise _forged("cross-site", "This request comes from another site.")
        if shown.csrf is None or not hmac.compare_digest(shown.csrf, self._sessions.csrf(session).encode()):
            raise _forged("csrf", "This request does not show the session's token.")


def _shown(headers: Iterable[tuple[bytes, bytes]], cookie: bytes) -> _Shown:
    """Problem 401 where a request shows two of what there can only be one of: nobody knows which another would take."""
    found: dict[bytes, bytes] = {}
    sessions: list[bytes] = []
    for name, value in headers:
        if name == b"cookie":
            if cookie in value:
                sessions += _cookies(value, cookie)
        elif name in _SINGLE:
            if name in found:
                raise no_token() if name == b"authorization" else _forged("cross-site", "This request is ambiguous.")
            found[name] = value
    bearer = None
    if b"authorization" in found:
        scheme, _, bearer = found[b"authorization"].partition(b" ")
        if scheme.lower() != b"bearer" or not bearer:
            raise no_token()
    if len(sessions) > 1:
        raise not_logged_in("session-ambiguous", "This request carries two sessions.")
    session = _plain(sessions[0].decode("latin-1")) if sessions else None
    return _Shown(bearer, session, found.get(CSRF_HEADER), found.get(b"origin"), found.get(b"sec-fetch-site"))


_SINGLE = frozenset({b"authorization", CSRF_HEADER, b"origin", b"sec-fetch-site"})


def _cookies(header: bytes, name: bytes) -> list[bytes]:
    pairs = (pair.strip().partition(b"=") for pair in header.split(b";"))
    return [value for key, _, value in pairs if key == name]


def _plain(value: str | None) -> str | None:
    """A cookie value that we could have made."""
    return value if value and len(value) <= _LONGEST_COOKIE and value.isascii() else None


def _forged(slug: str, title: str) -> Problem:
    return Problem(403, slug, title, reason=slug)


def _origin(url: str) -> str:
    """As browsers write it: lower case, and without the port that goes without saying."""
    parts = urlsplit(url)
    port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{parts.port}"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
