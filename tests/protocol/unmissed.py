"""Rules that the promises of the model do not need, each with why it is there all the same."""

from dataclasses import dataclass

from consent.model.horizon import Horizon
from tests.protocol.breaks import ONE, TWO
from tests.protocol.rules import Rules, Size


@dataclass(frozen=True, slots=True)
class NoStory:
    """A rule that safety and liveness of the model do not need, and why it is there all the same."""

    rule: str
    why: str
    rules: Rules | None = None
    size: Size | None = None
    shown_by: str | None = None
    """A test on the real wire, database or broker."""


class _AnyEpoch(Horizon):
    def _far_enough(self, gateway: object, partition: str, now: float) -> bool:
        required = self._required[partition]
        known = gateway.positions.get(partition, 0)  # type: ignore[attr-defined]
        return required is not None and bool(known >= max(required, self._topics.settled(partition, now)))


class _NoGrace(Horizon):
    """Every record that the leader has read must have been applied, at once."""

    def _far_enough(self, gateway: object, partition: str, now: float) -> bool:
        known = gateway.positions.get(partition, 0)  # type: ignore[attr-defined]
        enough = bool(known >= self._topics.ends.get(partition, 0))
        return enough and super()._far_enough(gateway, partition, now)  # type: ignore[arg-type]


NO_STORY = [
    NoStory(
        "gateways ignore a version that is not newer",
        "redundant beside the fence; it covers a broken fence",
        Rules(ignores_older=False),
        TWO,
    ),
    NoStory(
        "the first decision, and the lease at it",
        "redundant for safety beside the second; it spares the owner the work",
        Rules(first_decide=False),
        ONE,
    ),
    NoStory(
        "the report names the epoch of the last barrier",
        "redundant beside the barrier's position; it covers a topic that was cut",
        Rules(horizon=_AnyEpoch),
        TWO,
    ),
    NoStory(
        "the grace of 250 ms",
        "for availability only: without it many changes leave gateways without a lease",
        Rules(horizon=_NoGrace),
        ONE,
    ),
    NoStory(
        "one heartbeat at a time",
        "redundant where each answer is matched to its heartbeat; the world `messages` has two",
    ),
    NoStory(
        "the report goes out in a later turn of the loop than what was written before",
        "below the model",
        shown_by="tests/gateway/test_door_wire.py::test_what_is_written_has_reached_the_kernel_when_the_step_ends",
    ),
    NoStory(
        "an answer that the client does not take is broken off, and holds back the report until then",
        "in the model it is one step",
        shown_by="tests/gateway/test_door_wire.py::test_a_client_that_does_not_read_is_broken_off_and_holds_the_report_back_until_then",
    ),
    NoStory(
        "a stream is checked chunk by chunk",
        "below the model: each chunk is an answer of its own",
        shown_by="tests/gateway/test_door_wire.py::test_a_withdrawal_stops_an_answer_between_two_chunks",
    ),
    NoStory(
        "starting the producer fences the one before",
        "the broker's part of the fence",
        shown_by="tests/directory/test_publishing.py::test_a_publisher_that_was_paused_is_fenced_and_marks_nothing",
    ),
    NoStory(
        "a leader that is stopped loses its session and the lock",
        "for availability: nobody could take over",
        shown_by="tests/protocol/test_below.py::test_a_session_that_is_silent_loses_its_lock",
    ),
    NoStory(
        "a check that began before a heartbeat came does not serve it",
        "the model has the rule; this is its batching",
        shown_by="tests/protocol/test_below.py::test_a_check_serves_only_heartbeats_that_came_before_it_began",
    ),
    NoStory(
        "leases are counted on CLOCK_BOOTTIME",
        "the model has the clock that stops; this is which clock it is",
        shown_by="tests/protocol/test_below.py::test_the_lease_clock_goes_on_while_the_machine_sleeps",
    ),
    NoStory(
        "nothing else tells a change before it is confirmed: status, event, e-mail, a repeated call",
        "outside the model",
        shown_by="tests/consent/test_withdrawals.py::test_a_withdrawal_is_pending_everywhere_until_it_is_confirmed",
    ),
    NoStory("acks=all, min ISR, no unclean election", "an assumption: a lost acknowledged record is not survived"),
    NoStory("one primary database", "an assumption: the check is a write on it"),
]
"""Explored whole without the rule where `rules` are named; else with the test that shows it, or an assumption."""
