"""Each rule taken out on purpose: in which small world it is missed, and what the story must end with."""

from dataclasses import dataclass

from consent.model.horizon import LEASE_SECONDS, Horizon
from gateway.model.lease import Lease
from tests.protocol.rules import Rules, Size

STALE, REFUSED, UNCONFIRMED, SILENT = "was answered under", "was refused although", "was not confirmed", "got no lease"


@dataclass(frozen=True, slots=True)
class Break:
    """What is done wrongly, in words; `ends` is part of the last line of its story."""

    rule: str
    rules: Rules
    size: Size
    ends: str = STALE


class _NothingRequired(Horizon):
    """Leases for whoever asks, wherever they have read to at a take-over."""

    def barrier(self, partition: str, offset: int, epoch: int) -> None:
        if epoch == self.epoch:
            self._required[partition] = self._required[partition] or 0

    def wrote(self, partition: str, offset: int) -> None:
        self._written[partition] = offset

    def _far_enough(self, gateway: object, partition: str, now: float) -> bool:
        position = gateway.positions.get(partition, 0)  # type: ignore[attr-defined]
        return bool(position >= max(self._required[partition] or 0, self._topics.settled(partition, now)))


class _ConfirmedNotRequired(Horizon):
    def require(self, partition: str, position: int) -> None:
        """Nothing: who comes later need not have passed it."""


class _NoFloor(Horizon):
    def _far_enough(self, gateway: object, partition: str, now: float) -> bool:
        required = self._required[partition]
        return required is not None and bool(gateway.positions.get(partition, 0) >= required)  # type: ignore[attr-defined]


class _OnePastTheEnd(Horizon):
    """The end of a topic after a transaction is one past its last record: taken for what must be reported."""

    def barrier(self, partition: str, offset: int, epoch: int) -> None:
        super().barrier(partition, offset + 1, epoch)


class _NotTheSlowest(Horizon):
    def passed(self, partition: str, now: float) -> int:
        if now < self._sure_from or not self.ready():
            return 0
        return max((one.positions.get(partition, 0) for one in self._gateways.values() if one.until > now), default=99)


class _LongLease(Lease):
    def granted(self, sent: float, seconds: float) -> None:
        if seconds > 0:
            self.until = max(self.until, sent + 1.5 * seconds)


class _WholeLease(Lease):
    def granted(self, sent: float, seconds: float) -> None:
        if seconds > 0:
            self.until = max(self.until, sent + seconds)


def _any_permit(first: object, again: object) -> bool:
    return type(first) is type(again)


ONE = Size("one leader", leaders=1)
TWO = Size("two leaders")
PAIR = Size("two gateways", leaders=1, gateways=2)
WIRE = Size("messages", leaders=1, messages=True, beats=2)
AGAIN = Size("withdrawn and granted anew", leaders=1, changes=(2,))
THRICE = Size("withdrawn, granted, withdrawn", leaders=1, changes=(3,))
HOLES = Size("compaction", leaders=1, compaction=True, fillers=1, changes=(2,))
QUICK = Size("compaction, long ticks", leaders=1, compaction=True, fillers=1, changes=(2,), tick=7.5, lag=1)
RELAY = Size("an old relay and compaction", leaders=1, compaction=True, relays=1)
FINE = Size("finer time", leaders=1, tick=1.25, gateway_rate=0.9, leader_rate=1.1)

BREAKS = [
    Break("gateways answer without a lease", Rules(needs_lease=False), ONE, REFUSED),
    Break("the lease counts from when it arrives", Rules(counts_from="received"), WIRE),
    Break("an answer is taken for that to the newest heartbeat", Rules(counts_from="latest"), WIRE),
    Break(
        "a gateway that starts again keeps its name",
        Rules(new_incarnation=False),
        Size("restart", leaders=1, restarts=1),
    ),
    Break("the gateway's lease is longer than the leader's", Rules(lease=_LongLease), ONE),
    Break("the gateway counts the whole lease: nothing is left for clocks that drift", Rules(lease=_WholeLease), FINE),
    Break("a heartbeat is granted without asking whether this leader still leads", Rules(checks_lock="never"), TWO),
    Break("whether it still leads was asked before the heartbeat came", Rules(checks_lock="before"), TWO),
    Break("a leader confirms without holding the lock", Rules(confirms_under_lock=False), TWO),
    Break("a new leader does not wait for leases of the old one", Rules(waits=0.0), TWO),
    Break("a new leader waits for half a lease", Rules(waits=LEASE_SECONDS / 2), TWO),
    Break("a new leader requires nothing", Rules(horizon=_NothingRequired), TWO),
    Break(
        "a new leader asks for the topic's end before it has the lock",
        Rules(horizon=_NothingRequired, required_at_take="end before the lock"),
        TWO,
    ),
    Break(
        "a new leader is told the topic's end by a broker that is behind",
        Rules(horizon=_NothingRequired, required_at_take="stale end"),
        TWO,
    ),
    Break(
        "the topic's end after a transaction is taken for a position that is reported",
        Rules(horizon=_OnePastTheEnd),
        ONE,
        SILENT,
    ),
    Break("what is confirmed is not required of whoever asks next", Rules(horizon=_ConfirmedNotRequired), ONE),
    Break("one gateway that has passed it is enough", Rules(horizon=_NotTheSlowest), PAIR),
    Break("a gateway that stays behind keeps its lease for ever", Rules(horizon=_NoFloor), ONE, UNCONFIRMED),
    Break("the lease is sent before it is in the table", Rules(tabled_before_answer=False), ONE),
    Break("nothing is decided again when the answer leaves", Rules(checks_again=False), ONE),
    Break("it is decided again, but the lease is not looked at", Rules(checks_lease_again=False), ONE),
    Break("any grant is good enough the second time", Rules(allows=_any_permit), AGAIN),
    Break("a refusal is not decided again", Rules(checks_refusals_again=False), AGAIN, REFUSED),
    Break("the position moves before the change is applied", Rules(applies_before_position=False), ONE),
    Break("an answer on its way out does not hold back the report", Rules(holds_report_back=False), ONE),
    Break("an answer that does not leave is not broken off", Rules(breaks_off=False), ONE),
    Break(
        "only withdrawals are waited for: a new grant is told when it is published", Rules(counts_grants=False), AGAIN
    ),
    Break("a withdrawal is told when it is published", Rules(tells_when_confirmed=False), ONE),
    Break(
        "old records come again, and gateways take them",
        Rules(fences=False, ignores_older=False),
        Size("an old relay", leaders=1, relays=1),
    ),
    Break("an old relay is not fenced, and compaction keeps its record", Rules(fences=False), RELAY),
    Break(
        "the leader publishes what it read before the old one was fenced",
        Rules(reads_after_fence=False, ignores_older=False),
        TWO,
    ),
    Break("compaction does not wait", Rules(compaction_lag=False), HOLES),
    Break(
        "a leader requires only what it has read back, and compaction takes what was told",
        Rules(counts_published=False),
        QUICK,
    ),
    Break("what only the database has is not published at a take-over", Rules(publishes_again=False), TWO, UNCONFIRMED),
    Break(
        "a leader knows only of its own publications, and repeats none",
        Rules(learns_from_topic=False, publishes_again=False),
        TWO,
        UNCONFIRMED,
    ),
    Break("a restored database leads", Rules(alarms_when_topic_is_newer=False), Size("restored", begins=3, restores=1)),
    Break("the gateway's machine stops, and its clock with it", Rules(), Size("clock", leaders=1, stops=2)),
    Break(
        "clocks drift by forty per cent",
        Rules(),
        Size("drift", leaders=1, tick=1.25, gateway_rate=0.6, leader_rate=1.4),
    ),
]
