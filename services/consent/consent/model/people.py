"""Who is who: what an asker claims about a person, and which guardians fit which parental responsibility."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from consent.model.births import Born, Unborn
from consent.model.errors import (
    BirthDateInvalid,
    DueDateInvalid,
    GuardiansNotAsked,
    ResponsibilityIncomplete,
    ResponsibilityUnknown,
    SamePerson,
)
from consent.model.facts import Responsibility, fits
from consent.model.national_id import NationalId

_OLDEST = date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says about a person. Nothing here shows in a representation of it."""

    number: NationalId = field(repr=False)
    given_name: str = field(repr=False)
    family_name: str = field(repr=False)
    birth_date: date = field(repr=False)
    language: str


@dataclass(frozen=True, slots=True)
class Identity:
    """The names and birth date that are shown to those who may see them. Who is not born has the mother's family name
    and a due date."""

    given_name: str | None = field(repr=False)
    family_name: str = field(repr=False)
    born: Born = field(repr=False)


def plain_name(name: str) -> str:
    """A name in one normal form, without outer or doubled spaces."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def check_birth_dates(claims: Sequence[Claim], today: date) -> None:
    """BirthDateInvalid when one lies in the future or before 1900."""
    if any(not _OLDEST <= claim.birth_date <= today for claim in claims):
        raise BirthDateInvalid


def check_due(due: date, today: date) -> Unborn:
    """DueDateInvalid when nobody who is due then can be expected today."""
    unborn = Unborn(due)
    if not unborn.expected(today):
        raise DueDateInvalid
    return unborn


def check_different(claims: Sequence[Claim]) -> None:
    """SamePerson when two claims are about one number."""
    if len({claim.number.number for claim in claims}) != len(claims):
        raise SamePerson


def check_responsibility(kind: Responsibility, guardians: int, *, guardians_decide: bool) -> None:
    """Do the guardians named fit? `ukjent` blocks whatever a guardian would have to answer.

    Joint responsibility is two people, one parent alone is one, others are at least one.
    """
    if not guardians_decide:
        if guardians:
            raise GuardiansNotAsked
        return
    if kind == "ukjent":
        raise ResponsibilityUnknown
    if not fits(kind, guardians):
        raise ResponsibilityIncomplete
