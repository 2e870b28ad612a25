"""Leases and confirmations of one leader, rule by rule (protocol.md)."""

from consent.model.horizon import GRACE_SECONDS, LEASE_SECONDS, Horizon, Pending, Topics

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
