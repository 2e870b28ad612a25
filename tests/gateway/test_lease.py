"""The lease of a gateway: counted from before it asked, and reports held back while answers leave."""

from gateway.model.lease import SHARE, Lease

P, Q = "consent.state.v1:0", "consent.state.v1:1"


def test_a_lease_is_counted_from_before_the_question() -> None:
    lease = Lease("i")
    lease.granted(sent=100.0, seconds=5.0)
    assert lease.holds(100.0 + SHARE * 5.0 - 0.001)
    assert not lease.holds(100.0 + SHARE * 5.0)


def test_a_late_answer_does_not_shorten_a_lease_and_a_refusal_gives_none() -> None:
    lease = Lease("i")
    lease.granted(110.0, 5.0)
    lease.granted(100.0, 5.0)
    lease.granted(120.0, 0.0)
    assert lease.until == 110.0 + SHARE * 5.0


def test_a_report_never_passes_the_oldest_answer_on_its_way_out() -> None:
    lease = Lease("i")
    lease.applied(P, 1, epoch=1)
    lease.applied(Q, 4)
    first = lease.checked()
    lease.applied(P, 2)
    second = lease.checked()
    lease.applied(Q, 9)
    assert lease.report() == {P: (1, 1), Q: (0, 4)}
    lease.handed_over(first)
    assert lease.report() == {P: (1, 2), Q: (0, 4)}
    lease.handed_over(second)
    assert lease.report() == {P: (1, 2), Q: (0, 9)}


def test_two_answers_checked_at_once_both_hold_the_report_back() -> None:
    lease = Lease("i")
    lease.applied(P, 1)
    tokens = [lease.checked(), lease.checked()]
    lease.applied(P, 2)
    lease.handed_over(tokens[0])
    assert lease.report() == {P: (0, 1)}
    lease.handed_over(tokens[1])
    assert lease.report() == {P: (0, 2)}


def test_nobody_answers_before_the_first_lease() -> None:
    lease = Lease("i")
    assert lease.incarnation == "i"
    assert lease.report() == {}
    assert not lease.holds(0.0)


def test_a_lease_of_less_than_a_second_counts_too() -> None:
    lease = Lease("i")
    lease.granted(100.0, 0.5)
    assert lease.until == 100.0 + SHARE * 0.5


def test_neither_epoch_nor_position_goes_back() -> None:
    lease = Lease("i")
    lease.applied(P, 7, epoch=3)
    lease.applied(P, 6, epoch=2)
    assert lease.report() == {P: (3, 7)}
    lease.applied(P, 8)
    lease.applied(Q, 0)
    assert lease.report() == {P: (3, 8), Q: (0, 0)}


def test_each_answer_holds_the_report_back_at_where_it_was_checked_itself() -> None:
    lease = Lease("i")
    tokens = []
    for position in (1, 2, 3):
        lease.applied(P, position)
        tokens.append(lease.checked())
    lease.applied(P, 4)
    lease.applied(P, 5)
    for place, token in enumerate(tokens):
        assert lease.report() == {P: (0, place + 1)}
        lease.handed_over(token)
    assert lease.report() == {P: (0, 5)}


def test_nothing_is_remembered_of_an_answer_that_has_left() -> None:
    lease = Lease("i")
    lease.applied(P, 1)
    lease.handed_over(lease.checked())
    lease.applied(P, 2)
    assert lease.report() == {P: (0, 2)}
    token = lease.checked()
    lease.applied(P, 3)
    lease.handed_over(token)
    assert (lease._outgoing, lease._held_back) == ({}, {})


def test_with_clocks_that_drift_by_ten_per_cent_the_gateways_view_of_a_lease_ends_well_before_the_leaders() -> None:
    slow, fast, seconds = 0.9, 1.1, 5.0
    lease = Lease("i")
    lease.granted(0.0, seconds)
    assert 0.6 < seconds / fast - lease.until / slow < 0.7


def test_an_answer_that_comes_twice_or_a_minute_late_opens_nothing() -> None:
    lease = Lease("i")
    lease.granted(sent=100.0, seconds=5.0)
    until = lease.until
    lease.granted(sent=100.0, seconds=5.0)
    assert lease.until == until
    late = Lease("i")
    late.granted(sent=100.0, seconds=5.0)  # read at 160
    assert not late.holds(160.0)
