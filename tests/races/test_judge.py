"""The judge of the races, on stories that are written down: it finds what is wrong, and nothing else."""

from dataclasses import replace

import pytest

from tests.races.judge import (
    BOUND,
    Act,
    Epochs,
    Looks,
    Read,
    missing,
    stale_by_body,
    stale_by_store,
    too_few_records,
    without_record,
)

GONE = Act("withdrawn", 1, "reader-1", ("school",), sent=10.0, told=10.2, change="w1")
AGAIN = Act("granted", 1, "reader-1", ("school",), sent=11.0, told=11.2, change="g2")
READ = Read("t1", 1, "reader-1", sent=10.3, first=10.35, status=200, shown=frozenset({"school"}))
NOTHING = frozenset[str]()


@pytest.mark.parametrize(
    ("read", "stale"),
    [
        (READ, True),
        (replace(READ, sent=10.0, first=10.15), False),  # before it was told
        (replace(READ, sent=10.1, first=10.2 + BOUND / 2), False),  # it may have been on its way
        (replace(READ, sent=10.1, first=10.2 + BOUND * 2), True),  # nothing is on its way for so long
        (replace(READ, sent=10.9, first=11.05), False),  # it was being granted again
        (replace(READ, shown=frozenset({"leisure"})), False),
        (replace(READ, service="reader-2"), False),
        (replace(READ, shown=NOTHING), False),
    ],
)
def test_what_is_shown_after_its_withdrawal_was_told_is_stale(read: Read, stale: bool) -> None:
    assert stale_by_body(read, Epochs.of([GONE, AGAIN])) is stale


def test_an_untold_withdrawal_makes_nothing_stale() -> None:
    assert not stale_by_body(READ, Epochs.of([replace(GONE, told=None)]))


def test_of_two_withdrawals_at_once_the_one_that_was_told_counts() -> None:
    other = replace(GONE, sent=10.05, told=None)
    assert stale_by_body(READ, Epochs.of([GONE, other]))


def test_an_answer_under_a_grant_that_was_told_ended_is_stale_though_it_was_granted_again() -> None:
    late = replace(READ, sent=10.1, first=11.5)
    looks = Looks({"t1": {"r0": frozenset({"g1"}), "r1": frozenset({"g1"})}}, frozenset({"r0"}), frozenset({"r1"}))
    assert stale_by_store(late, looks, {"g1": 10.2})
    assert not stale_by_store(late, looks, {"g2": 10.2})
    fresh = replace(looks, of_trace={"t1": {"r0": frozenset({"g1"}), "r1": frozenset({"g2"})}})
    assert not stale_by_store(late, fresh, {"g1": 10.2}), "what was held back is not what was answered"


def test_a_grant_that_was_told_to_be_in_force_must_be_found() -> None:
    epochs = Epochs.of([GONE, AGAIN])
    read = replace(READ, sent=11.3, first=11.4, status=404, shown=NOTHING)
    assert missing(read, epochs)
    assert not missing(replace(read, sent=11.1, first=11.25), epochs), "it may have been on its way"
    assert not missing(replace(read, status=503), epochs), "no answer is no refusal"
    assert not missing(replace(read, shown=frozenset({"school"})), epochs)


def test_each_message_of_a_stream_needs_a_record_of_its_own() -> None:
    three = {"r1": NOTHING, "r2": NOTHING, "r3": NOTHING}
    looks = Looks({"a": three, "b": {"r4": NOTHING}}, frozenset(), frozenset({"r1", "r2", "r4"}))
    assert too_few_records({"a": 2, "b": 1}, looks) == 0
    assert too_few_records({"a": 3, "b": 3, "c": 1}, looks) == 1 + 2 + 1


def test_an_answer_needs_a_record_in_the_ledger() -> None:
    looks = Looks({"a": {"r1": NOTHING}, "b": {"r2": NOTHING}}, frozenset(), frozenset({"r1"}))
    assert without_record(["a", "b", "c"], looks) == ["b", "c"]
