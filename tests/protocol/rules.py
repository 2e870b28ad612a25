"""The rules of the protocol as switches: all on is what runs, one off is a deliberate break."""

from dataclasses import dataclass, field

from consent.model.horizon import LEASE_SECONDS, Horizon
from gateway.model.decide import still_allows
from gateway.model.lease import Lease


@dataclass(frozen=True, slots=True)
class Rules:
    """What the shells around the machines do; `horizon` and `lease` are the machines themselves."""

    horizon: type[Horizon] = Horizon
    lease: type[Lease] = Lease
    # leader
    checks_lock: str = "after"  # a heartbeat's receipt; "before" it, or "never"
    confirms_under_lock: bool = True
    waits: float = LEASE_SECONDS  # after a take-over
    required_at_take: str = "barrier"  # or the "end" asked for: before the lock, of a stale broker; "nothing"
    fences: bool = True
    reads_after_fence: bool = True  # the state that is published
    publishes_again: bool = True  # at take-over, what the database has and the topic has not
    learns_from_topic: bool = True  # or only of its own publications
    counts_published: bool = True  # what the leader has published is required of gateways, read back or not
    counts_grants: bool = True  # a record that gives more is waited for as well
    tabled_before_answer: bool = True
    tells_when_confirmed: bool = True  # "published" otherwise
    alarms_when_topic_is_newer: bool = True
    # gateway
    needs_lease: bool = True
    counts_from: str = "sent"  # or "received", "latest" (not matched to the heartbeat that was answered)
    new_incarnation: bool = True
    checks_again: bool = True
    checks_lease_again: bool = True
    checks_refusals_again: bool = True
    same_grant: bool = True
    ignores_older: bool = True
    applies_before_position: bool = True
    holds_report_back: bool = True
    breaks_off: bool = True  # an answer that does not leave within 150 ms
    first_decide: bool = True
    # below
    compaction_lag: bool = True
    allows: object = field(default=still_allows)


@dataclass(frozen=True, slots=True)
class Size:
    """A small world. Partition and subject go by number: each subject has a partition of its own."""

    name: str
    subjects: int = 1
    gateways: int = 1
    leaders: int = 2  # leaderships, one after the other; an earlier one may wake at any time
    changes: tuple[int, ...] = (1,)  # of each subject: withdrawal, new grant, withdrawal …
    restarts: int = 0  # of each gateway
    repeats: int = 0  # publications of what is published already
    messages: bool = False  # every step of a heartbeat is one of its own; lost, doubled, out of order and late
    beats: int = 1  # heartbeats of one gateway on their way at once
    tick: float = 2.5
    gateway_rate: float = 1.0  # how fast the gateway's clock runs; the leaders' likewise
    leader_rate: float = 1.0
    drifts: bool = False  # both rates are chosen anew at every tick
    compaction: bool = False
    lag: int = 3  # of compaction, in ticks; the least that is longer than a lease and the grace
    fillers: int = 0  # records of a subject that is not looked at
    begins: int = 1  # the version that everybody knows of at first
    restores: int = 0  # of the database, to version 1
    relays: int = 0  # records of the beginning in the hands of somebody who led before; a fence keeps them out
    stops: int = 0  # of the gateway's machine with its clock
