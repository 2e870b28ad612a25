"""National id numbers: control digits of today and of 2032, kinds told apart, and which installation takes which."""

from datetime import date

import pytest

from consent.model.errors import InvalidNationalId, NationalIdNotAccepted
from consent.model.national_id import NationalId, Series, accept, parse

TODAY, IN_2032 = date(2026, 11, 22), date(2032, 1, 1)


@pytest.mark.parametrize("number", ["02013299997", "20914695016", "45840375084", "47906701517"])
@pytest.mark.parametrize("day", [TODAY, IN_2032])
def test_a_number_of_today_is_valid_before_and_after_2032(number: str, day: date) -> None:
    assert parse(number, day).number == number


@pytest.mark.parametrize("number", ["02013299903", "30108299939"])
def test_a_number_with_the_new_control_digit_is_valid_only_from_2032(number: str) -> None:
    with pytest.raises(InvalidNationalId):
        parse(number, date(2031, 12, 31))
    assert parse(number, IN_2032).number == number


@pytest.mark.parametrize(
    "number",
    ["01039012345", "12345678910", "", "0201329999", "020132999977", "02013299997 ", "०२०१३२९९९९७", "00000000000"],
)
@pytest.mark.parametrize("day", [TODAY, IN_2032])
def test_what_is_no_number_is_refused_on_any_day(number: str, day: date) -> None:
    with pytest.raises(InvalidNationalId):
        parse(number, day)


def numbered(six: str) -> str:
    """A number that begins with these six digits, with control digits of today."""
    for individual in range(500, 1000):
        digits = [int(c) for c in f"{six}{individual}"]
        for weights in ((3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
            digits.append(-sum(w * d for w, d in zip(weights, digits, strict=True)) % 11)
        if max(digits) < 10:
            return "".join(map(str, digits))
    raise AssertionError("every date has numbers")


PLAIN, SKATT = frozenset[Series](), frozenset[Series]({"skatteetaten"})
NHN: Series = "nhn"
NAV: Series = "nav"
KINDS = [
    # first six, kind and series of an installation that takes no NAV numbers, and of one that does
    ("010112", ("birth-number", None), ("birth-number", None)),
    ("410112", ("d-number", None), ("d-number", None)),
    ("014112", ("h-number", None), ("birth-number", "nav")),
    ("414112", ("d-h-number", None), ("d-number", "nav")),
    ("018112", ("birth-number", "skatteetaten"), ("birth-number", "skatteetaten")),
    ("418112", ("d-number", "skatteetaten"), ("d-number", "skatteetaten")),
    ("319212", ("birth-number", "skatteetaten"), ("birth-number", "skatteetaten")),
    ("016612", ("birth-number", "nhn"), ("birth-number", "nhn")),
    ("717712", ("d-number", "nhn"), ("d-number", "nhn")),
    ("315212", ("h-number", None), ("birth-number", "nav")),
    ("311212", ("birth-number", None), ("birth-number", None)),
    ("690212", ("d-number", None), ("d-number", None)),
]
"""Every kind and series, at the ends of their months."""


@pytest.mark.parametrize(("six", "kind", "with_nav"), KINDS)
def test_kinds_and_series_are_told_apart_and_what_looks_alike_by_the_setting(
    six: str, kind: tuple[str, str | None], with_nav: tuple[str, str | None]
) -> None:
    number = numbered(six)
    for taken in (PLAIN, SKATT):
        found = parse(number, TODAY, taken)
        assert (found.kind, found.series) == kind
        assert found.synthetic is (kind[1] is not None)
    found = parse(number, TODAY, SKATT | {NAV})
    assert (found.kind, found.series) == with_nav


@pytest.mark.parametrize(
    "six",
    ["010012", "011312", "310412", "720112", "329212", "014012", "015312", "016512", "017812", "018012", "019312",
     "400112", "314412", "306712"],
)  # fmt: skip
@pytest.mark.parametrize("taken", [PLAIN, SKATT | {NHN, NAV}])
def test_a_date_part_that_is_no_date_in_any_series_is_refused(six: str, taken: frozenset[Series]) -> None:
    with pytest.raises(InvalidNationalId):
        parse(numbered(six), TODAY, taken)


@pytest.mark.parametrize(("six", "kind", "with_nav"), KINDS)
@pytest.mark.parametrize("taken", [PLAIN, SKATT, frozenset({NHN}), frozenset({NAV}), SKATT | {NHN, NAV}])
def test_an_installation_takes_the_series_it_is_set_to_and_nobody_else_and_production_real_people_alone(
    six: str, kind: tuple[str, str | None], with_nav: tuple[str, str | None], taken: frozenset[Series]
) -> None:
    series = (with_nav if NAV in taken else kind)[1]
    if (series in taken) if taken else series is None:
        assert accept(numbered(six), TODAY, taken).series == series
    else:
        with pytest.raises(NationalIdNotAccepted):
            accept(numbered(six), TODAY, taken)


@pytest.mark.parametrize("number", ["20914695016", "45840375084", "47906701517"])
def test_the_published_synthetic_numbers_are_of_the_tax_administrations_series(number: str) -> None:
    found = accept(number, TODAY, SKATT)
    assert (found.series, found.kind) == ("skatteetaten", "birth-number" if number[0] == "2" else "d-number")


def test_a_number_shows_in_no_representation_and_gives_no_birth_date() -> None:
    found = parse("20914695016", TODAY)
    assert "20914695016" not in repr(found)
    assert set(NationalId.__slots__) == {"number", "kind", "series"}


def in_2032(nine: str, remainder: int) -> str | None:
    """A number whose first remainder is this one; None when its second control digit would be ten."""
    digits = [int(c) for c in nine]
    first = (remainder - sum(w * d for w, d in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), digits, strict=True))) % 11
    second = -sum(w * d for w, d in zip((5, 4, 3, 2, 7, 6, 5, 4, 3, 2), [*digits, first], strict=True)) % 11
    return None if max(first, second) > 9 else f"{nine}{first}{second}"


@pytest.mark.parametrize("remainder", range(11))
def test_from_2032_a_first_remainder_of_0_to_3_will_do_and_today_only_0(remainder: int) -> None:
    for birth in ("010190", "150611", "290224"):  # also of people born long before
        number = next(found for serial in range(1000) if (found := in_2032(f"{birth}{serial:03}", remainder)))
        for day, allowed in ((TODAY, {0}), (date(2031, 12, 31), {0}), (IN_2032, {0, 1, 2, 3})):
            if remainder in allowed:
                assert parse(number, day).number == number
            else:
                with pytest.raises(InvalidNationalId):
                    parse(number, day)


@pytest.mark.parametrize("day", [TODAY, IN_2032])
def test_a_wrong_second_control_digit_is_never_let_through(day: date) -> None:
    number = numbered("010112")
    for digit in set("0123456789") - {number[10]}:
        with pytest.raises(InvalidNationalId):
            parse(number[:10] + digit, day)
