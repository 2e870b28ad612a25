"""How many calls an app makes, as the story counted and told them."""

import re
from collections.abc import Iterator

from tests.bench.report import Figure

_COUNTED = (
    ("calls from unease to an active log", r"From unease to here the nurse's app made (\d+) calls", 8),
    ("calls of a guardian's answer, the log-in's session included", r"answers \d+ questions in (\d+) calls", 3),
    ("calls of a withdrawal from the list", r"withdraws the police with (\d+) call", 1),
)


def measure(told: str) -> Iterator[Figure]:
    """The most that was counted of each."""
    flat = " ".join(told.split())
    for name, pattern, most in _COUNTED:
        found = [int(count) for count in re.findall(pattern, flat)]
        if not found:
            raise AssertionError(f"the story told no {name}")
        yield Figure(name, max(found), "calls", f"<= {most}", str(most))
