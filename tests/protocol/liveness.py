"""From every state reached: without further faults everything is confirmed in time, and gateways answer again.

What is asked depends on few parts of a state (database, topics, the newest leader, one gateway), so each combination
is followed once and every state is looked up.
"""

from consent.model.horizon import GRACE_SECONDS, LEASE_SECONDS
from tests.protocol.parts import Leaders
from tests.protocol.states import NOBODY, State
from tests.protocol.world import World

_INSTANT = 1 / 64
LONGEST = GRACE_SECONDS + LEASE_SECONDS
"""Seconds of the leader's clock from publication or, if later, from the take-over to the confirmation."""
_MOMENTS = (0.0, GRACE_SECONDS - _INSTANT, GRACE_SECONDS, 1.0, 2.0, 3.0, 4.0, 5.0, LONGEST)
"""When gateways that do not move ask for more, as often as may matter; at the last one everything must be confirmed."""


class Liveness:
    """Follows one path without faults: the leader goes on, or, where there is none that can, another one takes over."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[tuple[int, ...], str | None] = {}
        self.followed = 0

    def broken(self, s: State) -> str | None:
        """What does not come true from here, or None."""
        w = self._world
        newest = w.newest(s)
        leader, gateway = s[2 + newest], s[w.answering]
        key = (s[0], s[1], leader, gateway)
        if key not in self._seen:
            self.followed += 1
            self._seen[key] = self._taken_over(s) or self._goes_on(s, newest, leader)
        return self._seen[key]

    def _taken_over(self, s: State) -> str | None:
        """A new leader takes over now; earlier ones may have granted leases just before."""
        w = self._world
        newest = w.newest(s) + 1
        return self._leads(s, newest, w.leaders.taken(newest + 1))

    def _goes_on(self, s: State, newest: int, leader: int) -> str | None:
        """The newest leader was only slow. One that an earlier one has fenced gives up: then it is as above."""
        w = self._world
        if leader == NOBODY:
            return None
        fenced_off = w.leaders.value(leader)[0] == Leaders.LEADS and w.databases.values[s[0]][3] != newest
        return None if fenced_off else self._leads(s, newest, leader)

    def _leads(self, s: State, i: int, leader: int) -> str | None:
        """It publishes what is behind; gateways renew as long as they can without moving; then it must be confirmed."""
        w = self._world
        database, logs = w.databases.values[s[0]], w.topics.values[s[1]]
        versions, told = database[0], database[1]
        if w.leaders.value(leader)[0] == Leaders.TOOK:
            logs = tuple((*log, (-(i + 1), 0)) for log in logs)
            leader = w.leaders.fenced(leader, logs)
        if w.leaders.ahead(leader, versions) and w.rules.alarms_when_topic_is_newer:
            return None  # a restored database: it stops and raises the alarm
        for k in w.leaders.behind(leader, versions) if w.rules.publishes_again or i == 0 else ():
            logs = (*logs[:k], (*logs[k], (versions[k], 0)), *logs[k + 1 :])
            leader = w.leaders.holds(w.leaders.holds(leader, k, versions[k]), k, 0)
        leader = w.leaders.fenced(leader, logs)
        return self._confirmed_in_time(leader, versions, told) or self._answers_again(s, leader, logs)

    def _confirmed_in_time(self, leader: int, versions: tuple[int, ...], told: tuple[int, ...]) -> str | None:
        w = self._world
        pending = tuple((k, v) for k in range(len(told)) for v in range(told[k] + 1, versions[k] + 1))
        if not pending:
            return None
        names = [one[0] for one in w.leaders.value(leader)[1][4]]
        waited = 0.0
        for moment in _MOMENTS:
            leader = w.leaders.ticks(leader, moment - waited, frozenset(names))
            waited = moment
            if moment < LONGEST:
                for name in names:
                    leader, _ = w.leaders.leases(leader, name)
        _, done = w.leaders.confirms(leader, pending)
        left = [change for change in pending if change not in done]
        return f"version {left[0][1]} was not confirmed {LONGEST} s after its publication" if left else None

    def _answers_again(self, s: State, leader: int, logs: tuple[tuple[tuple[int | None, int], ...], ...]) -> str | None:
        """A gateway that reads everything and asks gets a lease, and may then answer."""
        w = self._world
        gateway = s[w.answering]
        if s[-1] != NOBODY and w.answers.values[s[-1]][0]:
            gateway = w.gateways.handed_over(gateway)  # what was on its way out has left or was broken off
        gateway = w.gateways.reads_all(gateway, logs)
        leader = w.leaders.reported(leader, w.gateways.value(gateway)[0][0], w.gateways.report(gateway))
        _, seconds = w.leaders.leases(leader, w.gateways.value(gateway)[0][0])
        if not w.gateways.may_answer(w.gateways.granted(gateway, 0.0, seconds)):
            return "a gateway that has read everything got no lease"
        return None
