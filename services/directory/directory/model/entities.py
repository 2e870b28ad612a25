"""What the directory keeps: agencies, services, staff, categories, districts, and how each is stored and compared."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from directory.model.contact import Contact

Texts = Mapping[str, str]
"""What people read, by language code (`nb`, `nn`, `en`, `se`, …); `nb` is always there."""

_ORGNR_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2)
_ORGNR_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Ages:
    """From the first to the last year of age, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Category:
    """What consent is split by. special: articles 9 and 10 of the GDPR, or confidential in itself."""

    id: str
    special: bool
    names: Texts


@dataclass(frozen=True, slots=True)
class Agency:
    """A legal unit; `parent` makes the hierarchy. sector: municipal, county, state or private."""

    id: str
    orgnr: str
    sector: str
    parent: str | None
    names: Texts


@dataclass(frozen=True, slots=True)
class Service:
    """What consent is given to. status: listed, attached or declined (F027)."""

    id: str
    agency: str
    kind: str
    status: str
    ages: Ages
    area: str
    names: Texts
    responsibility: Texts
    contacts: tuple[Contact, ...]
    reviewed: date
    review_due: date


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who acts for services. Never part of the public directory, and never named on the bus."""

    id: str
    name: str
    title: str
    role: str
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class District:
    """A node of the municipality with settings of its own."""

    id: str
    municipality: str
    names: Texts
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entity:
    """One entry as it is stored, compared and published. body: JSON only, without what a document does not say."""

    kind: str
    id: str
    body: Mapping[str, Any]


def plain(value: Any) -> Any:
    """The value as JSON types: dataclasses and mappings as objects, sequences as lists, dates as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, date) else value


def service_from(id_: str, body: Mapping[str, Any]) -> Service:
    """A stored service."""
    return Service(
        id=id_, agency=body["agency"], kind=body["kind"], status=body["status"], ages=Ages(**body["ages"]),
        area=body["area"], names=body["names"], responsibility=body["responsibility"],
        contacts=tuple(Contact(**one) for one in body["contacts"]),
        reviewed=date.fromisoformat(body["reviewed"]), review_due=date.fromisoformat(body["review_due"]),
    )  # fmt: skip


def valid_orgnr(number: str, *, synthetic: bool) -> bool:
    """Nine digits with a right check digit (mod 11). Real ones begin with 8 or 9; synthetic ones with 2 or 3."""
    if len(number) != _ORGNR_DIGITS or not (number.isascii() and number.isdigit()):
        return False
    if number[0] not in ("2389" if synthetic else "89"):
        return False
    remainder = sum(int(digit) * weight for digit, weight in zip(number[:8], _ORGNR_WEIGHTS, strict=True)) % 11
    return remainder != 1 and int(number[8]) == (11 - remainder) % 11
