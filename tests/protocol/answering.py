"""What gateways can do next: read, ask for a lease, answer."""

from collections.abc import Iterator

from tests.protocol.parts import Leaders
from tests.protocol.states import (
    CHECKED,
    CUT,
    GRANTED,
    LEAVING,
    NOBODY,
    RECEIVED,
    RESTORES,
    SENT,
    UNTABLED,
    State,
    States,
    Step,
    decision,
)  # fmt: skip


class Answering(States):
    """Steps of the gateways, of their heartbeats, and of the one answer that is looked at."""

    def _gateway(self, s: State) -> Iterator[Step]:
        at = self.answering
        number = s[at]
        unapplied = self.gateways.value(number)[2]
        if unapplied is not None:
            yield ("applies", 0, *unapplied), self._set(s, at, self.gateways.applies(number)), None
        else:
            for k in range(self.size.subjects):
                found = self.following(s[1], k, self.gateways.position(number, k))
                if found is not None:
                    after = self.gateways.reads(number, k, *found)
                    yield ("reads", 0, k, *found), self._set(s, at, after), None
        yield from self._restarts(s, 0)
        for slot in range(self._beat_at, self._answer_at):
            yield from self._asks(s, slot)

    def _restarts(self, s: State, j: int) -> Iterator[Step]:
        restarts = self.gateways.value(s[self.answering + j])[3]
        if not restarts:
            return
        name = self._name(j, self.size.restarts - restarts + 1)
        after = list(self._set(s, self.answering + j, self.gateways.starts(name, restarts - 1)))
        if j == 0:
            after[self._beat_at :] = [NOBODY] * (self.size.beats + 1)
        yield ("restarts", j), tuple(after), None

    def _other_gateway(self, s: State, j: int) -> Iterator[Step]:
        """Gateways are alike, so the answer is looked at in the first one, and of others only what they report counts.

        Reading, asking, the check and the grant are one step. Sound: nobody sees what was read before it is reported,
        and a leader that no longer leads confirms nothing, so what it grants then holds up nobody.
        """
        at = self.answering + j
        yield from self._restarts(s, j)
        ways, met = [s[at]], {s[at]}
        for gateway in ways:
            for k in range(self.size.subjects):
                found = self.following(s[1], k, self.gateways.position(gateway, k))
                if found is not None and (after := self.gateways.reads(gateway, k, *found)) not in met:
                    met.add(after)
                    ways.append(after)
            for i in range(self.size.leaders):
                if s[2 + i] == NOBODY or self.leaders.value(s[2 + i])[0] == Leaders.TOOK:
                    continue
                if self.newest(s) == i or self.rules.checks_lock != "after":
                    name = self.gateways.value(gateway)[0][0]
                    told = self.leaders.reported(s[2 + i], name, self.gateways.report(gateway))
                    number, seconds = self.leaders.leases(told, name)
                    yield ("asks at once", j, i, seconds > 0), self._set(self._set(s, at, gateway), 2 + i, number), None

    # -- heartbeats --------

    def _asks(self, s: State, slot: int) -> Iterator[Step]:
        """A heartbeat; one before it in the same slot is lost.

        Sent and received are one step unless `messages`. Sound: a leader that knows a report earlier can do all that it
        can do when it learns of it later, and the lease is counted from before both.
        """
        gateway = s[self.answering]
        name = self.gateways.value(gateway)[0][0]
        report = self.gateways.report(gateway)
        for i in range(self.size.leaders):
            number = s[2 + i]
            if number == NOBODY or self.leaders.value(number)[0] == Leaders.TOOK:
                continue
            if self.size.messages:
                yield ("sends", 0, i), self._set(s, slot, self.beats.number((SENT, i, 0.0, name, report))), None
                continue
            stage = RECEIVED if self.rules.checks_lock == "after" else CHECKED  # else it led once, and that is enough
            if stage == RECEIVED and self.newest(s) != i:
                continue  # what it is told leads to nothing any more
            after = self._set(s, 2 + i, self.leaders.reported(number, name, report))
            yield ("asks", 0, i), self._set(after, slot, self.beats.number((stage, i, 0.0, name, ()))), None

    def _beat(self, s: State, slot: int) -> Iterator[Step]:
        if s[slot] == NOBODY:
            return
        stage, i, age, name, more = self.beats.values[s[slot]]
        if stage == GRANTED:
            yield from self._arrives(s, slot, age, more)
        number = s[2 + i]
        if number == NOBODY:
            return
        if stage == SENT:
            after = self._set(s, 2 + i, self.leaders.reported(number, name, more))
            received = self.beats.number((RECEIVED, i, age, name, ()))
            yield ("receives", 0, i), self._set(after, slot, received), None
            for other in self._free(s):
                yield ("receives a copy", 0, i), self._set(after, other, received), None
        elif stage == RECEIVED and self.newest(s) == i:
            yield ("checks", i, 0), self._set(s, slot, self.beats.number((CHECKED, i, age, name, ()))), None
        elif stage == CHECKED:
            yield from self._grants(s, i, slot)
        elif stage == UNTABLED:
            yield ("tables", i, 0), self._set(self._set(s, 2 + i, more), slot, NOBODY), None

    def _free(self, s: State) -> Iterator[int]:
        return (slot for slot in range(self._beat_at, self._answer_at) if s[slot] == NOBODY)

    def _grants(self, s: State, i: int, slot: int) -> Iterator[Step]:
        """In the table, then answered. The answer arrives in the same step unless `messages`.

        Sound: whoever holds a lease can do all that it can do without one, and its end does not depend on the arrival.
        """
        _, _, age, name, _ = self.beats.values[s[slot]]
        number, seconds = self.leaders.leases(s[2 + i], name)
        tabled = self._set(self._set(s, 2 + i, number), slot, NOBODY)
        if not seconds:
            yield ("refuses", i, 0), tabled, None
        elif self.size.messages:
            granted = self.beats.number((GRANTED, i, age, name, seconds))
            yield ("grants", i, 0), self._set(self._set(s, 2 + i, number), slot, granted), None
        elif not self.rules.tabled_before_answer:
            late = self._set(s, slot, self.beats.number((UNTABLED, i, age, name, number)))
            yield ("answers untabled", i, 0), self._leased(late, age, seconds), None
        else:
            yield ("grants", i, 0), self._leased(tabled, age, seconds), None

    def _arrives(self, s: State, slot: int, age: float, seconds: float) -> Iterator[Step]:
        counted = age
        if self.rules.counts_from == "received":
            counted = 0.0
        elif self.rules.counts_from == "latest":
            counted = min(self.beats.values[n][2] for n in s[self._beat_at : self._answer_at] if n != NOBODY)
        after = self._leased(s, counted, seconds)
        yield ("is granted", 0), self._set(after, slot, NOBODY), None
        if self.size.beats > 1:
            yield ("is granted, and once more", 0), after, None

    def _leased(self, s: State, age: float, seconds: float) -> State:
        at = self.answering
        return self._set(s, at, self.gateways.granted(s[at], age, seconds))

    # -- the answer --------

    def _answer(self, s: State) -> Iterator[Step]:
        """One answer at a time. Sound: another one would only hold back what its own gateway reports."""
        at, gateway = self._answer_at, s[self.answering]
        held = self.gateways.value(gateway)[1]
        leased = not self.rules.needs_lease or self.gateways.may_answer(gateway)
        if s[at] == NOBODY:
            if leased or not self.rules.first_decide:
                for k in range(self.size.subjects):
                    yield ("decides", k, held[k]), self._set(s, at, self.answers.number((CUT, k, held[k]))), None
            return
        stage, k, version = self.answers.values[s[at]]
        if stage == CUT:
            if self._passes(leased, version, held[k]):
                left = self._set(s, self.answering, self.gateways.checked(gateway))
                yield (
                    ("checks again", k, held[k]),
                    self._set(left, at, self.answers.number((LEAVING, k, version))),
                    None,
                )
            yield ("gives up", k), self._set(s, at, NOBODY), None
            return
        after = self._set(self._set(s, self.answering, self.gateways.handed_over(gateway)), at, NOBODY)
        yield ("answers", k, version), after, self._broken(s, k, version)

    def _passes(self, leased: bool, version: int, held: int) -> bool:
        rules = self.rules
        if not rules.checks_again or (version % 2 == 0 and not rules.checks_refusals_again):
            return True
        if not leased and rules.checks_lease_again:
            return False
        return bool(self._still(decision(version), decision(held)))

    def _broken(self, s: State, k: int, version: int) -> str | None:
        """Which promise an answer under this version breaks now."""
        versions, told, *_, left = self.databases.values[s[0]]
        if version % 2 and (told[k] > version or (told[k] % 2 == 0 and versions[k] == told[k])):
            return f"it was answered under the grant of version {version} after version {told[k]} was told"
        restored = left[RESTORES] < self.size.restores  # what it says is in force is promised again after the alarm
        if not restored and version % 2 == 0 and told[k] % 2 and versions[k] == told[k]:
            return f"it was refused although the grant of version {told[k]} was told to be in force"
        return None
