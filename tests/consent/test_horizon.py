"""Leases and confirmations of one leader, rule by rule (protocol.md)."""

import pytest

from consent.model.horizon import GRACE_SECONDS, LEASE_SECONDS, Horizon, Pending, Place, Topics

P, Q = "consent.state.v1:0", "consent.state.v1:1"
W = Pending("w", "s", 2)


def leading(taken: float = 0.0, lease_max: float = 0.0, epoch: int = 1) -> tuple[Horizon, Topics]:
    topics = Topics()
    horizon = Horizon(epoch, taken, lease_max, [P, Q], topics)
    for partition in (P, Q):
        topics.learn(partition, 0, taken)
        horizon.barrier(partition, 0, epoch)
    return horizon, topics


def test_no_lease_before_the_own_barrier_was_read_back_everywhere() -> None:
    topics = Topics()
    horizon = Horizon(2, 0.0, 0.0, [P, Q], topics)
    horizon.barrier(P, 7, 2)
    horizon.barrier(Q, 7, 1)  # an earlier leader's
    horizon.reported("g", {P: (2, 8), Q: (2, 8)})
    assert not horizon.ready()
    assert horizon.lease("g", 1.0) == 0.0
    horizon.barrier(Q, 8, 2)
    assert horizon.lease("g", 1.0) == 0.0
    horizon.reported("g", {Q: (2, 9)})
    assert horizon.lease("g", 1.0) == LEASE_SECONDS


def test_a_gateway_that_applied_no_barrier_of_this_epoch_gets_no_lease() -> None:
    horizon, _ = leading(epoch=3)
    horizon.reported("g", {P: (2, 50), Q: (3, 50)})
    assert horizon.lease("g", 1.0) == 0.0


def test_a_partition_that_nobody_reads_here_is_passed_over_and_those_after_it_count() -> None:
    horizon, _ = leading()
    horizon.reported("g", {"another.topic:7": (1, 9), P: (1, 1), Q: (1, 1)})
    assert horizon.lease("g", 1.0) == LEASE_SECONDS


def test_a_change_is_confirmed_when_every_gateway_with_a_lease_has_passed_it() -> None:
    horizon, topics = leading()
    for name in ("a", "b"):
        horizon.reported(name, {P: (1, 1), Q: (1, 1)})
        assert horizon.lease(name, 1.0)
    topics.learn(P, 5, 1.1, "s", 2)
    assert horizon.confirmable([W], 1.2) == []
    horizon.reported("a", {P: (1, 6)})
    assert horizon.confirmable([W], 1.3) == []
    horizon.reported("b", {P: (1, 6)})
    assert horizon.confirmable([W], 1.4) == [W]


def test_a_silent_gateway_holds_a_change_up_no_longer_than_its_lease() -> None:
    horizon, topics = leading()
    horizon.reported("silent", {P: (1, 1), Q: (1, 1)})
    horizon.lease("silent", 1.0)
    topics.learn(P, 5, 1.1, "s", 2)
    assert horizon.confirmable([W], 1.0 + LEASE_SECONDS - 0.01) == []
    assert horizon.confirmable([W], 1.0 + LEASE_SECONDS) == [W]


def test_after_a_take_over_nothing_is_confirmed_while_an_old_lease_may_run() -> None:
    horizon, topics = leading(taken=10.0, lease_max=LEASE_SECONDS, epoch=2)
    topics.learn(P, 5, 10.1, "s", 2)
    assert horizon.confirmable([W], 10.0 + LEASE_SECONDS - 0.01) == []
    assert horizon.confirmable([W], 10.0 + LEASE_SECONDS) == [W]


def test_what_was_confirmed_is_required_of_whoever_comes_next() -> None:
    horizon, topics = leading()
    topics.learn(P, 5, 1.0, "s", 2)
    assert horizon.confirmable([W], 1.0) == [W]
    horizon.reported("late", {P: (1, 5), Q: (1, 1)})
    assert horizon.lease("late", 1.01) == 0.0
    horizon.reported("late", {P: (1, 6)})
    assert horizon.lease("late", 1.02) == LEASE_SECONDS


def test_a_gateway_may_lag_for_the_grace_and_no_longer() -> None:
    horizon, topics = leading()
    horizon.reported("g", {P: (1, 1), Q: (1, 1)})
    topics.learn(P, 5, 2.0, "s", 2)
    assert horizon.lease("g", 2.0 + GRACE_SECONDS - 0.01) == LEASE_SECONDS
    assert horizon.lease("g", 2.0 + GRACE_SECONDS) == 0.0


def test_a_newer_version_on_the_topic_confirms_an_older_change() -> None:
    horizon, topics = leading()
    topics.learn(P, 9, 1.0, "s", 4)
    assert horizon.confirmable([W], 1.0) == [W]


def test_an_older_version_on_the_topic_confirms_nothing() -> None:
    horizon, topics = leading()
    topics.learn(P, 9, 1.0, "s", 1)
    assert horizon.confirmable([W], 1.0) == []


def test_an_old_relays_record_does_not_move_the_place_back() -> None:
    _, topics = leading()
    topics.learn(P, 5, 1.0, "s", 3)
    topics.learn(P, 6, 1.1, "s", 2)
    assert (topics.places["s"].version, topics.places["s"].offset) == (3, 5)


def test_behind_is_what_the_slowest_gateway_with_a_lease_has_not_passed() -> None:
    horizon, topics = leading()
    assert horizon.behind(1.0) == 0
    for name in ("a", "b"):
        horizon.reported(name, {P: (1, 1), Q: (1, 1)})
        assert horizon.lease(name, 1.0)
    topics.learn(P, 5, 1.1, "s", 2)
    topics.learn(Q, 3, 1.1, "t", 2)
    horizon.reported("a", {P: (1, 6)})
    assert horizon.behind(1.2) == 5 + 3
    horizon.reported("b", {P: (1, 6), Q: (1, 9)})  # past the end: a transaction's own mark
    assert horizon.behind(1.2) == 3
    assert horizon.behind(1.0 + LEASE_SECONDS + 1) == 0


def with_lease(horizon: Horizon, *names: str, now: float = 1.0) -> None:
    for name in names:
        horizon.reported(name, {P: (horizon.epoch, 1), Q: (horizon.epoch, 1)})
        assert horizon.lease(name, now) == LEASE_SECONDS


def test_what_was_read_moves_the_end_and_a_subjects_place_to_a_higher_version() -> None:
    topics = Topics()
    topics.learn(P, 7, 1.0)
    assert (topics.places, topics.ends) == ({}, {P: 8})
    topics.learn(Q, 3, 1.0, "s")
    assert (topics.places, topics.ends) == ({"s": Place(0, Q, 3)}, {P: 8, Q: 4})
    topics.learn(P, 8, 1.0, "s", 1)
    topics.learn(P, 9, 1.0, "s", 1)
    assert topics.places == {"s": Place(1, P, 8)}


def test_behind_is_whom_the_database_knows_a_newer_version_of_that_is_not_on_its_way() -> None:
    topics = Topics()
    topics.learn(P, 0, 1.0, "s", 2)
    assert topics.behind({"s": 2, "unpublished": 0}) == []
    assert topics.behind({"s": 3, "new": 1, "old": 0}) == ["s", "new"]
    assert topics.behind({"s": 3, "new": 1}, {"s": 3}) == ["new"]
    assert topics.behind({"s": 3}, {"s": 2, "another": 9}) == ["s"]


def test_ahead_is_whom_the_topic_knows_a_newer_version_of() -> None:
    topics = Topics()
    topics.learn(P, 0, 1.0, "s", 2)
    topics.learn(P, 1, 1.0, "t", 1)
    assert topics.ahead({"s": 2, "t": 1}) == []
    assert topics.ahead({"s": 3, "t": 0}) == ["t"]
    assert topics.ahead({"s": 1}) == ["s", "t"]


def test_what_was_published_is_required_after_the_grace_though_it_was_not_read_back() -> None:
    horizon, topics = leading()
    topics.published(P, 5, 1.0)
    horizon.reported("g", {P: (1, 5), Q: (1, 1)})
    assert horizon.lease("g", 1.0 + GRACE_SECONDS - 0.01) == LEASE_SECONDS
    assert horizon.lease("g", 1.0 + GRACE_SECONDS) == 0.0
    topics.learn(P, 3, 2.0)  # what is read later, and lies before it, asks for nothing more and nothing less
    topics.learn(P, 5, 3.0, "s", 2)
    assert topics.settled(P, 3.0) == topics.settled(P, 9.0) == 6
    assert topics.ends[P] == 6
    horizon.reported("g", {P: (1, 6)})
    assert horizon.lease("g", 9.0) == LEASE_SECONDS


def test_settled_is_behind_every_record_older_than_the_grace_and_before_every_younger_one() -> None:
    topics = Topics()
    assert topics.settled(P, 1.0) == 0
    topics.learn(P, 0, 1.0)
    assert [topics.settled(P, now) for now in (1.0 + GRACE_SECONDS / 2, 1.0 + GRACE_SECONDS)] == [0, 1]
    topics.learn(P, 1, 2.0)
    topics.learn(P, 5, 2.0)
    assert [topics.settled(P, now) for now in (2.0, 2.0 + GRACE_SECONDS / 2, 2.0 + GRACE_SECONDS)] == [1, 1, 6]
    topics.learn(P, 6, 3.0)
    assert [topics.settled(P, now) for now in (3.0, 3.0 + GRACE_SECONDS, 9.0)] == [6, 7, 7]
    assert topics.settled(Q, 9.0) == 0


def test_no_more_is_remembered_of_what_was_read_than_the_grace_needs() -> None:
    topics = Topics()
    for offset in range(100):
        topics.learn(P, offset, 1.0 + offset)
    assert list(topics._recent[P]) == [(99.0, 99), (100.0, 100)]
    own = Topics()
    own.published(P, 0, 1.0)
    own.learn(P, 0, 1.1)
    assert list(own._recent[P]) == [(1.0, 1)], "what is read back was known already"


def test_a_barrier_that_is_read_again_or_late_lowers_nothing() -> None:
    topics = Topics()
    horizon = Horizon(1, 0.0, 0.0, [P], topics)
    horizon.barrier(P, 5, 1)
    horizon.barrier(P, 3, 1)
    for position, seconds in ((5, 0.0), (6, LEASE_SECONDS)):
        horizon.reported("g", {P: (1, position)})
        assert horizon.lease("g", 1.0) == seconds


@pytest.mark.parametrize(
    "report", [{P: (0, 9), Q: (1, 9)}, {P: (1, 9)}, {P: (2, 9), Q: (1, 9)}, {P: (1, 0), Q: (1, 9)}, {}],
    ids=["no barrier", "not every partition", "a barrier to come", "not past the barrier", "nothing"],
)  # fmt: skip
def test_a_gateway_that_is_not_far_enough_everywhere_gets_no_lease(report: dict[str, tuple[int, int]]) -> None:
    horizon, _ = leading()
    assert horizon.lease("g", 1.0) == 0.0
    horizon.reported("g", report)
    assert horizon.lease("g", 1.0) == 0.0
    assert horizon.live(1.0) == {}


def test_reports_only_grow() -> None:
    horizon, _ = leading(epoch=2)
    horizon.reported("g", {P: (2, 4), Q: (2, 4)})
    horizon.reported("g", {P: (1, 3), Q: (0, 0)})
    assert horizon.lease("g", 1.0) == LEASE_SECONDS
    assert (horizon.passed(P, 1.0), horizon.passed(Q, 1.0)) == (4, 4)
    horizon.reported("g", {P: (3, 9)})
    assert horizon.lease("g", 1.0) == 0.0  # it has heard of a later leader


def test_a_lease_that_is_asked_for_late_shortens_none_and_who_may_answer_is_told_with_the_seconds_left() -> None:
    horizon, _ = leading()
    with_lease(horizon, "a", now=3.0)
    with_lease(horizon, "b", now=2.0)
    assert horizon.lease("a", 2.0) == LEASE_SECONDS
    assert horizon.live(4.0) == {"a": LEASE_SECONDS - 1.0, "b": LEASE_SECONDS - 2.0}
    assert horizon.live(2.0 + LEASE_SECONDS) == {"a": 1.0}
    assert horizon.live(3.0 + LEASE_SECONDS) == {}


def test_what_everybody_has_passed_is_where_the_slowest_gateway_is_or_the_end_when_there_is_none() -> None:
    horizon, topics = leading()
    topics.learn(P, 7, 0.5)
    topics.learn("another:0", 3, 0.5)
    assert [horizon.passed(at, 1.0) for at in (P, Q, "another:0", "unknown:0")] == [8, 1, 4, 0]
    with_lease(horizon, "a", "b", now=0.6)
    horizon.reported("a", {P: (1, 6)})
    horizon.reported("b", {P: (1, 7)})
    assert [horizon.passed(at, 1.0) for at in (P, Q, "another:0", "unknown:0")] == [6, 1, 0, 0]


def test_nothing_is_passed_before_the_own_barriers_were_read_back() -> None:
    topics = Topics()
    horizon = Horizon(1, 0.0, 0.0, [P, Q], topics)
    topics.learn(P, 7, 0.0)
    horizon.barrier(P, 7, 1)
    assert horizon.passed(P, 1.0) == 0
    horizon.barrier(Q, 0, 1)
    assert horizon.passed(P, 1.0) == 8


def test_one_change_that_must_wait_holds_no_other_one_up() -> None:
    horizon, topics = leading()
    topics.learn(P, 5, 1.0, "s", 2)
    topics.learn(Q, 4, 1.0, "t", 1)
    waiting = [Pending("unpublished", "u", 1), Pending("early", "t", 2), W, Pending("t", "t", 1)]
    assert horizon.confirmable(waiting, 1.0) == [W, Pending("t", "t", 1)]


def test_a_change_waits_for_its_first_place_and_not_for_later_ones() -> None:
    horizon, topics = leading()
    with_lease(horizon, "g")
    topics.learn(P, 5, 1.1, "s", 2)
    assert horizon.confirmable([W], 1.2) == []
    topics.learn(P, 9, 1.3, "s", 3)
    horizon.reported("g", {P: (1, 6)})
    assert horizon.confirmable([W], 1.4) == [W]
    assert horizon.confirmable([Pending("w2", "s", 3)], 1.4) == []


def test_a_position_is_told_once_and_required_of_whoever_asks_next() -> None:
    horizon, topics = leading()
    assert horizon.to_tell("another:0", 1.0) is None
    topics.learn(P, 5, 1.0)
    assert horizon.to_tell(P, 1.0) == 6
    horizon.reported("late", {P: (1, 5), Q: (1, 1)})
    assert horizon.lease("late", 1.0) == 0.0
    assert horizon.to_tell(P, 1.0) == 6  # not committed yet
    horizon.told(P, 6)
    assert horizon.to_tell(P, 1.0) is None
    topics.learn(P, 6, 1.1)
    assert horizon.to_tell(P, 1.1) == 7


def test_the_first_position_is_told_too() -> None:
    topics = Topics()
    horizon = Horizon(1, 0.0, 0.0, [P], topics)
    topics.learn(P, 0, 0.0)
    horizon.barrier(P, 0, 1)
    assert horizon.to_tell(P, 0.0) == 1


def test_what_is_required_only_grows() -> None:
    horizon, _ = leading()
    horizon.require(P, 4)
    horizon.require(P, 2)
    for position, seconds in ((3, 0.0), (4, LEASE_SECONDS)):
        horizon.reported("g", {P: (1, position), Q: (1, 1)})
        assert horizon.lease("g", 1.0) == seconds


def test_gateways_are_forgotten_a_minute_after_their_lease_and_those_that_never_had_one_are_not() -> None:
    horizon, _ = leading()
    with_lease(horizon, "early", now=0.5 - LEASE_SECONDS)
    with_lease(horizon, "a", now=1.0)
    horizon.reported("new", {P: (1, 1), Q: (1, 1)})
    over = 1.0 + LEASE_SECONDS + 60
    horizon.forget([], over)
    assert set(horizon._gateways) == {"a", "new"}
    horizon.forget([], over + 0.5)
    assert set(horizon._gateways) == {"new"}
    assert horizon.lease("a", over + 0.5) == 0.0
    assert horizon.lease("new", over + 0.5) == LEASE_SECONDS


def test_a_change_that_is_over_is_forgotten_and_one_that_was_never_seen_may_be_too() -> None:
    horizon, topics = leading()
    topics.learn(P, 5, 1.0, "s", 2)
    assert horizon.confirmable([W], 1.0) == [W]
    horizon.forget([W, Pending("never-seen", "s", 9)], 1.0)
    assert horizon._first == {}


def test_behind_counts_only_partitions_that_were_read() -> None:
    horizon, topics = leading()
    with_lease(horizon, "a")
    topics.learn("another:0", 3, 1.0)
    assert horizon.behind(1.0) == 4
    assert horizon.behind(1.0 + LEASE_SECONDS - 0.01) == 4
    assert horizon.behind(1.0 + LEASE_SECONDS) == 0


def test_a_gateway_that_is_just_before_a_change_has_not_passed_it() -> None:
    horizon, topics = leading()
    with_lease(horizon, "g")
    topics.learn(P, 5, 1.0, "s", 2)
    horizon.reported("g", {P: (1, 5)})
    assert horizon.confirmable([W], 1.1) == []
    horizon.reported("g", {P: (1, 6)})
    assert horizon.confirmable([W], 1.1) == [W]


def test_an_old_barrier_of_the_same_number_is_not_ones_own() -> None:
    """A restored database counts its epochs from where the copy was: what lies behind the old one must be read too."""
    topics = Topics()
    horizon = Horizon(4, 0.0, 0.0, [P], topics)
    horizon.wrote(P, 9)
    topics.learn(P, 3, 1.0)
    horizon.barrier(P, 3, 4)
    assert not horizon.ready()
    horizon.reported("g", {P: (4, 4)})
    assert horizon.lease("g", 1.0) == 0.0
    topics.learn(P, 9, 1.1)
    horizon.barrier(P, 9, 4)
    assert horizon.ready()
    assert horizon.lease("g", 1.2) == 0.0
    horizon.reported("g", {P: (4, 10)})
    assert horizon.lease("g", 1.3) == LEASE_SECONDS


def test_a_leader_is_ready_once_it_has_read_the_very_barrier_that_it_wrote_and_requires_it_of_everybody() -> None:
    topics = Topics()
    horizon = Horizon(4, 0.0, 0.0, [P], topics)
    horizon.wrote(P, 9)
    topics.learn(P, 8, 1.0)
    horizon.barrier(P, 3, 4)
    assert not horizon.ready()
    topics.learn(P, 9, 1.0)
    assert horizon.ready()
    for position, seconds in ((8, 0.0), (9, 0.0), (10, LEASE_SECONDS)):
        horizon.reported("g", {P: (4, position)})
        assert horizon.lease("g", 1.0) == seconds


def test_a_leader_that_wrote_the_first_record_of_a_partition_is_not_ready_before_it_has_read_it() -> None:
    topics = Topics()
    horizon = Horizon(1, 0.0, 0.0, [P], topics)
    horizon.wrote(P, 0)
    assert not horizon.ready()
    topics.learn(P, 0, 1.0)
    assert horizon.ready()


def test_what_is_promised_is_a_lease_of_five_seconds_and_a_grace_of_a_quarter() -> None:
    assert (LEASE_SECONDS, GRACE_SECONDS) == (5.0, 0.25)


def test_a_state_is_held_only_where_the_newest_record_says_the_same_in_the_same_version() -> None:
    topics = Topics()
    assert not topics.holds("s", 0, b"mark")
    topics.learn(P, 5, 1.0, "s", 2, b"mark")
    assert topics.holds("s", 2, b"mark")
    assert not topics.holds("s", 2, b"other")
    assert not topics.holds("s", 3, b"mark"), "a newer version is on its way"
    assert not topics.holds("t", 2, b"mark")
    topics.learn(P, 6, 1.0, "s", 3)
    assert not topics.holds("s", 3, b""), "a record without a mark says nothing"
    topics.learn(P, 7, 1.0, "s", 3, b"mark")
    assert not topics.holds("s", 3, b"mark"), "gateways keep the first of a version"


@pytest.mark.parametrize("version", [0, 1, 2])
def test_after_a_record_that_no_leader_writes_it_is_not_known_what_gateways_hold(version: int) -> None:
    """A gateway that cannot read it closes the subject, whatever its version: only another record opens it."""
    topics = Topics()
    topics.learn(P, 5, 1.0, "s", 2, b"mark")
    topics.learn(P, 6, 1.0, "t", 1, b"mark")
    assert topics.holds("s", 2, b"mark")
    topics.learn(P, 7, 1.0, "s", version, b"mark")
    assert not topics.holds("s", 2, b"mark")
    assert topics.places["s"] == Place(2, P, 5)
    assert topics.holds("t", 1, b"mark")
    topics.learn(P, 8, 1.0, "s", 3, b"mark")
    assert topics.holds("s", 3, b"mark")
