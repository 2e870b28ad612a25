"""Refusals on the record: limited per caller, and what is more is counted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from gateway.handlers.gathering import NotRecorded
from gateway.handlers.records import Look, Records

REFUSALS_PER_WINDOW = 60
WINDOW_SECONDS = 60.0
FOLDED_SUBJECTS = 200
"""Beyond this many subjects of one caller in one window the rest is counted under no subject."""


class Refusals:
    """How many refusals of one caller are recorded one by one; the rest is folded into one record per subject.

    The limit is per caller and never per subject, so nobody can hide looks at a child behind somebody else's.
    """

    def __init__(self, limit: int = REFUSALS_PER_WINDOW, seconds: float = WINDOW_SECONDS) -> None:
        self._limit = limit
        self._seconds = seconds
        self._windows: dict[tuple[str, str | None], _Window] = {}

    def admit(self, look: Look, now: float) -> bool:
        """True: record this refusal by itself. False: it was counted and comes with `due`. `now` in seconds."""
        who = (look.actor.kind, look.actor.id or look.actor.login)
        window = self._windows.get(who)
        if window is None:
            window = self._windows[who] = _Window(now + self._seconds, {})
        window.seen += 1
        if window.seen <= self._limit:
            return True
        subject = look.subject
        if subject not in window.folded and len(window.folded) >= FOLDED_SUBJECTS:
            subject = None
        first = window.folded.get(subject)
        window.folded[subject] = (
            replace(look, id=str(uuid4()), subject=subject) if first is None else replace(first, count=first.count + 1)
        )
        return False

    def due(self, now: float, *, everything: bool = False) -> list[Look]:
        """The folded records of every window that has ended, with their counts."""
        over = [who for who, window in self._windows.items() if everything or window.until <= now]
        return [look for who in over for look in self._windows.pop(who).folded.values()]


@dataclass(slots=True)
class _Window:
    until: float
    folded: dict[str | None, Look]
    seen: int = 0


async def fold_regularly(refusals: Refusals, records: Records, now: Callable[[], float], every: float = 5.0) -> None:
    """Publish folded refusals as their windows end, until cancelled; the last ones when it is."""
    waiting: list[Look] = []
    try:
        while True:
            await asyncio.sleep(every)
            waiting = await _publish_all(waiting + refusals.due(now()), records)
    finally:
        await _publish_all(waiting + refusals.due(now(), everything=True), records)


async def _publish_all(looks: Sequence[Look], records: Records) -> list[Look]:
    """Those that could not be recorded yet; their ids stay, so that a double is told by it."""
    left = []
    for look in looks:
        try:
            await (await records.send(look))
        except NotRecorded:
            left.append(look)
    return left
