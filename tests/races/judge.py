"""The judge: what is stale, lost or doubled, from what clients saw and what the stores hold at the end. Pure.

Every moment comes from one clock in the clients' process. A withdrawal counts as *told* once the client has read the
answer `confirmed`, and after that every socket that was readable in the same turn of the loop has been read too. An
answer with content is **stale** when it shows what was withdrawn and

- its request was sent after the withdrawal was told: then no delay on the way can excuse it; or
- its first byte was read more than `BOUND` after that. Gateway and client talk over loopback without a proxy, so bytes
  that left before the telling are in the client's kernel before it, and are read in the same turn. `BOUND` is for
  a kernel that defers a segment; nothing near it was ever seen.

What is shown is told in two ways, and either suffices. By the body: a category stands in it although its cell was
told withdrawn and no client has begun to grant it again before that first byte. By the store: every record of the
answer that was not held back names a grant that the store says a told withdrawal has ended; this also finds an answer
under an old grant after a new one was given. So there are no false alarms but one that DECISIONS.md names: a gateway
that is stopped between its second check and the write for longer than the margin.

**lost**: a write that was answered and is not in the store; a told withdrawal or grant that the store, the state
topic, or a last read at every gateway does not have; a grant told to be in force that a later read did not find; a
record on the topic that is not in the ledger. **doubled**: an effect that is in a store, or on a topic under two ids,
more often than it was asked for. **answers_without_record**: an answer whose record is not in the ledger.

A message of a live stream is judged like an answer to what was asked for when the stream was: what it says after a
withdrawal was told is stale. Each needs a record of its own, beside that of the stream's beginning.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

BOUND = 0.1
"""Seconds by which loopback may be late, at the very most."""

Cell = tuple[int, str, str]
"""Subject's number, service, category."""


@dataclass(frozen=True, slots=True)
class Read:
    """One answered read. `shown`: the categories in it (for a 304: in what it says is still so)."""

    trace: str
    subject: int
    service: str
    sent: float
    first: float
    status: int
    shown: frozenset[str]


@dataclass(slots=True)
class Act:
    """A withdrawal, or a yes after one. `sent`: before its first try. `told`: None when nobody was told it is done."""

    kind: Literal["withdrawn", "granted"]
    subject: int
    service: str
    categories: tuple[str, ...]
    sent: float
    told: float | None = None
    change: str | None = None

    def cells(self) -> Iterable[Cell]:
        """What it is about."""
        return ((self.subject, self.service, category) for category in self.categories)


@dataclass(frozen=True, slots=True)
class Looks:
    """What the store says of the answers: by trace the records with their grants; which records were held back."""

    of_trace: Mapping[str, Mapping[str, frozenset[str]]]
    held_back: frozenset[str]
    in_ledger: frozenset[str]


@dataclass
class Epochs:
    """The acts of each cell in their order; those of one cell never overlap but for two withdrawals at once."""

    acts: dict[Cell, list[Act]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, acts: Iterable[Act]) -> "Epochs":
        """From all acts of a run."""
        made = cls()
        for act in sorted(acts, key=lambda act: act.sent):
            for cell in act.cells():
                made.acts[cell].append(act)
        return made

    def before(self, cell: Cell, moment: float) -> list[Act]:
        """What was begun before this moment."""
        acts = self.acts.get(cell, [])
        return acts[: bisect_right(acts, moment, key=lambda act: act.sent)]


def is_late(read: Read, told: float | None) -> bool:
    """Did this answer leave after that was told? False where it cannot be certain."""
    return told is not None and (read.sent > told or read.first > told + BOUND)


def stale_by_body(read: Read, epochs: Epochs) -> bool:
    """Does it show a category whose withdrawal had been told, with no grant begun since?"""
    for category in read.shown:
        known = epochs.before((read.subject, read.service, category), read.first)
        if known and known[-1].kind == "withdrawn" and any(is_late(read, act.told) for act in _last(known)):
            return True
    return False


def _last(acts: Sequence[Act]) -> list[Act]:
    """The withdrawals at the end: two at once are both of them."""
    found = []
    for act in reversed(acts):
        if act.kind == "granted":
            break
        found.append(act)
    return found


def stale_by_store(read: Read, looks: Looks, ended: Mapping[str, float]) -> bool:
    """Was it answered under a grant whose end had been told? `ended`: when, by grant."""
    if not read.shown:
        return False
    records = looks.of_trace.get(read.trace, {})
    under = [grants for record, grants in records.items() if record not in looks.held_back]
    return bool(under) and all(any(is_late(read, ended.get(grant)) for grant in grants) for grants in under)


def missing(read: Read, epochs: Epochs) -> bool:
    """Was something not shown that was told to be in force before this was asked for, with no withdrawal begun since?

    What was asked for earlier was decided earlier, and may rightly show less however late its answer comes.
    """
    if read.status not in (200, 404):
        return False
    for category in ("school", "leisure"):
        known = epochs.before((read.subject, read.service, category), read.first)
        granted = bool(known) and known[-1].kind == "granted"
        told = known[-1].told if granted else None
        if told is not None and category not in read.shown and read.sent > told:
            return True
    return False


def too_few_records(streams: Mapping[str, int], looks: Looks) -> int:
    """Messages of streams (by trace, the beginning counted) beyond the records that the ledger has of them."""
    recorded = {trace: sum(one in looks.in_ledger for one in looks.of_trace.get(trace, {})) for trace in streams}
    return sum(max(0, count - recorded[trace]) for trace, count in streams.items())


def without_record(traces: Iterable[str], looks: Looks) -> list[str]:
    """Those answers of which the ledger has no record."""
    return [trace for trace in traces if not any(record in looks.in_ledger for record in looks.of_trace.get(trace, {}))]
