"""National id numbers: control digits of today and of 2032, kinds told apart, and which installation takes which."""

from datetime import date

import pytest

from consent.model.errors import InvalidNationalId, NationalIdNotAccepted
from consent.model.national_id import NationalId, accept, parse

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


@pytest.mark.parametrize(
    ("six", "kind", "synthetic"),
    [
        ("010112", "birth-number", False),
        ("018112", "birth-number", True),
        ("410112", "d-number", False),
        ("418112", "d-number", True),
        ("014112", "h-number", False),
        ("414112", "d-number", False),
        ("319212", "birth-number", True),
    ],
)
def test_kinds_are_told_apart(six: str, kind: str, synthetic: bool) -> None:
    found = parse(numbered(six), TODAY)
    assert (found.kind, found.synthetic) == (kind, synthetic)


@pytest.mark.parametrize("six", ["016612", "010012", "011312", "310412", "720112", "329212"])
def test_a_date_part_that_is_no_date_or_a_foreign_test_series_is_refused(six: str) -> None:
    with pytest.raises(InvalidNationalId):
        parse(numbered(six), TODAY)


def test_a_synthetic_installation_takes_only_synthetic_numbers_and_production_none_of_them() -> None:
    real, synthetic = numbered("010112"), "20914695016"
    assert accept(synthetic, TODAY, synthetic=True).synthetic
    assert not accept(real, TODAY, synthetic=False).synthetic
    with pytest.raises(NationalIdNotAccepted):
        accept(real, TODAY, synthetic=True)
    with pytest.raises(NationalIdNotAccepted):
        accept(synthetic, TODAY, synthetic=False)


def test_a_number_shows_in_no_representation_and_gives_no_birth_date() -> None:
    found = parse("20914695016", TODAY)
    assert "20914695016" not in repr(found)
    assert set(NationalId.__slots__) == {"number", "kind", "synthetic"}
