"""Walks through worlds too large to explore; each rule that they can miss is taken out and missed."""

import pytest

from tests.protocol.walks import Broken, Walk

WALKS, STEPS = 150, 2_500


def walks(rules: Broken | None = None, count: int = WALKS) -> list[Walk]:
    return [Walk(seed, rules).walk(STEPS) for seed in range(count)]


@pytest.mark.requirement("F069")
def test_no_answer_leaves_under_a_grant_or_to_staff_after_anyone_was_told_that_it_ended() -> None:
    found = walks()
    assert sum(walk.confirmed for walk in found) > WALKS  # they do confirm things, and answer
    assert sum(walk.confirmed_staff for walk in found) > WALKS // 2
    assert sum(walk.answered for walk in found) > 20 * WALKS
    assert [text for walk in found for text in walk.broken] == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Broken(second_check=False), "answered under version"),
        (Broken(waits=False), "answered under version"),
        (Broken(holds_back=False), "answered to staff"),
        (Broken(tells_horizon=False), "answered to staff"),
    ],
)
def test_without_this_rule_the_walks_find_an_answer_that_must_not_be(rules: Broken, words: str) -> None:
    assert any(words in text for seed in range(400) for text in Walk(seed, rules).walk(STEPS).broken)
