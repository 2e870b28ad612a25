"""Leaders, gateways and topics of a small world: values, and steps that run the machines."""

from typing import Any

from consent.model.horizon import LEASE_SECONDS, Horizon, Pending, Topics
from tests.protocol.frozen import (
    NOW,
    Interned,
    Value,
    freeze_horizon,
    freeze_lease,
    remembered,
    thaw_horizon,
    thaw_lease,
)
from tests.protocol.rules import Rules

HOLE, FILLER = None, 0  # other records: a version, or minus an epoch for a barrier

Logs = tuple[tuple[tuple[int | None, int], ...], ...]
"""Of each partition its records: what and how old in ticks."""


def following(log: tuple[tuple[int | None, int], ...], position: int) -> tuple[int, int] | None:
    """(offset, record) of the next record from this position on."""
    return next(((at, log[at][0] or 0) for at in range(position, len(log)) if log[at][0] is not HOLE), None)


class Leaders:
    """A value: (phase, horizon, position read per partition, payload per subject, version sent per subject)."""

    TOOK, LEADS = 0, 1

    def __init__(self, rules: Rules, partitions: list[str]) -> None:
        self.memory: dict[str, dict[Any, Any]] = {}
        self.all = Interned()
        self._rules, self._partitions = rules, partitions

    def value(self, number: int) -> Value:
        return self.all.values[number]

    def taken(self, epoch: int) -> int:
        """`epoch` was raised just now."""
        wait = self._rules.waits if epoch > 1 else 0.0
        horizon = self._rules.horizon(epoch, NOW, wait, self._partitions, Topics())
        nothing = (0,) * len(self._partitions)
        return self.all.number((self.TOOK, freeze_horizon(horizon, None), nothing, nothing, nothing))

    def _thawed(self, number: int) -> tuple[Value, Horizon]:
        value = self.all.values[number]
        return value, thaw_horizon(value[1], self._rules.horizon)

    def _frozen(self, value: Value, horizon: Horizon, alive: frozenset[str] | None = None, now: float = NOW) -> int:
        return self.all.number((value[0], freeze_horizon(horizon, alive, now), *value[2:]))

    @remembered
    def fenced(self, number: int, logs: Logs) -> int:
        """The barriers are written; everything up to them is read (nobody sees the steps in between)."""
        for at in range(len(self._partitions)):
            while (found := following(logs[at], self.all.values[number][2][at])) is not None:
                number = self.reads(number, at, *found)
        value, horizon = self._thawed(number)
        for partition, log in zip(self._partitions, logs, strict=True):
            own = (at for at in range(len(log)) if log[at][0] == -horizon.epoch)
            if value[0] == self.TOOK and (last := max(own, default=-1)) >= 0:
                horizon.wrote(partition, last)
        return self._frozen((self.LEADS, *value[1:]), horizon)

    @remembered
    def reads(self, number: int, at: int, offset: int, record: int) -> int:
        value, horizon = self._thawed(number)
        partition = self._partitions[at]
        known = record > 0 and (self._rules.learns_from_topic or value[4][at] >= record)
        horizon._topics.learn(partition, offset, NOW, f"s{at}" if known else None, record if known else 0)
        if record < 0:
            horizon.barrier(partition, offset, -record)
        value = (value[0], None, _with(value[2], at, offset + 1), *value[3:])
        return self._frozen(value, horizon)

    @remembered
    def requires(self, number: int, positions: tuple[int, ...]) -> int:
        value, horizon = self._thawed(number)
        for partition, position in zip(self._partitions, positions, strict=True):
            horizon.require(partition, position)
        return self._frozen(value, horizon)

    @remembered
    def behind(self, number: int, versions: tuple[int, ...]) -> list[int]:
        """Subjects that the leader publishes of its own accord."""
        value, horizon = self._thawed(number)
        sent = {f"s{k}": version for k, version in enumerate(value[4])}
        database = {f"s{k}": version for k, version in enumerate(versions)}
        return [int(subject[1:]) for subject in horizon._topics.behind(database, sent)]

    @remembered
    def ahead(self, number: int, versions: tuple[int, ...]) -> bool:
        _, horizon = self._thawed(number)
        return bool(horizon._topics.ahead({f"s{k}": version for k, version in enumerate(versions)}))

    @remembered
    def holds(self, number: int, k: int, payload: int) -> int:
        """The state of a subject as the database has it is in the leader's hands; 0: no longer."""
        value = self.all.values[number]
        sent = max(value[4][k], 0 if payload else value[3][k])
        return self.all.number((*value[:3], _with(value[3], k, payload), _with(value[4], k, sent)))

    @remembered
    def published(self, number: int, k: int, offset: int) -> int:
        """What it had in its hands is on the topic."""
        value, horizon = self._thawed(self.holds(number, k, 0))
        if self._rules.counts_published:
            horizon._topics.published(self._partitions[k], offset, NOW)
        return self._frozen(value, horizon)

    @remembered
    def drops(self, number: int, k: int) -> int:
        """It was fenced off: what it had in its hands is not published."""
        value = self.all.values[number]
        return self.all.number((*value[:3], _with(value[3], k, 0), value[4]))

    @remembered
    def slimmed(self, number: int) -> int:
        """Without gateways and times: it grants and confirms nothing any more."""
        value, horizon = self._thawed(number)
        horizon._gateways, horizon._first, horizon._sure_from = {}, {}, 0.0
        for entries in horizon._topics._recent.values():
            entries.clear()
        return self._frozen(value, horizon)

    @remembered
    def reported(self, number: int, name: str, report: tuple[tuple[str, tuple[int, int]], ...]) -> int:
        value, horizon = self._thawed(number)
        horizon.reported(name, dict(report))
        return self._frozen(value, horizon)

    @remembered
    def leases(self, number: int, name: str) -> tuple[int, float]:
        value, horizon = self._thawed(number)
        seconds = horizon.lease(name, NOW)
        return self._frozen(value, horizon), seconds

    @remembered
    def confirms(self, number: int, pending: tuple[tuple[int, int], ...]) -> tuple[int, tuple[tuple[int, int], ...]]:
        """pending: (subject, version)."""
        value, horizon = self._thawed(number)
        changes = [Pending(f"s{k}v{version}", f"s{k}", version) for k, version in pending]
        done = horizon.confirmable(changes, NOW)
        horizon.forget(done, NOW)
        return self._frozen(value, horizon), tuple((int(one.subject[1:]), one.version) for one in done)

    @remembered
    def ticks(self, number: int, seconds: float, alive: frozenset[str]) -> int:
        value, horizon = self._thawed(number)
        return self._frozen(value, horizon, alive, NOW + seconds)


class Gateways:
    """A value: (lease, version held per subject, record whose fact is not applied yet, restarts left)."""

    def __init__(self, rules: Rules, partitions: list[str]) -> None:
        self.memory: dict[str, dict[Any, Any]] = {}
        self.all = Interned()
        self._rules, self._partitions = rules, partitions

    def value(self, number: int) -> Value:
        return self.all.values[number]

    def starts(self, name: str, restarts: int) -> int:
        held = (0,) * len(self._partitions)
        return self.all.number((freeze_lease(self._rules.lease(name)), held, None, restarts))

    @remembered
    def position(self, number: int, at: int) -> int:
        return int(dict(self.all.values[number][0][2]).get(self._partitions[at], (0, 0))[1])

    @remembered
    def reads(self, number: int, at: int, offset: int, record: int) -> int:
        """One record in one step: first the fact, then the position."""
        value = self.all.values[number]
        lease = thaw_lease(value[0], self._rules.lease)
        lease.applied(self._partitions[at], offset + 1, -record if record < 0 else None)
        held, unapplied = value[1], None
        if record > 0:
            if self._rules.applies_before_position:
                held = self._held(held, at, record)
            else:
                unapplied = (at, record)
        return self.all.number((freeze_lease(lease), held, unapplied, value[3]))

    @remembered
    def reads_all(self, number: int, logs: Logs) -> int:
        if self.all.values[number][2] is not None:
            number = self.applies(number)
        for at, log in enumerate(logs):
            while (found := following(log, self.position(number, at))) is not None:
                number = self.reads(number, at, *found)
                if self.all.values[number][2] is not None:
                    number = self.applies(number)
        return number

    def _held(self, held: tuple[int, ...], at: int, version: int) -> tuple[int, ...]:
        """`Facts` takes a record that is newer than what it holds (tests/gateway shows that)."""
        return _with(held, at, version) if version > held[at] or not self._rules.ignores_older else held

    @remembered
    def applies(self, number: int) -> int:
        lease, held, (at, version), restarts = self.all.values[number]
        return self.all.number((lease, self._held(held, at, version), None, restarts))

    @remembered
    def report(self, number: int) -> tuple[tuple[str, tuple[int, int]], ...]:
        lease = thaw_lease(self.all.values[number][0], self._rules.lease)
        found = lease.report() if self._rules.holds_report_back else lease._positions
        return tuple(sorted(found.items()))

    @remembered
    def granted(self, number: int, age: float, seconds: float) -> int:
        value = self.all.values[number]
        lease = thaw_lease(value[0], self._rules.lease)
        lease.granted(NOW - age, seconds)
        return self.all.number((freeze_lease(lease), *value[1:]))

    @remembered
    def may_answer(self, number: int) -> bool:
        return thaw_lease(self.all.values[number][0], self._rules.lease).holds(NOW)

    @remembered
    def checked(self, number: int) -> int:
        value = self.all.values[number]
        lease = thaw_lease(value[0], self._rules.lease)
        lease.checked()
        return self.all.number((freeze_lease(lease), *value[1:]))

    @remembered
    def handed_over(self, number: int) -> int:
        """There is one answer on its way out at most, and generations count from it."""
        value = self.all.values[number]
        lease = thaw_lease(value[0], self._rules.lease)
        lease.handed_over(0)
        return self.all.number((freeze_lease(lease), *value[1:]))

    @remembered
    def ticks(self, number: int, seconds: float) -> int:
        value = self.all.values[number]
        return self.all.number((freeze_lease(thaw_lease(value[0], self._rules.lease), NOW + seconds), *value[1:]))


def _with(values: tuple[int, ...], at: int, new: int) -> tuple[int, ...]:
    return (*values[:at], new, *values[at + 1 :])


__all__ = ["FILLER", "HOLE", "LEASE_SECONDS", "Gateways", "Leaders", "Logs", "following"]
