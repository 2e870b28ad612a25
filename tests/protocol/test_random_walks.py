"""Seeded random walks through the very state machines that run: `Horizon`, `Topics` and `Lease`.

The world around them is small and hostile: messages are late, lost and doubled, leaders are paused and replaced,
gateways restart, records are read late. Safety: nobody is answered under a grant after anyone was told that it is
withdrawn.
"""

import random
from dataclasses import dataclass, field

import pytest

from consent.model.horizon import LEASE_SECONDS, Horizon, Pending, Topics
from gateway.model.lease import Lease

PARTITION = "consent.state.v1:0"
WALKS, STEPS = 1_000, 900


@dataclass
class Record:
    version: int
    granted: bool
    barrier: int | None = None


@dataclass
class Gateway:
    name: str
    lease: Lease
    position: int = 0
    version: int = -1
    granted: bool = False
    fetching: list[int] = field(default_factory=list)  # versions of the grant that answers were cut under
    leaving: list[tuple[int, int]] = field(default_factory=list)  # (token, version): checked again, on its way out


@dataclass
class Leader:
    epoch: int
    horizon: Horizon
    topics: Topics
    position: int = 0
    checks: list[tuple[str, float]] = field(default_factory=list)


class World:
    """One subject, one partition. The database: version, granted, epoch. `told`: the highest version confirmed."""

    def __init__(
        self, seed: int, *, second_check: bool = True, wait_after_take: bool = True, holds_back: bool = True
    ) -> None:
        self.random = random.Random(seed)
        self.second_check, self.wait_after_take, self.holds_back = second_check, wait_after_take, holds_back
        self.now = 100.0
        self.log: list[Record] = []
        self.version, self.granted, self.epoch = 1, True, 0
        self.pending: list[Pending] = []
        self.told = 0
        self.withdrawn: set[int] = set()
        self.leaders: list[Leader] = []
        self.gateways = [self.new_gateway() for _ in range(2)]
        self.mail: list[tuple[str, dict[str, tuple[int, int]], float, Leader]] = []
        self.answers: list[tuple[str, float, float]] = []
        self.stale: list[str] = []
        self.confirmed = 0
        self.checked_at: dict[tuple[str, int, int], float] = {}
        self.take_over()
        self.publish()

    def new_gateway(self) -> Gateway:
        name = f"{self.random.getrandbits(40):x}"
        return Gateway(name, Lease(name))

    def take_over(self) -> None:
        self.epoch += 1
        topics = Topics()
        wait = LEASE_SECONDS if self.epoch > 1 and self.wait_after_take else 0.0
        leader = Leader(self.epoch, Horizon(self.epoch, self.now, wait, [PARTITION], topics), topics)
        self.leaders = [*self.leaders[-1:], leader]
        self.log.append(Record(0, granted=False, barrier=self.epoch))

    @property
    def leader(self) -> Leader:
        return self.leaders[-1]

    def change(self) -> None:
        self.version += 1
        if self.granted:
            self.withdrawn.add(self.version)
        self.granted = not self.granted
        self.pending.append(Pending(f"c{self.version}", "s", self.version))

    def publish(self) -> None:
        self.log.append(Record(self.version, self.granted))

    def leader_reads(self) -> None:
        leader = self.random.choice(self.leaders)
        for _ in range(self.random.choice([1, 1, 50])):
            if leader.position < len(self.log):
                self.leader_reads_one(leader)

    def leader_reads_one(self, leader: Leader) -> None:
        record = self.log[leader.position]
        subject = None if record.barrier else "s"
        leader.topics.learn(PARTITION, leader.position, self.now, subject, record.version)
        if record.barrier:
            leader.horizon.barrier(PARTITION, leader.position, record.barrier)
        leader.position += 1

    def gateway_reads(self) -> None:
        gateway = self.random.choice(self.gateways)
        if gateway.position < len(self.log):
            record = self.log[gateway.position]
            if record.barrier is None and record.version > gateway.version:
                gateway.version, gateway.granted = record.version, record.granted
            gateway.position += 1
            gateway.lease.applied(PARTITION, gateway.position, record.barrier)

    def heartbeat(self) -> None:
        gateway = self.random.choice(self.gateways)
        report = gateway.lease.report()
        if not self.holds_back:
            report = {PARTITION: (report.get(PARTITION, (0, 0))[0], gateway.position)}
        self.mail.append((gateway.name, report, self.now, self.random.choice(self.leaders)))

    def leader_receives(self) -> None:
        if self.mail:
            name, report, sent, leader = self.random.choice(self.mail)
            if self.random.random() < 0.8:  # else it comes again
                self.mail.remove((name, report, sent, leader))
            leader.horizon.reported(name, report)
            leader.checks.append((name, sent))

    def leader_grants(self) -> None:
        leader = self.random.choice(self.leaders)
        if leader.checks:
            name, sent = leader.checks.pop(0)
            if leader.epoch == self.epoch:  # the write on the primary, then the clock
                seconds = leader.horizon.lease(name, self.now)
                if seconds:
                    self.answers.append((name, sent, seconds))

    def lease_arrives(self) -> None:
        if self.answers:
            name, sent, seconds = self.answers.pop(self.random.randrange(len(self.answers)))
            for gateway in self.gateways:
                if gateway.name == name:
                    gateway.lease.granted(sent, seconds)

    def confirm(self) -> None:
        leader = self.random.choice(self.leaders)
        done = leader.horizon.confirmable(self.pending, self.now)
        if done and leader.epoch == self.epoch:
            self.told = max(self.told, *(change.version for change in done))
            self.pending = [change for change in self.pending if change not in done]
            self.confirmed += len(done)

    def answer_starts(self) -> None:
        gateway = self.random.choice(self.gateways)
        if gateway.lease.holds(self.now) and gateway.granted:
            gateway.fetching.append(gateway.version)

    def answer_is_checked(self) -> None:
        """Content has come: decide again, under the same grant and within the lease."""
        gateway = self.random.choice(self.gateways)
        if gateway.fetching:
            version = gateway.fetching.pop(self.random.randrange(len(gateway.fetching)))
            fine = gateway.lease.holds(self.now) and gateway.granted and gateway.version == version
            if fine or not self.second_check:
                gateway.leaving.append((gateway.lease.checked(), version))
                self.checked_at[gateway.name, gateway.leaving[-1][0], version] = self.now

    def answer_leaves(self) -> None:
        """It leaves soon after the check (150 ms at most, then it is cut off)."""
        for gateway in self.gateways:
            for token, version in list(gateway.leaving):
                late = self.now - self.checked_at[gateway.name, token, version] > 0.15
                if late or self.random.random() < 0.15:
                    gateway.leaving.remove((token, version))
                    gateway.lease.handed_over(token)
                    if not late and any(version < v <= self.told for v in self.withdrawn):
                        self.stale.append(f"answered under version {version} after {self.told} was confirmed")

    def restart(self) -> None:
        self.gateways[self.random.randrange(2)] = self.new_gateway()

    def tick(self) -> None:
        self.now += self.random.choice([0.01, 0.05, 0.1, 0.3, 0.6])

    def walk(self) -> None:
        often = [
            self.leader_reads, self.leader_reads, self.gateway_reads, self.gateway_reads, self.heartbeat,
            self.leader_receives, self.leader_receives, self.leader_grants, self.leader_grants, self.lease_arrives,
            self.lease_arrives, self.confirm, self.answer_starts, self.answer_starts, self.answer_is_checked,
            self.answer_leaves, self.tick,
        ]  # fmt: skip
        take_over_rate = self.random.choice([0.0005, 0.01])
        for _ in range(STEPS):
            roll = self.random.random()
            if roll < take_over_rate:
                self.take_over()
                self.publish()
            elif roll < 0.013:
                self.restart()
            elif roll < 0.045:
                self.change()
                self.publish()
            else:
                self.random.choice(often)()


def walks(**breaks: bool) -> list[World]:
    worlds = []
    for seed in range(WALKS):
        world = World(seed, **breaks)
        world.walk()
        worlds.append(world)
    return worlds


@pytest.mark.requirement("F069")
def test_no_answer_leaves_under_a_grant_after_anyone_was_told_it_is_withdrawn() -> None:
    worlds = walks()
    assert sum(world.confirmed for world in worlds) > WALKS  # the walks do confirm things
    assert [story for world in worlds for story in world.stale] == []


def test_without_the_second_check_the_walks_find_stale_answers() -> None:
    assert any(world.stale for world in walks(second_check=False))


def test_without_the_wait_after_a_take_over_the_walks_find_stale_answers() -> None:
    assert any(world.stale for world in walks(wait_after_take=False))


def test_without_holding_back_the_report_the_walks_find_stale_answers() -> None:
    assert any(world.stale for world in walks(holds_back=False))
