"""`make bench`: every number of the product in one run, one JSON line each; progress on standard error.

BENCH="deciding relaying" runs some parts only.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator

from tests import stack
from tests.bench import (
    agreeing,
    applying,
    calls,
    deciding,
    demo,
    doors,
    failing,
    families,
    ledger,
    memory,
    relaying,
    starting,
    verifying,
)
from tests.bench.demonstrating import demo_that_stays
from tests.bench.report import Figure


def _relaying() -> Iterator[Figure]:
    provider = stack.provider()
    with provider.postgres() as postgres, provider.kafka() as kafka:
        yield from relaying.measure(postgres, kafka)


def _ledger() -> Iterator[Figure]:
    provider = stack.provider()
    with provider.postgres() as postgres, provider.kafka() as kafka:
        yield from ledger.measure(postgres, kafka)


def _story() -> Iterator[Figure]:
    with demo_that_stays() as (told, pids):
        yield from memory.measure(pids)
        yield from calls.measure(told)


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "deciding": deciding.measure, "agreeing": agreeing.measure, "families": families.measure,
    "relaying": _relaying, "doors": doors.measure,
    "failing": failing.measure, "ledger": _ledger, "verifying": verifying.measure, "starting": starting.measure,
    "applying": applying.measure, "story": _story, "demo": demo.measure,
}  # fmt: skip


def main() -> int:
    """Measure; 1 when something that must be is not met."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all when none is named")
    failed = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # asked to stop, it ends what it started
    for name in parser.parse_args().parts or PARTS:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        for figure in PARTS[name]():
            print(figure.line(), flush=True)
            failed |= not figure.met()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
