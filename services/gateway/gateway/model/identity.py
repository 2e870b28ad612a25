"""Who a token says somebody is: the checks on its claims, and how far each issuer's word reaches. No I/O, no clock."""

import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, cast
from urllib.parse import urlsplit

Kind = Literal["citizen", "staff", "machine"]
Claims = Mapping[str, Any]

SKEW_SECONDS = 10.0
"""How far an issuer's clock may be from ours."""
SCOPE = "samlogg"
ORGANISATIONS = "iso6523-actorid-upis"
LONGEST_PATH = 512
_MONTHS = 12
_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
"""One slash, then visible ASCII without a backslash, which browsers read as a slash."""

Reason = Literal[
    "token-malformed", "token-expired", "token-too-old", "token-not-yet-valid", "token-signature", "token-algorithm",
    "token-key-unknown", "unknown-issuer", "wrong-issuer", "wrong-audience", "wrong-party", "wrong-nonce",
    "low-assurance", "missing-scope", "unknown-organisation", "national-id-refused", "staff-inactive",
]  # fmt: skip


class Assurance(IntEnum):
    """How sure the issuer is of who somebody is. Ordered; compare with `<`, never by name."""

    low = 1
    substantial = 2
    high = 3


ASSURANCES: Mapping[Kind, Mapping[str, Assurance]] = {
    "citizen": {
        "idporten-loa-low": Assurance.low,
        "idporten-loa-substantial": Assurance.substantial,
        "idporten-loa-high": Assurance.high,
    },
    "staff": {"low": Assurance.low, "substantial": Assurance.substantial, "high": Assurance.high},
}
"""Each issuer's own words for assurance. A word that is not here counts as none at all (domain.md 3.1)."""


class TokenRefused(Exception):
    """A token that does not prove what it would have to. `reason` is stable and holds nothing of the token."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token proved. `national_id` and `subject` live no longer than it takes to find out whom they mean."""

    kind: Kind
    assurance: Assurance
    until: float
    issuer: str
    subject: str = field(repr=False)
    national_id: str | None = field(default=None, repr=False)
    organisation: str | None = None


def id_token(
    claims: Claims, *, kind: Kind, issuer: str, client: str, nonce: str, started: float, now: float
) -> Verified:
    """The claims of an ID token whose signature holds. TokenRefused unless it was made for this very login.

    started: when the login began (Unix time): an older token is somebody else's.
    """
    _issuer(claims, issuer)
    if _audiences(claims) != {client}:
        raise TokenRefused("wrong-audience")
    if claims.get("azp", client) != client:
        raise TokenRefused("wrong-party")
    until = _times(claims, now, not_before=started)
    found = claims.get("nonce")
    if not isinstance(found, str) or not hmac.compare_digest(found.encode(), nonce.encode()):
        raise TokenRefused("wrong-nonce")
    return _person(claims, kind, until, issuer)


def access_token(claims: Claims, *, kind: Kind, issuer: str, audience: str, now: float) -> Verified:
    """The claims of a bearer token whose signature holds. TokenRefused unless it was made for us."""
    _issuer(claims, issuer)
    if audience not in _audiences(claims):
        raise TokenRefused("wrong-audience")
    until = _times(claims, now)
    if kind == "machine":
        return _machine(claims, until, issuer)
    return _person(claims, kind, until, issuer)


def is_over(until: float, now: float) -> bool:
    """Has a token that ends at `until` ended?"""
    return now >= until + SKEW_SECONDS


def _issuer(claims: Claims, issuer: str) -> None:
    if claims.get("iss") != issuer:
        raise TokenRefused("wrong-issuer")


def _audiences(claims: Claims) -> set[str]:
    found = claims.get("aud")
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not values or not all(isinstance(one, str) for one in values):
        raise TokenRefused("wrong-audience")
    return set(cast("list[str]", values))


def _times(claims: Claims, now: float, *, not_before: float | None = None) -> float:
    """The end. `exp` and `iat` must be there; `nbf` counts where it is."""
    until, issued = _moment(claims, "exp"), _moment(claims, "iat")
    if is_over(until, now):
        raise TokenRefused("token-expired")
    valid_from = max(issued, _moment(claims, "nbf") if "nbf" in claims else issued)
    if valid_from > now + SKEW_SECONDS:
        raise TokenRefused("token-not-yet-valid")
    if not_before is not None and issued < not_before - SKEW_SECONDS:
        raise TokenRefused("token-too-old")
    return until


def _moment(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused("token-malformed")
    return float(value)


def _text(claims: Claims, name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 255:
        raise TokenRefused("token-malformed")
    return value


def _person(claims: Claims, kind: Kind, until: float, issuer: str) -> Verified:
    level = claims.get("acr")
    assurance = ASSURANCES[kind].get(level) if isinstance(level, str) else None
    if assurance is None or assurance < Assurance.substantial:
        raise TokenRefused("low-assurance")
    number = claims.get("pid") if kind == "citizen" else None
    if number is not None and not isinstance(number, str):
        raise TokenRefused("token-malformed")
    return Verified(kind, assurance, until, issuer, _text(claims, "sub"), number)


def _machine(claims: Claims, until: float, issuer: str) -> Verified:
    """A machine is its organisation. A `pid` in such a token is nobody who has logged in, and is not read."""
    scopes = claims.get("scope")
    if not isinstance(scopes, str) or SCOPE not in scopes.split(" "):
        raise TokenRefused("missing-scope")
    consumer = claims.get("consumer")
    if not isinstance(consumer, dict) or consumer.get("authority", ORGANISATIONS) != ORGANISATIONS:
        raise TokenRefused("unknown-organisation")
    found = re.fullmatch(r"0192:([0-9]{9})", str(consumer.get("ID")))
    if found is None:
        raise TokenRefused("unknown-organisation")
    return Verified("machine", Assurance.high, until, issuer, "", organisation=found.group(1))


def national_id(number: str, *, synthetic: bool) -> str:
    """The number, if people with such numbers may be here: nobody's only where nobody is real, and nowhere else.

    Nobody's are month + 80 and + 65, and in a synthetic installation also + 40, which elsewhere may be somebody's
    H-number (domain.md 3.2). Which of them it takes is for `consent` to say. TokenRefused otherwise.
    """
    if re.fullmatch(r"[0-9]{11}", number) is None:
        raise TokenRefused("national-id-refused")
    series = (80, 65, 40) if synthetic else (80, 65)
    if any(1 <= int(number[2:4]) - added <= _MONTHS for added in series) is not synthetic:
        raise TokenRefused("national-id-refused")
    return number


def login_hash(key: bytes, issuer: str, subject: str) -> str:
    """How a staff member's login is known in `directory`: hex HMAC-SHA256 of issuer and subject."""
    return hmac.new(key, f"{issuer}|{subject}".encode(), hashlib.sha256).hexdigest()


def local_path(wanted: str) -> str | None:
    """The path to go to after a login, or None when it could lead to somewhere else than here."""
    if _PATH.fullmatch(wanted) is None or len(wanted) > LONGEST_PATH:
        return None
    parts = urlsplit(wanted)
    return None if parts.scheme or parts.netloc else wanted
