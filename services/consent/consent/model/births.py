"""Before birth: somebody who is due on a day, how rows count their age, and which birth can be theirs."""

from dataclasses import dataclass
from datetime import date, timedelta

UNBORN = -1
"""The age before birth, as rows of the law table give it (`from_age = "unborn"`)."""

_LONGEST = timedelta(days=280)
"""From the day from which a pregnancy is counted until the day it is due."""
_EARLIEST = timedelta(days=154)
"""A child is born at most so long before the day it was due (eighteen weeks into the pregnancy)."""
_LATEST = timedelta(days=28)
"""And at most so long after it: what is born later is another child."""


@dataclass(frozen=True, slots=True)
class Unborn:
    """Somebody who is expected on a day. A due date that passes makes nobody born: only being told of a birth does."""

    due: date

    @property
    def since(self) -> date:
        """The day from which the pregnancy is counted."""
        return self.due - _LONGEST

    def expected(self, on: date) -> bool:
        """Can somebody who is due then be expected on this day?"""
        return self.since <= on <= self.due + _LATEST

    def may_be(self, born: date) -> bool:
        """Can a child born on this day be the one that was expected?"""
        return self.due - _EARLIEST <= born <= self.due + _LATEST


Born = date | Unborn
"""When somebody was born, or that they are not yet."""
