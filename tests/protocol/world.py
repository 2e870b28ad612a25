"""A small world around the machines that run: everything that can happen next in a state, step by step.

Steps that nobody else can see are taken together, and each such place says why that is sound.
"""

from collections.abc import Iterator
from typing import Any

from consent.model.horizon import LEASE_SECONDS
from tests.protocol.answering import Answering
from tests.protocol.leading import Leading, stale_ends
from tests.protocol.parts import FILLER, HOLE
from tests.protocol.states import (
    FILLERS,
    LEAVING,
    NOBODY,
    RELAYS,
    RESTORES,
    STOPS,
    UNTABLED,
    State,
    Step,
    less,
    with_,
)  # fmt: skip


class World(Leading, Answering):
    """One size under some rules. `first` is where it starts; `steps` is everything that can happen next."""

    def steps(self, s: State) -> Iterator[Step]:
        for label, after, broken in self._steps(s):
            yield label, self._without_the_past(after), broken

    def _steps(self, s: State) -> Iterator[Step]:
        yield from self._person(s)
        for i in range(self.size.leaders):
            if s[2 + i] != NOBODY:
                yield from self._leader(s, i)
        yield from self._gateway(s)
        for slot in range(self._beat_at, self._answer_at):
            yield from self._beat(s, slot)
        for j in range(1, self.size.gateways):
            yield from self._other_gateway(s, j)
        yield from self._answer(s)
        yield from self._time(s)

    def _person(self, s: State) -> Iterator[Step]:
        versions, told, epoch, fence, changes, left = self.databases.values[s[0]]
        for k, more in enumerate(changes):
            if more:
                fewer = (with_(versions, k, versions[k] + 1), told, epoch, fence, with_(changes, k, more - 1), left)
                yield ("changes", k, versions[k] + 1), self._set(s, 0, self.databases.number(fewer)), None
        if epoch < self.size.leaders:
            before = self.rules.required_at_take == "end before the lock"
            after = self._set(s, 0, self.databases.number((versions, told, epoch + 1, fence, changes, left)))
            for end in stale_ends(self.topics.values[s[1]]) if before else (None,):
                number = self.leaders.taken(epoch + 1)
                number = number if end is None else self.leaders.requires(number, end)
                yield ("takes", epoch, end), self._set(after, 2 + epoch, number), None
        if left[RESTORES] and epoch < self.size.leaders:
            first = (1,) * self.size.subjects
            restored = self.databases.number((first, first, epoch + 1, fence, changes, less(left, RESTORES)))
            yield (
                ("restored", epoch),
                self._set(self._set(s, 0, restored), 2 + epoch, self.leaders.taken(epoch + 1)),
                None,
            )

    def _time(self, s: State) -> Iterator[Step]:
        rates = [(self.size.gateway_rate, self.size.leader_rate)]
        if self.size.drifts:
            rates = [(0.9, 1.1), (1.1, 0.9)]
        for gateway, leader in rates:
            yield ("time", gateway, leader), self._later(s, gateway, leader), None
        *database, left = self.databases.values[s[0]]
        if left[STOPS]:
            fewer = self.databases.number((*database, less(left, STOPS)))
            yield ("stops",), self._set(self._later(s, 0.0, 1.0), 0, fewer), None
        if left[FILLERS]:
            fewer = self.databases.number((*database, less(left, FILLERS)))
            yield ("another",), self._append(self._set(s, 0, fewer), 0, FILLER), None
        if left[RELAYS] and not self.rules.fences:
            fewer = self.databases.number((*database, less(left, RELAYS)))
            yield ("relays", 1), self._append(self._set(s, 0, fewer), 0, 1), None
        if self.size.compaction:
            for k, offset, logs in compactions(
                self.topics.values[s[1]], self.size.lag if self.rules.compaction_lag else 0
            ):
                yield ("compacts", k, offset), self._set(s, 1, self.topics.number(logs)), None

    def _later(self, s: State, gateway_rate: float, leader_rate: float) -> State:
        """A tick. What is on its way out for so long is broken off."""
        tick, after = self.size.tick, list(s)
        if (
            s[self._answer_at] != NOBODY
            and self.answers.values[s[self._answer_at]][0] == LEAVING
            and self.rules.breaks_off
        ):
            after[self._answer_at] = NOBODY
            after[self.answering] = self.gateways.handed_over(s[self.answering])
        alive = self.names(s)
        for at in range(2, 2 + self.size.leaders):
            if s[at] != NOBODY:
                after[at] = self.leaders.ticks(s[at], tick * leader_rate, alive)
        after[self.answering] = self.gateways.ticks(after[self.answering], tick * gateway_rate)
        for at in range(self._beat_at, self._answer_at):
            if s[at] != NOBODY:
                stage, i, age, name, more = self.beats.values[s[at]]
                older = min(age + tick * gateway_rate, LEASE_SECONDS * 2)
                if stage == UNTABLED:
                    more = self.leaders.ticks(more, tick * leader_rate, alive)
                after[at] = self.beats.number((stage, i, older, name, more))
        if self.size.compaction and self.rules.compaction_lag:
            logs = tuple(tuple((r, min(age + 1, self.size.lag)) for r, age in log) for log in self.topics.values[s[1]])
            after[1] = self.topics.number(logs)
        return tuple(after)


def compactions(logs: Any, lag: int) -> Iterator[tuple[int, int, Any]]:
    """Each record that a later one of the same key supersedes, once both are older than the lag."""
    for k, log in enumerate(logs):
        old = [at for at, (record, age) in enumerate(log) if record is not HOLE and record != FILLER and age >= lag]
        for at in old:
            if any(later > at and (log[later][0] > 0) == (log[at][0] > 0) for later in old):
                hollow = (*log[:at], (HOLE, log[at][1]), *log[at + 1 :])
                yield k, at, (*logs[:k], hollow, *logs[k + 1 :])
