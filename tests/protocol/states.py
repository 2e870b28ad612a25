"""What a state of a small world is made of, and what of it can no longer make a difference."""

from functools import cache
from typing import Any

from chassis.permit import Cell, Permit
from gateway.model.decide import Refusal
from tests.protocol.frozen import Interned
from tests.protocol.parts import Gateways, Leaders, following
from tests.protocol.rules import Rules, Size

State = tuple[int, ...]
Label = tuple[Any, ...]
Step = tuple[Label, State, str | None]
"""What happened, the state after it, and the promise that it broke."""

NOBODY = -1
SENT, RECEIVED, CHECKED, GRANTED, UNTABLED = range(5)
CUT, LEAVING = range(2)
REPEATS, FILLERS, RESTORES, STOPS, RELAYS = range(5)
"""How often each may still happen; the last part of the database's value."""


@cache
def decision(version: int) -> Permit | Refusal:
    """What the state in this version says: odd ones are a grant of their own, even ones its withdrawal."""
    if version % 2 == 0:
        return Refusal("no-grant")
    return Permit("s", "read", "p", (Cell("c", f"grant {version}", None),))


class States:
    """A state: small numbers, each naming a part: database, topics, leaders, gateways, heartbeats, the answer."""

    def __init__(self, size: Size, rules: Rules | None = None) -> None:
        self.size, self.rules = size, rules or Rules()
        self.partitions = [f"consent.state.v1:{k}" for k in range(size.subjects)]
        self.leaders = Leaders(self.rules, self.partitions)
        self.gateways = Gateways(self.rules, self.partitions)
        self.databases, self.topics, self.beats, self.answers = Interned(), Interned(), Interned(), Interned()
        self.answering = 2 + size.leaders  # the first gateway: the one whose answers are looked at
        self._beat_at = self.answering + size.gateways
        self._answer_at = self._beat_at + size.beats
        self._next: dict[tuple[int, int, int], tuple[int, int] | None] = {}
        self._still: Any = self.rules.allows
        self._old_ones_fade = self.rules.checks_lock == "after" and self.rules.confirms_under_lock
        self.first = self._first()

    def _first(self) -> State:
        """A grant is in force and everybody who needs to was told so; leader 1 leads; gateways are about to start."""
        size = self.size
        versions = (size.begins,) * size.subjects
        changes = (*size.changes, *(0 for _ in range(size.subjects - len(size.changes))))
        left = (size.repeats, size.fillers, size.restores, size.stops, size.relays)
        database = (versions, versions, 1, 0, changes, left)
        topics = tuple(((size.begins, size.lag), (-1, size.lag)) for _ in range(size.subjects))
        leader = self.leaders.fenced(self.leaders.taken(1), topics)
        names = [self.gateways.starts(self._name(j, 0), size.restarts) for j in range(size.gateways)]
        return (
            self.databases.number(database), self.topics.number(topics), leader, *(NOBODY,) * (size.leaders - 1),
            *names, *(NOBODY,) * (size.beats), NOBODY,
        )  # fmt: skip

    def _name(self, j: int, restart: int) -> str:
        return f"g{j}.{restart}" if self.rules.new_incarnation else f"g{j}"

    def following(self, topics: int, at: int, position: int) -> tuple[int, int] | None:
        key = (topics, at, position)
        if key not in self._next:
            self._next[key] = following(self.topics.values[topics][at], position)
        return self._next[key]

    def names(self, s: State) -> frozenset[str]:
        return frozenset(self.gateways.value(s[self.answering + j])[0][0] for j in range(self.size.gateways))

    def newest(self, s: State) -> int:
        """The number of the leader whose epoch the database has."""
        return int(self.databases.values[s[0]][2]) - 1

    def _without_the_past(self, s: State) -> State:
        """A leader that lost its epoch can grant what it had checked, and publish until it is fenced; no more.

        Sound: without the epoch no check and no confirmation succeeds any more. So what it knows of gateways is dropped
        as soon as no heartbeat waits for its grant, and all of it once it is fenced.
        """
        newest = self.newest(s)
        if not newest or not self._old_ones_fade:
            return s
        for i in range(newest):
            number = s[2 + i]
            if number == NOBODY or self.leaders.value(number)[0] == Leaders.TOOK or self._still_grants(s, i):
                continue
            fenced = self.databases.values[s[0]][3] != i and self.rules.fences
            after = NOBODY if fenced else self.leaders.slimmed(number)
            if after != number:
                s = self._set(s, 2 + i, after)
        return s

    def _still_grants(self, s: State, i: int) -> bool:
        waiting = (self.beats.values[s[at]] for at in range(self._beat_at, self._answer_at) if s[at] != NOBODY)
        return any(beat[1] == i and beat[0] in (CHECKED, UNTABLED) for beat in waiting)

    def _set(self, s: State, at: int, number: int) -> State:
        return (*s[:at], number, *s[at + 1 :])


def with_(values: tuple[int, ...], at: int, new: int) -> tuple[int, ...]:
    return (*values[:at], new, *values[at + 1 :])


def less(left: tuple[int, ...], which: int) -> tuple[int, ...]:
    return with_(left, which, left[which] - 1)
