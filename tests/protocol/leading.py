"""What leaders can do next: take over, read, publish, confirm."""

from collections.abc import Iterator
from typing import Any

from tests.protocol.parts import Leaders
from tests.protocol.states import NOBODY, REPEATS, State, States, Step, less, with_


class Leading(States):
    """Steps of the leaders."""

    def _leader(self, s: State, i: int) -> Iterator[Step]:
        number = s[2 + i]
        phase, _, positions, payloads, _ = self.leaders.value(number)
        if phase == Leaders.TOOK:
            if not self.rules.reads_after_fence:
                yield from self._reads_database(s, i)
            yield from self._fences(s, i)
            return
        for at in range(self.size.subjects):
            found = self.following(s[1], at, positions[at])
            if found is not None:
                after = self.leaders.reads(number, at, *found)
                yield ("learns", i, at, *found), self._set(s, 2 + i, after), None
        yield from self._reads_database(s, i)
        for k, payload in enumerate(payloads):
            if payload:
                yield from self._publishes(s, i, k, payload)
        yield from self._confirms(s, i)

    def _fences(self, s: State, i: int) -> Iterator[Step]:
        """Fence, barriers, and reading up to them, in one step.

        Sound: nobody else can append once the fence is there, a record more on a topic only adds to what others may do,
        and what this leader reads before its own barrier shows in nothing that it does before.
        """
        versions, told, epoch, _, *rest = self.databases.values[s[0]]
        appended = tuple((*log, (-(i + 1), 0)) for log in self.topics.values[s[1]])
        number = s[2 + i]
        if self.rules.required_at_take == "stale end":
            for stale in stale_ends(self.topics.values[s[1]]):
                other = self.leaders.fenced(self.leaders.requires(number, stale), appended)
                after = self._set(s, 0, self.databases.number((versions, told, epoch, i, *rest)))
                after = self._set(self._set(after, 1, self.topics.number(appended)), 2 + i, other)
                yield ("fences", i, stale), after, None
            return
        number = self.leaders.fenced(number, appended)
        if self.rules.alarms_when_topic_is_newer and self.leaders.ahead(number, versions):
            number = NOBODY  # it stops and raises the alarm
        after = self._set(s, 0, self.databases.number((versions, told, epoch, i, *rest)))
        yield ("fences", i), self._set(self._set(after, 1, self.topics.number(appended)), 2 + i, number), None

    def _reads_database(self, s: State, i: int) -> Iterator[Step]:
        """It reads what it is about to publish: what is behind, or anything when a relay repeats itself."""
        number = s[2 + i]
        versions, told, epoch, fence, changes, left = self.databases.values[s[0]]
        behind = self.leaders.behind(number, versions)
        for k in range(self.size.subjects):
            if self.leaders.value(number)[3][k]:
                continue
            after = self.leaders.holds(number, k, versions[k])
            if k in behind:
                if self.rules.publishes_again or i == 0:
                    yield ("prepares", i, k, versions[k]), self._set(s, 2 + i, after), None
            elif left[REPEATS]:
                fewer = self.databases.number((versions, told, epoch, fence, changes, less(left, REPEATS)))
                yield ("repeats", i, k, versions[k]), self._set(self._set(s, 2 + i, after), 0, fewer), None

    def _publishes(self, s: State, i: int, k: int, payload: int) -> Iterator[Step]:
        versions, told, epoch, fence, *rest = self.databases.values[s[0]]
        if fence != i and self.rules.fences:
            yield ("fenced off", i), self._set(s, 2 + i, self.leaders.drops(s[2 + i], k)), None
            return
        # In one step: whoever publishes has its answer within a deadline, or leads no longer.
        number = self.leaders.published(s[2 + i], k, len(self.topics.values[s[1]][k]))
        after = self._set(self._append(s, k, payload), 2 + i, number)
        early = not self.rules.tells_when_confirmed or (not self.rules.counts_grants and payload % 2 == 1)
        if early and payload > told[k]:
            database = (versions, with_(told, k, payload), epoch, fence, *rest)
            after = self._set(after, 0, self.databases.number(database))
        yield ("publishes", i, k, payload, early), after, None

    def _append(self, s: State, k: int, record: int) -> State:
        logs = self.topics.values[s[1]]
        return self._set(s, 1, self.topics.number((*logs[:k], (*logs[k], (record, 0)), *logs[k + 1 :])))

    def _confirms(self, s: State, i: int) -> Iterator[Step]:
        """Found, committed and told in one step.

        Sound: between finding and telling only this leader's own demands are higher, and telling earlier leaves more
        answers to be wrong; whoever leads when it commits led when it found.
        """
        versions, told, epoch, *rest = self.databases.values[s[0]]
        pending = tuple((k, v) for k in range(self.size.subjects) for v in range(told[k] + 1, versions[k] + 1))
        if not pending:
            return
        number, done = self.leaders.confirms(s[2 + i], pending)
        after = self._set(s, 2 + i, number)
        if done and (epoch == i + 1 or not self.rules.confirms_under_lock):
            now = tuple(max([told[k], *(v for k2, v in done if k2 == k)]) for k in range(self.size.subjects))
            database = self.databases.number((versions, now, epoch, *rest))
            yield ("confirms", i, done), self._set(after, 0, database), None
        elif not done and number != s[2 + i]:
            yield ("looks", i), after, None  # it has noted where the change is


def stale_ends(logs: Any) -> Iterator[tuple[int, ...]]:
    """Ends that were right one or two records ago."""
    for missing in (1, 2):
        yield tuple(max(0, len(log) - missing) for log in logs)
