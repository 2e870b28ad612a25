"""What every gateway able to answer has passed: the CONSENT rules of protocol.md as a pure state machine.

Times are seconds on the lease clock and always arguments; nothing here reads a clock, a network or a topic.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

Partition = str
"""`topic:number`."""

LEASE_SECONDS = 5.0
GRACE_SECONDS = 0.25
"""A gateway need not have applied what the leader itself learned less than this ago (protocol.md 1, the grace)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject's newest known record is, which version it holds, and the mark of what it says."""

    version: int
    partition: Partition
    offset: int
    mark: bytes = b""


@dataclass(frozen=True, slots=True)
class Pending:
    """A change that nobody has been told is done."""

    id: str
    subject: str
    version: int


class Topics:
    """What the state topics hold, learned by reading them, leader and standby alike, and from what was published."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.ends: dict[Partition, int] = {}
        self._recent: dict[Partition, deque[tuple[float, int]]] = {}

    def learn(
        self, partition: Partition, offset: int, now: float, subject: str | None = None, version: int = 0,
        mark: bytes = b"",
    ) -> None:  # fmt: skip
        """A record was read at `now`. A subject's place moves only to a higher version.

        Any other record of a subject is none that a leader writes: a gateway that cannot read it closes the subject, so
        from then on it is not known what gateways hold.
        """
        self.ends[partition] = offset + 1
        self._known(partition, offset + 1, now)
        if subject is not None:
            known = self.places.get(subject)
            if known is None or version > known.version:
                self.places[subject] = Place(version, partition, offset, mark)
            elif offset > known.offset:
                self.places[subject] = replace(known, mark=b"")

    def published(self, partition: Partition, offset: int, now: float) -> None:
        """A record of our own is there, whether or not it was read back yet.

        It may let compaction take an earlier one away: whoever had not read that must have read this.
        """
        self._known(partition, offset + 1, now)

    def _known(self, partition: Partition, position: int, now: float) -> None:
        recent = self._recent.setdefault(partition, deque())
        if not recent or position > recent[-1][1]:
            recent.append((now, position))
        self._drop_old(partition, now)

    def behind(self, database: Mapping[str, int], sent: Mapping[str, int] | None = None) -> list[str]:
        """Subjects whose newest record is older than the database says; `sent` versions are on their way already."""
        return [
            subject for subject, version in database.items()
            if version > max(self._version(subject), (sent or {}).get(subject, 0))
        ]  # fmt: skip

    def ahead(self, database: Mapping[str, int]) -> list[str]:
        """Subjects of which the topic knows more: the database was restored, and nothing may be confirmed by it."""
        return [subject for subject, place in self.places.items() if place.version > database.get(subject, 0)]

    def holds(self, subject: str, version: int, mark: bytes) -> bool:
        """Is the newest record this very version, and does it say the very same? Not known: no."""
        place = self.places.get(subject)
        return place is not None and bool(mark) and (place.version, place.mark) == (version, mark)

    def _version(self, subject: str) -> int:
        place = self.places.get(subject)
        return place.version if place else 0

    def settled(self, partition: Partition, now: float) -> int:
        """The position behind every record that is known for longer than the grace."""
        if not self._recent.get(partition):
            return 0
        self._drop_old(partition, now)
        learned, position = self._recent[partition][0]
        return position if learned <= now - GRACE_SECONDS else 0

    def _drop_old(self, partition: Partition, now: float) -> None:
        """Keep the newest record older than the grace, and those after it."""
        recent = self._recent[partition]
        while len(recent) > 1 and recent[1][0] <= now - GRACE_SECONDS:
            recent.popleft()


@dataclass(slots=True)
class _Gateway:
    """One incarnation of a gateway: what it reported, and until when it may answer at the latest."""

    until: float = 0.0
    positions: dict[Partition, int] = field(default_factory=dict)
    epochs: dict[Partition, int] = field(default_factory=dict)


class Horizon:
    """Leases and confirmations of one leadership. It is thrown away when the leadership ends."""

    def __init__(
        self, epoch: int, taken: float, lease_max: float, partitions: Iterable[Partition], topics: Topics
    ) -> None:
        self.epoch = epoch
        self._sure_from = taken + lease_max  # before this an earlier leader's lease may still run
        self._required: dict[Partition, int | None] = dict.fromkeys(partitions)
        self._topics = topics
        self._gateways: dict[str, _Gateway] = {}
        self._first: dict[str, tuple[Partition, int]] = {}
        self._told: dict[Partition, int] = {}
        self._written: dict[Partition, int] = {}

    def barrier(self, partition: Partition, offset: int, epoch: int) -> None:
        """A barrier was read back. Only our own counts: it lies behind everything an earlier leader could write."""
        if epoch == self.epoch:
            self._required[partition] = max(self._required[partition] or 0, offset + 1)

    def wrote(self, partition: Partition, offset: int) -> None:
        """Our barrier is there. After a restore an epoch comes twice: an old barrier of its number must not do."""
        self._written[partition] = offset
        self.require(partition, offset + 1)

    def ready(self) -> bool:
        """Has our barrier been read back in every partition?"""
        written = all(self._topics.ends.get(partition, 0) > offset for partition, offset in self._written.items())
        return written and all(position is not None for position in self._required.values())

    def reported(self, incarnation: str, positions: Mapping[Partition, tuple[int, int]]) -> None:
        """A heartbeat came in: (epoch of the last barrier, position) per partition. Reports only grow."""
        gateway = self._gateways.setdefault(incarnation, _Gateway())
        for partition, (epoch, position) in positions.items():
            if partition not in self._required:
                continue  # of no topic that is read here: it would only be remembered
            gateway.positions[partition] = max(gateway.positions.get(partition, 0), position)
            gateway.epochs[partition] = max(gateway.epochs.get(partition, 0), epoch)

    def lease(self, incarnation: str, now: float) -> float:
        """Seconds granted, or 0.0. `now` is read after the database said that we still lead.

        The lease is in the table before it is answered: a lease that nobody counts could outlive a confirmation.
        """
        gateway = self._gateways.get(incarnation)
        if gateway is None or not all(self._far_enough(gateway, partition, now) for partition in self._required):
            return 0.0
        gateway.until = max(gateway.until, now + LEASE_SECONDS)
        return LEASE_SECONDS

    def _far_enough(self, gateway: _Gateway, partition: Partition, now: float) -> bool:
        required = self._required[partition]
        if required is None or gateway.epochs.get(partition, 0) != self.epoch:
            return False
        return gateway.positions.get(partition, 0) >= max(required, self._topics.settled(partition, now))

    def passed(self, partition: Partition, now: float) -> int:
        """The position that every gateway able to answer has passed; 0 while an earlier leader's lease may run."""
        if now < self._sure_from or not self.ready():
            return 0
        live = [gateway for gateway in self._gateways.values() if gateway.until > now]
        return min(
            (gateway.positions.get(partition, 0) for gateway in live), default=self._topics.ends.get(partition, 0)
        )

    def confirmable(self, waiting: Iterable[Pending], now: float) -> list[Pending]:
        """The pending changes that every gateway able to answer has passed.

        From here on no gateway gets a lease before it has passed them too, whether or not the database takes the
        confirmation: so this comes before the commit, and the telling after it.
        """
        done: list[Pending] = []
        passed: dict[Partition, int] = {}  # the same for all changes of a partition: ten thousand may wait
        for change in waiting:
            place = self._place(change)
            if place is None:
                continue
            partition, offset = place
            if partition not in passed:
                passed[partition] = self.passed(partition, now)
            if passed[partition] > offset:
                self.require(partition, offset + 1)
                done.append(change)
        return done

    def to_tell(self, partition: Partition, now: float) -> int | None:
        """The position that the owner of another topic may be told that everybody has passed; None: nothing new.

        As with a confirmation, whoever asks for a lease from here on must have passed it too: this comes first, then
        the commit, then `told`.
        """
        position = self.passed(partition, now)
        if position <= self._told.get(partition, 0):
            return None
        self.require(partition, position)
        return position

    def told(self, partition: Partition, position: int) -> None:
        """The position is committed: it is told once, and only grows."""
        self._told[partition] = position

    def require(self, partition: Partition, position: int) -> None:
        """From now on nobody gets a lease below this position."""
        self._required[partition] = max(self._required[partition] or 0, position)

    def _place(self, change: Pending) -> tuple[Partition, int] | None:
        """Where the change was first seen on the topic, in its own version or a newer one."""
        first = self._first.get(change.id)
        if first is None:
            place = self._topics.places.get(change.subject)
            if place is None or place.version < change.version:
                return None
            first = self._first[change.id] = (place.partition, place.offset)
        return first

    def forget(self, changes: Iterable[Pending], now: float) -> None:
        """Drop what is no longer needed: confirmed changes, and gateways whose lease ended long ago."""
        for change in changes:
            self._first.pop(change.id, None)
        gone = [name for name, gateway in self._gateways.items() if gateway.until < now - 60 and gateway.until > 0]
        for name in gone:
            del self._gateways[name]

    def behind(self, now: float) -> int:
        """State records that the slowest gateway able to answer has not reported as passed."""
        live = [gateway for gateway in self._gateways.values() if gateway.until > now]
        ends = self._topics.ends.items()
        return max((sum(max(0, end - one.positions.get(at, 0)) for at, end in ends) for one in live), default=0)

    def live(self, now: float) -> dict[str, float]:
        """Incarnations that may answer now, with the seconds they have left at most."""
        return {name: gateway.until - now for name, gateway in self._gateways.items() if gateway.until > now}
