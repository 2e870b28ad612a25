"""The two clocks: the business clock, which synthetic installations may move, and the lease clock, which nobody may."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """Business time. `offset` is zero outside synthetic installations."""

    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC) + self.offset


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
