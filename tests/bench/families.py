"""Random families under random law tables, each put to consent and to the tests' own reading of the table."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count

from tests.bench.report import Figure
from tests.bench.standing import progress
from tests.families.comparing import compare

FAMILIES = 100_000
EACH = 500


def measure() -> Iterator[Figure]:
    """Families compared, and differences; the seeds are the numbers of the lots."""
    lots, differences = range(10_000, 10_000 + FAMILIES // EACH), 0
    with ProcessPoolExecutor(cpu_count()) as pool:
        for done, found in enumerate(pool.map(compare, lots, [EACH] * len(lots)), start=1):
            differences += len(found)
            if found or done % 20 == 0:
                progress(f"{done * EACH:,} families compared, {differences} differences {found[:1]}")
    yield Figure("random families compared with a second reading of the law", FAMILIES, "families", ">= 100000", "1e6")
    yield Figure("random families that are answered differently", differences, "differences", "<= 0", "0")
