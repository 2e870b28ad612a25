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
