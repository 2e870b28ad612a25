"""Seeded random walks through larger worlds: three gateways, two partitions, and what `directory` says beside it.

The machines are the ones that run. Around them everything that the small worlds have happens at random, and more of it
at once: several answers on their way, two publishers of `directory` that fence each other, horizons told late, doubled
and out of order, clocks that drift each in its own way.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from consent.model.horizon import LEASE_SECONDS, Horizon, Pending, Topics
from gateway.model.decide import still_allows
from gateway.model.lease import Lease
from tests.protocol.states import decision

SUBJECTS = ("s0", "s1")
STATE = tuple(f"consent.state.v1:{k}" for k in range(len(SUBJECTS)))
DIRECTORY = "directory.state.v1:0"
PARTITIONS = (*STATE, DIRECTORY)
STAFF = "staff:1"
LAG = 30.0
GATEWAYS = 3


@dataclass(frozen=True, slots=True)
class Broken:
    """Rules taken out of a walk."""

    second_check: bool = True
    waits: bool = True
    holds_back: bool = True
    tells_horizon: bool = True  # or the end of the topic, whoever has read it


@dataclass(slots=True)
class Record:
    key: str
    version: int
    at: float
    epoch: int | None = None
    gone: bool = False


class Clock:
    """Runs a little wrong, and from another beginning."""

    def __init__(self, chance: random.Random) -> None:
        self._rate, self._offset = chance.choice((0.9, 1.0, 1.1)), chance.uniform(1_000, 2_000)

    def __call__(self, now: float) -> float:
        return self._offset + self._rate * now


@dataclass(slots=True)
class Answer:
    subject: int
    version: int
    token: int | None = None
    checked: float = 0.0
    staff: int = 0


@dataclass(slots=True)
class Gateway:
    lease: Lease
    clock: Clock
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*SUBJECTS, STAFF), 0))
    answers: list[Answer] = field(default_factory=list)


@dataclass(slots=True)
class Leader:
    epoch: int
    horizon: Horizon
    topics: Topics
    clock: Clock
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    leads: bool = False
    payload: list[tuple[str, int]] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    checked: list[tuple[str, float]] = field(default_factory=list)


class Directory:
    """One entity: staff who leave and come back. Two publishers; whoever started last may append."""

    def __init__(self) -> None:
        self.version, self.published, self.position, self.confirmed, self.horizon = 1, 0, 0, 0, 0
        self.fence, self.hands = 0, [0, 0]

    def marked(self, version: int, position: int) -> None:
        if version > self.published:
            self.published, self.position = version, position
            if position < self.horizon:
                self.confirmed = version

    def passed(self, position: int) -> None:
        self.horizon = max(self.horizon, position)
        if self.position < self.horizon:
            self.confirmed = max(self.confirmed, self.published)


class Walk:
    """One walk. `broken` tells every promise that was broken on it."""

    def __init__(self, seed: int, rules: Broken | None = None) -> None:
        self.chance, self.rules = random.Random(seed), rules or Broken()
        self.now, self.epoch, self.fence = 100.0, 0, 0
        self.logs: dict[str, list[Record]] = {partition: [] for partition in PARTITIONS}
        self.versions = dict.fromkeys(SUBJECTS, 1)
        self.told = dict.fromkeys(SUBJECTS, 0)
        self.pending: list[Pending] = []
        self.directory = Directory()
        self.horizons: list[int] = []
        self.leaders: list[Leader] = []
        self.gateways = [self._gateway(n) for n in range(GATEWAYS)]
        self.names = GATEWAYS
        self.mail: list[tuple[str, dict[str, tuple[int, int]], float, Leader]] = []
        self.grants: list[tuple[str, float, float]] = []
        self.broken: list[str] = []
        self.confirmed = self.answered = self.confirmed_staff = 0
        self.take_over()
        self._change_directory(0)

    def _gateway(self, number: int) -> Gateway:
        return Gateway(Lease(f"g{number}"), Clock(self.chance))

    # -- consent -----------------------------------------------------------------------------------------------------

    def take_over(self) -> None:
        self.epoch += 1
        topics, clock = Topics(), Clock(self.chance)
        wait = LEASE_SECONDS if self.epoch > 1 and self.rules.waits else 0.0
        horizon = Horizon(self.epoch, clock(self.now), wait, PARTITIONS, topics)
        self.leaders = [*self.leaders[-2:], Leader(self.epoch, horizon, topics, clock)]

    def _some_leader(self) -> Leader:
        """Mostly the newest; earlier ones wake up now and then."""
        return self.leaders[-1] if self.chance.random() < 0.8 else self.chance.choice(self.leaders)

    def starts_to_lead(self) -> None:
        """The producer fences, the barriers are written; the leader reads up to them and publishes what is behind."""
        leader = self._some_leader()
        if leader.leads:
            return
        self.fence = leader.epoch
        for partition in PARTITIONS:
            self.logs[partition].append(Record("!barrier", 0, self.now, leader.epoch))
        while not leader.horizon.ready():
            self._leader_reads(leader)
        leader.leads = True
        assert not leader.topics.ahead(self.versions)

    def change(self) -> None:
        subject = self.chance.choice(SUBJECTS)
        self.versions[subject] += 1
        version = self.versions[subject]
        self.pending.append(Pending(f"{subject} {version}", subject, version))

    def prepares(self) -> None:
        leader = self._some_leader()
        if leader.leads and not leader.payload:
            behind = leader.topics.behind(self.versions, leader.sent)
            if self.chance.random() < 0.05:
                behind = list(SUBJECTS)  # it repeats itself
            leader.payload = [(subject, self.versions[subject]) for subject in behind]

    def publishes(self) -> None:
        leader = self._some_leader()
        if leader.payload and leader.epoch == self.fence:
            for subject, version in leader.payload:
                self.logs[STATE[SUBJECTS.index(subject)]].append(Record(subject, version, self.now))
                leader.sent[subject] = max(version, leader.sent.get(subject, 0))
        leader.payload = []

    def leader_reads(self) -> None:
        leader = self._some_leader()
        if leader.leads:
            for _ in range(self.chance.choice((1, 3, 50))):
                self._leader_reads(leader)

    def _leader_reads(self, leader: Leader) -> None:
        for partition, offset, record in self._unread(leader.read):
            leader.read[partition] = offset + 1
            subject = record.key if record.key in SUBJECTS else None
            leader.topics.learn(partition, offset, leader.clock(self.now), subject, record.version)
            if record.epoch is not None:
                leader.horizon.barrier(partition, offset, record.epoch)

    def _unread(self, read: dict[str, int]) -> Iterator[tuple[str, int, Record]]:
        """One record of each partition, in any order of partitions."""
        for partition in self.chance.sample(PARTITIONS, len(PARTITIONS)):
            log = self.logs[partition]
            found = next((n for n in range(read[partition], len(log)) if not log[n].gone), None)
            if found is not None:
                yield partition, found, log[found]

    def confirm(self) -> None:
        leader = self._some_leader()
        done = leader.horizon.confirmable(self.pending, leader.clock(self.now)) if leader.leads else []
        if leader.epoch != self.epoch:
            return
        for change in done:
            self.told[change.subject] = max(self.told[change.subject], change.version)
            self.pending.remove(change)
        leader.horizon.forget(done, leader.clock(self.now))
        self.confirmed += len(done)

    def tell_directory(self) -> None:
        leader = self._some_leader()
        if not leader.leads:
            return
        position = leader.horizon.to_tell(DIRECTORY, leader.clock(self.now))
        if not self.rules.tells_horizon:
            position = leader.topics.ends.get(DIRECTORY, 0)
        if position is not None and leader.epoch == self.epoch:
            leader.horizon.told(DIRECTORY, position)
            self.horizons.append(position)

    # -- directory ---------------------------------------------------------------------------------------------------

    def directory_steps(self) -> None:
        replica = self.chance.randrange(2)
        self._change_directory(replica)
        if self.chance.random() < 0.04:
            self.directory.version += 1

    def _change_directory(self, replica: int) -> None:
        """Reads what is not published; publishes what it has in its hands; marks it, or dies before it does."""
        directory = self.directory
        roll = self.chance.random()
        if roll < 0.1:
            directory.fence, directory.hands[replica] = replica, 0  # it starts, and only then reads
        elif directory.hands[replica] == 0:
            directory.hands[replica] = directory.version if directory.version > directory.published else 0
        else:
            version, directory.hands[replica] = directory.hands[replica], 0
            if replica == directory.fence:
                log = self.logs[DIRECTORY]
                log.append(Record(STAFF, version, self.now))
                if roll < 0.9:
                    directory.marked(version, len(log) - 1)

    def directory_is_told(self) -> None:
        """At least once, late and in any order."""
        if self.horizons:
            position = self.chance.choice(self.horizons)
            if self.chance.random() < 0.7:
                self.horizons.remove(position)
            before = self.directory.confirmed
            self.directory.passed(position)
            self.confirmed_staff += self.directory.confirmed > before

    # -- gateways ----------------------------------------------------------------------------------------------------

    def gateway_reads(self) -> None:
        gateway = self.chance.choice(self.gateways)
        for _ in range(self.chance.choice((1, 1, 50))):
            self._gateway_reads(gateway)

    def _gateway_reads(self, gateway: Gateway) -> None:
        for partition, offset, record in self._unread(gateway.read):
            if record.epoch is None and record.version > gateway.held[record.key]:
                gateway.held[record.key] = record.version
            gateway.read[partition] = offset + 1
            gateway.lease.applied(partition, offset + 1, record.epoch)

    def heartbeat(self) -> None:
        gateway = self.chance.choice(self.gateways)
        lease = gateway.lease
        report = lease.report() if self.rules.holds_back else dict(lease._positions)
        self.mail.append((lease.incarnation, report, gateway.clock(self.now), self._some_leader()))

    def leader_receives(self) -> None:
        if self.mail:
            letter = self.mail[-1] if self.chance.random() < 0.7 else self.chance.choice(self.mail)
            if self.chance.random() < 0.9:  # else it comes again
                self.mail.remove(letter)
            name, report, sent, leader = letter
            leader.horizon.reported(name, report)
            leader.asked.append((name, sent))

    def leader_checks(self) -> None:
        """The write on the primary. What was received before it began is served."""
        leader = self._some_leader()
        if leader.epoch == self.epoch and leader.leads:
            leader.checked += leader.asked
            leader.asked = []

    def leader_grants(self) -> None:
        leader = self._some_leader()
        if leader.checked:
            name, sent = leader.checked.pop(0)
            seconds = leader.horizon.lease(name, leader.clock(self.now))
            if seconds:
                self.grants.append((name, sent, seconds))

    def lease_arrives(self) -> None:
        if self.grants:
            name, sent, seconds = self.grants.pop(self.chance.randrange(len(self.grants)))
            for gateway in self.gateways:
                if gateway.lease.incarnation == name:
                    gateway.lease.granted(sent, seconds)

    def answer_starts(self) -> None:
        gateway = self.chance.choice(self.gateways)
        k = self.chance.randrange(len(SUBJECTS))
        if gateway.lease.holds(gateway.clock(self.now)):
            gateway.answers.append(Answer(k, self._grant(gateway, k)))

    def _grant(self, gateway: Gateway, k: int) -> int:
        """The version whose grant is in force for the staff member who asks; 0: none."""
        version = gateway.held[SUBJECTS[k]]
        return version if version % 2 and gateway.held[STAFF] % 2 else 0

    def answer_is_checked(self) -> None:
        gateway = self.chance.choice(self.gateways)
        waiting = [answer for answer in gateway.answers if answer.token is None]
        if not waiting:
            return
        answer = self.chance.choice(waiting)
        again = still_allows(decision(answer.version), decision(self._grant(gateway, answer.subject)))
        if (again and gateway.lease.holds(gateway.clock(self.now))) or not self.rules.second_check:
            answer.token, answer.checked, answer.staff = gateway.lease.checked(), self.now, gateway.held[STAFF]
        else:
            gateway.answers.remove(answer)

    def answers_leave(self) -> None:
        for gateway in self.gateways:
            for answer in [one for one in gateway.answers if one.token is not None]:
                late = self.now - answer.checked > 0.15
                if late or self.chance.random() < 0.2:
                    gateway.answers.remove(answer)
                    gateway.lease.handed_over(answer.token or 0)
                    if not late:
                        self._left(answer)

    def _left(self, answer: Answer) -> None:
        self.answered += 1
        subject, told, staff = SUBJECTS[answer.subject], self.told[SUBJECTS[answer.subject]], self.directory.confirmed
        if answer.version and told > answer.version:
            self.broken.append(f"answered under version {answer.version} of {subject} after {told} was told")
        if answer.version and staff > answer.staff and staff % 2 == 0:
            self.broken.append(f"answered to staff of version {answer.staff} after {staff} (left) was told")
        in_force = told % 2 and self.versions[subject] == told and staff % 2 and self.directory.version == staff
        if not answer.version and in_force:
            self.broken.append(f"refused although version {told} of {subject} and {staff} of the staff were told")

    def restart(self) -> None:
        self.names += 1
        self.gateways[self.chance.randrange(GATEWAYS)] = self._gateway(self.names)

    # -- the world ---------------------------------------------------------------------------------------------------

    def compact(self) -> None:
        """A record may go when a later one of its key is there and both are older than the lag."""
        log = self.logs[self.chance.choice(PARTITIONS)]
        old = [record for record in log if self.now - record.at > LAG and not record.gone]
        for at, record in enumerate(old):
            if any(later.key == record.key for later in old[at + 1 :]) and self.chance.random() < 0.5:
                record.gone = True

    def tick(self) -> None:
        self.now += self.chance.choice((0.002, 0.005, 0.01, 0.01, 0.02, 0.02, 0.04, 0.1, 0.3, 0.6))

    def walk(self, steps: int) -> "Walk":
        often = [
            self.prepares, self.publishes, self.leader_reads, self.leader_reads, self.confirm, self.tell_directory,
            self.directory_steps, self.directory_is_told, self.heartbeat, self.heartbeat, self.leader_receives,
            self.leader_receives, self.leader_checks, self.leader_grants, self.leader_grants, self.lease_arrives,
            self.lease_arrives, *[self.answer_starts] * 4, *[self.answer_is_checked] * 3, self.answers_leave,
            self.tick, *[self.gateway_reads] * 5,
        ]  # fmt: skip
        seldom = [self.change, self.restart, self.compact, *[self.starts_to_lead] * 4]
        take_over_rate = self.chance.choice((0.0003, 0.003))
        for _ in range(steps):
            roll = self.chance.random()
            if roll < take_over_rate:
                self.take_over()
            elif roll < 0.04:
                self.chance.choice(seldom)()
            else:
                self.chance.choice(often)()
        return self
