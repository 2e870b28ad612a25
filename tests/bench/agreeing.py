"""Decisions against Cedar: a million random questions, each put to both, and never a difference."""

from collections.abc import Iterator

from tests.bench.report import Figure
from tests.bench.standing import progress
from tests.gateway.random_worlds import compare

QUESTIONS = 1_000_000
EACH = 200


def measure() -> Iterator[Figure]:
    """Questions compared, and differences; the seeds are the numbers of the worlds."""
    compared = differences = 0
    for seed in range(QUESTIONS // EACH):
        count, found = compare(seed, EACH)
        compared, differences = compared + count, differences + len(found)
        if seed % 500 == 0:
            progress(f"{compared:,} decisions compared with Cedar, {differences} differences")
    yield Figure("decisions compared with Cedar", compared, "decisions", f">= {QUESTIONS}", f"{QUESTIONS}")
    yield Figure("decisions that differ from Cedar's", differences, "decisions", "<= 0", "0")
