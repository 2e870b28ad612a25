"""What the processes hold after the story has run."""

from collections.abc import Iterator, Mapping

import psutil

from tests.bench.report import Figure
from tests.bench.standing import progress

OURS = ("consent", "directory", "logbook", "notify", "gateway-1", "gateway-2")
MB = 1_000_000


def measure(pids: Mapping[str, int]) -> Iterator[Figure]:
    """RSS of the largest of our processes; the whole stack with children as the sum of PSS, shared pages once."""
    resident = {name: _bytes(name, pid, "rss") / MB for name, pid in pids.items()}
    shared_once = {name: _bytes(name, pid, "pss") / MB for name, pid in pids.items()}
    for name in sorted(resident):
        progress(f"{name}: RSS {resident[name]:.0f} MB, PSS {shared_once[name]:.0f} MB")
    largest = max(OURS, key=lambda name: resident[name])
    yield Figure(f"memory of a service process, the largest ({largest}), RSS", resident[largest], "MB", "<= 150", "110")
    total = sum(shared_once.values()) / 1_000
    yield Figure("memory of the whole stack after the story, sum of PSS", total, "GB", "<= 2.2", "1.6")


def _bytes(name: str, pid: int, what: str) -> float:
    """The process with its children. The demo's own children are the other parts, which are counted by themselves."""
    process = psutil.Process(pid)
    found = [process, *([] if name == "demo" else process.children(recursive=True))]
    return sum(float(getattr(one.memory_full_info(), what)) for one in found)
