"""Words given otherwise than by one's own log-in: on paper, orally, through a companion; and what they rest on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from consent.model.errors import EvidenceNeeded, GivenTimeInvalid, WitnessNeeded, WitnessUnfit

DIGITAL: Final = "digital"
COMPANION: Final = "companion"
Manner = Literal["digital", "paper", "oral", "companion"]
"""How somebody's word came; the only thing about it that goes on the bus."""

Told = Literal["paper", "oral"]
Act = Literal["answer", "withdraw"]
"""What a companion may be named for. Whoever may say yes for somebody may also take it back: `answer` holds both."""

REGISTRARS = ("professional", "leader")
"""Roles (from the directory) that register what a person said to their service."""

LATEST = timedelta(days=90)
"""What was given longer ago is not registered any more but asked anew: minds change."""

_A_MINUTE = timedelta(minutes=1)
"""Times of giving are written by people, to the minute."""

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: what is read aloud or copied by hand is not taken for something else."""
_HALF = 5
CODE_BYTES = 2 * _HALF


@dataclass(frozen=True, slots=True)
class Scan:
    """A scanned form: its SHA-256, and where the service keeps it."""

    sha256: str
    reference: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a word rests on. witness: id of a member of staff. form: the code on a paper of ours."""

    manner: Manner
    witness: str | None
    given_at: datetime
    place: str | None = field(default=None, repr=False)
    form: str | None = None
    scan: Scan | None = field(default=None, repr=False)
    statement: str | None = field(default=None, repr=False)


def may_register(role: str | None) -> bool:
    """Does somebody with this role register what people say?"""
    return role in REGISTRARS


def check_grounds(
    given: Grounds, registrar: str, witnesses: Sequence[str], *, asked_at: datetime | None, now: datetime
) -> None:
    """WitnessNeeded, WitnessUnfit, EvidenceNeeded, GivenTimeInvalid when it does not carry a word.

    witnesses: those of the staff named who work here. asked_at: before it nothing can have been given (None: whenever).
    """
    if given.witness is None:
        raise WitnessNeeded
    if given.witness == registrar or given.witness not in witnesses:
        raise WitnessUnfit
    scanned = given.scan is not None and given.manner == "paper"
    if not scanned and given.statement is None:
        raise EvidenceNeeded
    first = now - LATEST if asked_at is None else max(asked_at - _A_MINUTE, now - LATEST)
    if not first <= given.given_at <= now:
        raise GivenTimeInvalid


def overtaken(given_at: datetime, later: datetime) -> bool:
    """Does a word from `later` stand against one that was given at `given_at`? At the same moment neither counts more.

    What is registered late must not undo what the person has said since.
    """
    return given_at <= later


def may_act(acts: Sequence[str], act: Act) -> bool:
    """Is a companion named for these acts allowed this one?"""
    return act in acts or (act == "withdraw" and "answer" in acts)


def code(randomness: bytes) -> str:
    """A code for a paper form, from CODE_BYTES random bytes: 50 bits that mean nothing."""
    letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in randomness)
    return f"{letters[:_HALF]}-{letters[_HALF:CODE_BYTES]}"


_READ_AS: Mapping[int, str] = str.maketrans({"O": "0", "I": "1", "L": "1"})


def code_as_written(text: str) -> str:
    """The code that somebody copied by hand: small letters, spaces and O for 0 are forgiven."""
    plain = "".join(sign for sign in text.upper() if sign.isalnum()).translate(_READ_AS)
    return f"{plain[:_HALF]}-{plain[_HALF:]}"
