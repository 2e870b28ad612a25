"""A gateway's right to answer for a few seconds: the GATEWAY rules of protocol.md as a pure state machine.

Times are seconds on the lease clock and always arguments; nothing here reads a clock, a network or a topic.
"""

from collections import Counter

SHARE = 0.7
"""A gateway counts 0.7 of what the leader granted, from before it asked: its view always ends first (protocol.md 1)."""

Partition = str
"""`topic:number`."""


class Lease:
    """Positions applied, answers on their way out, and until when this incarnation may answer."""

    def __init__(self, incarnation: str) -> None:
        self.incarnation = incarnation
        self.until = 0.0
        self._positions: dict[Partition, tuple[int, int]] = {}
        self._generation = 0
        self._outgoing: Counter[int] = Counter()
        self._held_back: dict[int, dict[Partition, tuple[int, int]]] = {}

    def applied(self, partition: Partition, position: int, epoch: int | None = None) -> None:
        """A record was applied: `position` is its offset plus one, `epoch` that of a barrier."""
        if self._outgoing[self._generation]:
            self._held_back[self._generation] = dict(self._positions)
        self._generation += 1
        known = self._positions.get(partition, (0, 0))
        self._positions[partition] = (known[0] if epoch is None else max(known[0], epoch), max(known[1], position))

    def report(self) -> dict[Partition, tuple[int, int]]:
        """What the next heartbeat says: (epoch of the last barrier, position) per partition.

        Never past the position at which the oldest answer still on its way out was checked; else a withdrawal could be
        confirmed while an answer under it has not left.
        """
        going = [generation for generation, count in self._outgoing.items() if count]
        oldest = min(going, default=self._generation)
        return dict(self._held_back.get(oldest, self._positions))

    def granted(self, sent: float, seconds: float) -> None:
        """A heartbeat that was sent at `sent` was answered with a lease of `seconds`."""
        if seconds > 0:
            self.until = max(self.until, sent + SHARE * seconds)

    def holds(self, now: float) -> bool:
        """May an answer leave at `now`? Read the clock in the same step as the answer is handed over."""
        return now < self.until

    def checked(self) -> int:
        """An answer was checked and is on its way out; give the token back to `handed_over`."""
        self._outgoing[self._generation] += 1
        return self._generation

    def handed_over(self, token: int) -> None:
        """The answer is with the kernel, or its connection was aborted."""
        self._outgoing[token] -= 1
        if not self._outgoing[token]:
            del self._outgoing[token]
            self._held_back.pop(token, None)
