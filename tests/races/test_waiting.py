"""What the time to a confirmation was made of, on a story that is written down."""

from dataclasses import replace

import pytest

from tests.races.judge import Act
from tests.races.stores import _first_with
from tests.races.waiting import Kept, percentiles, stages

GONE = Act("withdrawn", 1, "reader-1", ("school",), sent=10.0, told=13.5, change="w1")
KEPT = Kept(created=1_010.5, published=1_011.5, confirmed=1_013.0)


def test_the_stages_follow_one_another_and_together_are_the_whole_time() -> None:
    found = stages([GONE], {"w1": KEPT}, offset=1_000.0)
    assert found == {"asking": [500.0], "publishing": [1_000.0], "confirming": [1_500.0], "telling": [500.0]}


@pytest.mark.parametrize(
    ("act", "kept"),
    [
        (replace(GONE, told=None), KEPT),
        (replace(GONE, change=None), KEPT),
        (replace(GONE, change="another"), KEPT),
        (GONE, replace(KEPT, published=None)),
        (GONE, replace(KEPT, confirmed=None)),
    ],
)
def test_what_did_not_come_to_its_end_has_no_stages(act: Act, kept: Kept) -> None:
    assert not any(stages([act], {"w1": kept}, offset=1_000.0).values())


def test_a_change_is_published_with_the_first_record_that_holds_its_version() -> None:
    records = [(2, 5.0), (3, 7.0), (4, 6.5), (3, 9.0)]
    assert [_first_with(records, version) for version in (1, 3, 4, 5)] == [5.0, 6.5, 6.5, None]


def test_percentiles_of_nothing_are_none() -> None:
    assert percentiles([]) == {}
    assert percentiles([float(n) for n in range(100)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 99.0}
