"""The two clocks: the business clock, which synthetic installations may move, and the lease clock, which nobody may."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


class ClockFixed(Exception):
    """The business clock is to be moved where it may not be: production knows one time only."""


@dataclass(slots=True)
class Clock:
    """Business time. It is moved forward in synthetic installations only, and by everybody alike."""

    ahead: timedelta = timedelta(0)
    movable: bool = False

    def now(self) -> datetime:
        """Aware UTC time."""
        return wall_now() + self.ahead

    def move(self, ahead: timedelta) -> None:
        """Be so far ahead of the wall clock from now on; never less than now. ClockFixed where it may not be moved."""
        if ahead and not self.movable:
            raise ClockFixed
        self.ahead = max(self.ahead, ahead)


def wall_now() -> datetime:
    """Aware UTC time that nobody moves: what the database stamps, log-ins and signed requests go by."""
    return datetime.now(UTC)


def lease_now() -> float:
    """Seconds on CLOCK_BOOTTIME: it goes on while the machine sleeps (protocol.md section 1)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def rfc3339(moment: datetime) -> str:
    """`2026-01-31T12:00:00.000Z`; milliseconds, UTC."""
    there = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return there.isoformat(timespec="milliseconds")[:-6] + "Z"


def from_rfc3339(text: str) -> datetime:
    """Aware UTC time; ValueError when it is not RFC 3339."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)
