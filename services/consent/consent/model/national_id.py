"""Norwegian national id numbers: form, kinds and control digits. A birth date is never computed from them.

Source: Skatteetaten's description of the numbers and of the control digits from 2032 (domain report 3.2).
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from consent.model.errors import InvalidNationalId, NationalIdNotAccepted

NEW_DIGITS_FROM = date(2032, 1, 1)
"""Numbers issued from this day on may leave a first remainder of 0 to 3. Older numbers stay valid."""

_FIRST = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
_SECOND = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_REMAINDERS_TODAY = frozenset({0})
_REMAINDERS_2032 = frozenset({0, 1, 2, 3})
_LENGTH = 11
_D_ADDED = 40
_H_ADDED = 40
_SYNTHETIC_ADDED = 80
_LONGEST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

Kind = Literal["birth-number", "d-number", "h-number"]


@dataclass(frozen=True, slots=True)
class NationalId:
    """A valid number. Its text is kept out of every representation."""

    number: str = field(repr=False)
    kind: Kind
    synthetic: bool


def parse(number: str, today: date) -> NationalId:
    """The number with its kind; InvalidNationalId when form, date part or control digits are wrong on `today`."""
    if len(number) != _LENGTH or not (number.isascii() and number.isdigit()):
        raise InvalidNationalId
    digits = [int(character) for character in number]
    if not _control_digits_fit(digits, today):
        raise InvalidNationalId
    day, month = int(number[:2]), int(number[2:4])
    is_d = day > _D_ADDED
    day -= _D_ADDED if is_d else 0
    synthetic = month > _SYNTHETIC_ADDED
    month -= _SYNTHETIC_ADDED if synthetic else 0
    is_h = _H_ADDED < month <= _H_ADDED + len(_LONGEST_DAY)
    month -= _H_ADDED if is_h else 0
    if not 1 <= month <= len(_LONGEST_DAY) or not 1 <= day <= _LONGEST_DAY[month - 1]:
        raise InvalidNationalId
    kind: Kind = "d-number" if is_d else "h-number" if is_h else "birth-number"
    return NationalId(number, kind, synthetic)


def accept(number: str, today: date, *, synthetic: bool) -> NationalId:
    """The number if this kind of installation takes it: a synthetic one takes only synthetic numbers, others none."""
    found = parse(number, today)
    if found.synthetic != synthetic:
        raise NationalIdNotAccepted
    return found


def _control_digits_fit(digits: list[int], today: date) -> bool:
    first = sum(weight * digit for weight, digit in zip(_FIRST, digits[:10], strict=True)) % 11
    second = sum(weight * digit for weight, digit in zip(_SECOND, digits, strict=True)) % 11
    allowed = _REMAINDERS_2032 if today >= NEW_DIGITS_FROM else _REMAINDERS_TODAY
    return first in allowed and second == 0
