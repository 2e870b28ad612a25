"""The machines that run, `Topics`, `Horizon` and `Lease`, as values: frozen, thawed, and each step remembered.

A value holds every attribute of the machine; times in it are relative to the moment of freezing, and what can no
longer make a difference is made equal. `FIELDS` is compared with the machines by a test, so nothing can be forgotten.
"""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from consent.model.horizon import GRACE_SECONDS, Horizon, Place, Topics, _Gateway
from gateway.model.lease import Lease

NOW = 4096.0
"""The moment at which every step happens: only distances count, and these stay exact binary fractions."""

FIELDS = {
    Topics: {"places", "ends", "_recent"},
    Horizon: {"epoch", "_sure_from", "_required", "_topics", "_gateways", "_first", "_told", "_written"},
    _Gateway: {"until", "positions", "epochs"},
    Lease: {"incarnation", "until", "_positions", "_generation", "_outgoing", "_held_back"},
}

Value = tuple[Any, ...]


class Interned:
    """Values by number, so that a state of the world is a handful of small numbers."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        found = self._numbers.get(value)
        if found is None:
            found = self._numbers[value] = len(self.values)
            self.values.append(value)
        return found


def _freeze_topics(topics: Topics, required: dict[str, int | None], now: float) -> Value:
    """Which records are younger than the grace matters only behind what is required anyway; older ones are equal."""
    recent = []
    for partition, entries in sorted(topics._recent.items()):
        if entries:
            topics._drop_old(partition, now)
        floor = required.get(partition) or 0
        kept = [(min(now - at, GRACE_SECONDS), end) for at, end in entries if end > floor]
        if kept:
            recent.append((partition, tuple(kept)))
    places = sorted((subject, p.version, p.partition, p.offset) for subject, p in topics.places.items())
    return tuple(places), tuple(sorted(topics.ends.items())), tuple(recent)


def freeze_horizon(horizon: Horizon, alive: frozenset[str] | None, now: float = NOW) -> Value:
    """`alive`: incarnations that may still ask. Of the others only an unexpired lease can make a difference.

    Where the own barriers are makes none any more once they are read.
    """
    unread = [(partition, at) for partition, at in horizon._written.items() if horizon._topics.ends[partition] <= at]
    assert not unread
    gateways = tuple(
        (name, max(0.0, one.until - now), tuple(sorted(one.positions.items())), tuple(sorted(one.epochs.items())))
        for name, one in sorted(horizon._gateways.items())
        if one.until > now or alive is None or name in alive
    )
    return (
        horizon.epoch, max(0.0, horizon._sure_from - now), tuple(sorted(horizon._required.items())),
        _freeze_topics(horizon._topics, horizon._required, now), gateways, tuple(sorted(horizon._first.items())),
        tuple(sorted(horizon._told.items())),
    )  # fmt: skip


def thaw_horizon(value: Value, kind: type[Horizon], now: float = NOW) -> Horizon:
    epoch, sure, required, (places, ends, recent), gateways, first, told = value
    topics = Topics()
    topics.places = {subject: Place(*place) for subject, *place in places}
    topics.ends = dict(ends)
    topics._recent = {p: deque((now - age, end) for age, end in entries) for p, entries in recent if entries}
    horizon = kind(epoch, now + sure, 0.0, (), topics)
    horizon._required = dict(required)
    horizon._gateways = {
        name: _Gateway(now + left, dict(positions), dict(epochs)) for name, left, positions, epochs in gateways
    }
    horizon._first, horizon._told = dict(first), dict(told)
    return horizon


def freeze_lease(lease: Lease, now: float = NOW) -> Value:
    """Generations count from the oldest answer on its way out: only their order is looked at."""
    going = sorted(token for token, count in lease._outgoing.items() if count)
    first = going[0] if going else lease._generation
    return (
        lease.incarnation, max(0.0, lease.until - now), tuple(sorted(lease._positions.items())),
        lease._generation - first, tuple((token - first, lease._outgoing[token]) for token in going),
        tuple((token - first, tuple(sorted(held.items()))) for token, held in sorted(lease._held_back.items())),
    )  # fmt: skip


def thaw_lease(value: Value, kind: type[Lease], now: float = NOW) -> Lease:
    incarnation, left, positions, generation, outgoing, held = value
    lease = kind(incarnation)
    lease.until = now + left
    lease._positions, lease._generation = dict(positions), generation
    lease._outgoing = Counter(dict(outgoing))
    lease._held_back = {token: dict(each) for token, each in held}
    return lease


def remembered(step: Callable[..., Any]) -> Callable[..., Any]:
    """A step of a machine depends on nothing but its value and its arguments, so it is taken once, then looked up."""
    name = step.__name__

    def looked_up(self: Any, *args: Any) -> Any:
        memory = self.memory.get(name)
        if memory is None:
            memory = self.memory[name] = {}
        found = memory.get(args, memory)
        if found is memory:
            found = memory[args] = step(self, *args)
        return found

    return looked_up
