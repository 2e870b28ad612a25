"""Norwegian national id numbers: form, kinds and control digits. A birth date is never computed from them.

Source: Skatteetaten's description of the numbers and of the control digits from 2032 (domain report 3.2).

Which control digits a number must have follows from the day it was issued, which the number does not tell. So it is
judged by what can have been issued by today: before 2032 only today's digits, from then on both, for old numbers stay
valid and people born long before are given new ones. That lets a few mistyped numbers through from 2032 that today's
digits would have caught; who somebody is, is the register's to say, not the digits'.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from consent.model.errors import InvalidNationalId, NationalIdNotAccepted

Series = Literal["skatteetaten", "nhn", "nav"]
"""Numbers of nobody: the tax administration's, the health network's, and NAV's. NAV's look like H-numbers: only an
installation that takes them, and so must never be given an H-number, reads them as such."""
Kind = Literal["birth-number", "d-number", "h-number", "d-h-number"]

NEW_DIGITS_FROM = date(2032, 1, 1)
"""Numbers issued from this day on may leave a first remainder of 0 to 3. Older numbers stay valid."""

_FIRST = (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)
_SECOND = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)
_REMAINDERS_TODAY = frozenset({0})
_REMAINDERS_2032 = frozenset({0, 1, 2, 3})
_LENGTH = 11
_D_ADDED = 40
_H_ADDED = 40
_TEST_ADDED: tuple[tuple[Series, int], ...] = (("skatteetaten", 80), ("nhn", 65), ("nav", 40))
_LONGEST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True, slots=True)
class NationalId:
    """A valid number. Its text is kept out of every representation. series: of a test number."""

    number: str = field(repr=False)
    kind: Kind
    series: Series | None

    @property
    def synthetic(self) -> bool:
        """Is it nobody's?"""
        return self.series is not None


def parse(number: str, today: date, taken: frozenset[Series] = frozenset()) -> NationalId:
    """The number with its kind; InvalidNationalId when form, date part or control digits are wrong on `today`.

    taken: the test series of this installation.
    """
    if len(number) != _LENGTH or not (number.isascii() and number.isdigit()):
        raise InvalidNationalId
    if not _control_digits_fit([int(character) for character in number], today):
        raise InvalidNationalId
    day, (month, series, is_h) = int(number[:2]), _month(int(number[2:4]), taken)
    is_d = day > _D_ADDED
    day -= _D_ADDED if is_d else 0
    if not 1 <= month <= len(_LONGEST_DAY) or not 1 <= day <= _LONGEST_DAY[month - 1]:
        raise InvalidNationalId
    kinds: dict[tuple[bool, bool], Kind] = {
        (False, False): "birth-number", (True, False): "d-number",
        (False, True): "h-number", (True, True): "d-h-number",
    }  # fmt: skip
    return NationalId(number, kinds[is_d, is_h], series)


def accept(number: str, today: date, taken: frozenset[Series]) -> NationalId:
    """The number if this installation takes it: one with test series only numbers of those, one without any none."""
    found = parse(number, today, taken)
    if (found.series in taken) if taken else not found.synthetic:
        return found
    raise NationalIdNotAccepted


def _month(written: int, taken: frozenset[Series]) -> tuple[int, Series | None, bool]:
    """The month as it is meant, the test series, and is it an H-number?"""
    for series, added in _TEST_ADDED:
        if 1 <= written - added <= len(_LONGEST_DAY) and (added != _H_ADDED or series in taken):
            return written - added, series, False
    is_h = 1 <= written - _H_ADDED <= len(_LONGEST_DAY)
    return written - (_H_ADDED if is_h else 0), None, is_h


def _control_digits_fit(digits: list[int], today: date) -> bool:
    first = sum(weight * digit for weight, digit in zip(_FIRST, digits[:10], strict=True)) % 11
    second = sum(weight * digit for weight, digit in zip(_SECOND, digits, strict=True)) % 11
    allowed = _REMAINDERS_2032 if today >= NEW_DIGITS_FROM else _REMAINDERS_TODAY
    return first in allowed and second == 0
