"""A few random families: enough for most mistakes in the table's engine, and quick."""

import pytest

from tests.families.comparing import compare, compare_day_by_day


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_few_random_families_are_answered_as_the_table_is_read(seed: int) -> None:
    assert compare(seed, 40) == []


def test_some_years_of_one_family_day_by_day() -> None:
    assert compare_day_by_day(2, 400) == []
