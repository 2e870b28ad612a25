"""Random families, each checked against an independent reading of the law table."""

import ast
from pathlib import Path

import pytest

from tests.families import reading
from tests.families.comparing import compare, compare_day_by_day

EACH = 250


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.requirement("F101")
def test_two_thousand_random_families_are_answered_as_the_table_is_read(seed: int) -> None:
    assert compare(seed, EACH) == []


@pytest.mark.parametrize("seed", range(1_000, 1_004))
def test_day_by_day_nothing_turns_on_a_day_that_the_engine_does_not_know(seed: int) -> None:
    assert compare_day_by_day(seed, 700) == []


def test_the_reading_knows_nothing_of_consent() -> None:
    tree = ast.parse(Path(reading.__file__ or "").read_text("utf-8"))
    named = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    named += [one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names]
    assert set(named) <= {"collections.abc", "dataclasses", "datetime", "typing"}
