"""Bearer tokens of apps and machines: checked once, then known by their hash until they end."""

import hashlib
import json
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from chassis.problems import Problem
from gateway.handlers.identity.callers import Caller, Callers, refused
from gateway.handlers.identity.provider import Provider
from gateway.model import identity as model
from gateway.model.identity import Assurance, Kind, TokenRefused, Verified

LONGEST_TOKEN = 8192
UNMATCHED_SECONDS = 5.0
"""How long a citizen whom nobody knows yet stays unknown: a request may make the person meanwhile."""
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """What a checked token stands for. Neither the token nor a national id is kept."""

    kind: Kind
    assurance: Assurance
    who: str | None
    until: float
    again: float
    provider: Provider
    generation: int


@dataclass(frozen=True, slots=True)
class BearerRules:
    """What a token has to be made for, and how the one it names is found."""

    audience: str
    identity_key: bytes
    synthetic: bool


class Bearers:
    """Callers by bearer token. `match`: national id to person id."""

    def __init__(
        self, rules: BearerRules, providers: Mapping[Kind, Provider], callers: Callers,
        match: Callable[[str], Awaitable[str | None]], now: Callable[[], float],
    ) -> None:  # fmt: skip
        self._rules = rules
        self._providers: Sequence[tuple[Kind, Provider]] = tuple(providers.items())
        self._callers = callers
        self._match = match
        self._now = now
        self._known: dict[bytes, _Known] = {}

    async def caller(self, token: bytes) -> Caller:
        """Who holds this token. Problem 401 or 403 with the reason."""
        hashed, now = hashlib.sha256(token).digest(), self._now()
        try:
            known = self._known.get(hashed)
            if known is None or now >= known.again or known.generation != known.provider.generation():
                self._known.pop(hashed, None)
                known = await self._check(token, now)
                self._remember(hashed, known)
            if model.is_over(known.until, now):
                raise TokenRefused("token-expired")
            return self._caller(known)
        except TokenRefused as error:
            raise refused(error.reason, bearer=True) from error

    def _caller(self, known: _Known) -> Caller:
        if known.kind == "citizen":
            return self._callers.citizen(known.who, known.assurance, "bearer", known.until)
        who = known.who or ""
        if known.kind == "staff":
            return self._callers.staff(who, known.assurance, "bearer", known.until)
        return self._callers.machine(who, known.assurance, known.until)

    async def _check(self, token: bytes, now: float) -> _Known:
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused("token-malformed")
        text = token.decode("ascii", "replace")
        kind, provider = self._issuer(text)
        claims = await provider.claims(text)
        issuer = (await provider.metadata()).issuer
        found = model.access_token(claims, kind=kind, issuer=issuer, audience=self._rules.audience, now=now)
        who = await self._who(found)
        unmatched = now + UNMATCHED_SECONDS if who is None else float("inf")
        return _Known(kind, found.assurance, who, found.until, unmatched, provider, provider.generation() or 0)

    def _issuer(self, token: str) -> tuple[Kind, Provider]:
        """The issuer that the token names. Nothing of it is believed before the signature has been checked."""
        parts = token.split(".")
        if len(parts) != 3:
            raise TokenRefused("token-malformed")
        try:
            claims = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (ValueError, RecursionError) as error:
            raise TokenRefused("token-malformed") from error
        name = claims.get("iss") if isinstance(claims, dict) else None
        for kind, provider in self._providers:
            if provider.is_issuer(name):
                return kind, provider
        raise TokenRefused("unknown-issuer")

    async def _who(self, found: Verified) -> str | None:
        if found.kind == "machine":
            return found.organisation
        if found.kind == "staff":
            return model.login_hash(self._rules.identity_key, found.issuer, found.subject)
        if found.national_id is None:
            return None
        return await self._match(model.national_id(found.national_id, synthetic=self._rules.synthetic))

    def _remember(self, hashed: bytes, known: _Known) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[hashed] = known


def no_token() -> Problem:
    """401 for an Authorization header that carries no bearer token."""
    return refused("token-malformed", bearer=True)
