"""What a live stream says, and the newest changes of every log, so that a reader can go on where it was cut off."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import msgspec

from gateway.model.feeds import About

HEARTBEAT = b":\n\n"
"""A comment line: it says nothing, and an EventSource passes it over."""
RETRY_MS = 1_000
MOST_CHANGES = 20_000
"""Changes that are remembered for those who come back; older ones are told as missed."""

_OFFSET_BYTES = 12


class Place(NamedTuple):
    """Where a change stands on the bus: what lies after it is still to be said. Every gateway has the same places.

    offset: -1 before the first.
    """

    partition: int
    offset: int

    def as_id(self) -> str:
        """As the 16 bytes of an id, to be sealed for one audience: outside it says nothing about the traffic."""
        next_one = self.offset + 1
        return str(UUID(bytes=self.partition.to_bytes(16 - _OFFSET_BYTES) + next_one.to_bytes(_OFFSET_BYTES)))

    @classmethod
    def of_id(cls, text: str) -> "Place":
        """The reverse of `as_id`."""
        raw = UUID(text).bytes
        return cls(int.from_bytes(raw[:-_OFFSET_BYTES]), int.from_bytes(raw[-_OFFSET_BYTES:]) - 1)


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened in a log: what kind of thing and which item, but nothing of what it says.

    category None: the log itself, which has no item. at: epoch seconds, for grants that do not reach back that far.
    above: item and category of what it stands under. by: who did it.
    """

    id: str
    place: Place
    subject: str
    kind: str
    item: str | None
    category: str | None
    at: float
    above: tuple[tuple[str, str], ...] = ()
    by: str | None = None

    def about(self) -> About:
        """What the decision is asked."""
        return About(self.subject, category=self.category, at=self.at, item=self.item, above=self.above, by=self.by)


class Recent:
    """The newest changes in each partition, each once, and how far the bus was read."""

    def __init__(self, most: int = MOST_CHANGES) -> None:
        self._most = most
        self._changes: dict[str, Change] = {}
        self._by_subject: dict[str, deque[Change]] = {}
        self._first: dict[int, int] = {}
        self._next: dict[int, int] = {}

    def begin(self, partition: int, offset: int) -> None:
        """The partition is read from this offset on."""
        self._first[partition] = self._next[partition] = offset

    def partitions(self) -> int:
        """How many there are."""
        return len(self._first)

    def passed(self, place: Place) -> None:
        """What lies here was read, whatever it was."""
        self._next[place.partition] = place.offset + 1

    def add(self, change: Change) -> bool:
        """Remember it; False when it came before: a relay may repeat itself."""
        if change.id in self._changes:
            return False
        self._changes[change.id] = change
        self._by_subject.setdefault(change.subject, deque()).append(change)
        if len(self._changes) > self._most:
            self._forget(next(iter(self._changes)))
        return True

    def _forget(self, name: str) -> None:
        oldest = self._changes.pop(name)
        own = self._by_subject[oldest.subject]
        own.popleft()
        if not own:
            del self._by_subject[oldest.subject]
        self._first[oldest.place.partition] = oldest.place.offset + 1

    def here(self, partition: int) -> Place:
        """The place up to which this gateway has read the partition."""
        return Place(partition, self._next[partition] - 1)

    def since(self, subject: str, place: Place) -> list[Change] | None:
        """What happened to the subject after the place; None when that is no longer known here."""
        if place.partition not in self._first or place.offset + 1 < self._first[place.partition]:
            return None
        return [one for one in self._by_subject.get(subject, ()) if one.place.offset > place.offset]


def opening(place: str, *, missed: bool) -> bytes:
    """The first words: how soon to come back, and from where. missed: what lies between is not known any more.

    place: the sealed place from which the stream goes on; it stands alone, so no event comes of it.
    """
    words = f"retry: {RETRY_MS}\nid: {place}\n"
    return (words + ("event: missed\ndata: {}\n\n" if missed else "\n")).encode()


def message(change: Change, place: str, handle: str) -> bytes:
    """One message for one reader: where to look. `place` and `handle` are the reader's own."""
    href = f"/subjects/{handle}/log" if change.item is None else f"/subjects/{handle}/items/{change.item}"
    told = {"kind": change.kind, "item": change.item, "category": change.category, "href": href}
    return b"id: " + place.encode() + b"\nevent: changed\ndata: " + msgspec.json.encode(told) + b"\n\n"
