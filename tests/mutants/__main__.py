"""`make mutants`: every small mistake in the rules that decide is made once, and must be noticed by their tests."""

import argparse
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.mutants.campaign import Change, Failed, Found, Module, Tell, equivalents, hold, modules

HERE = Path(__file__).parent
SECONDS_BETWEEN_LINES = 10.0


def judged(found: Found, listed: Iterable[Change], chosen: Sequence[str]) -> dict[str, Any]:
    """Counts by module; survivors that are not listed, and listed ones that did not survive: both are failures."""
    known = Counter(change for change in listed if change.module in chosen)
    survivors, stale = found.survivors - known, known - found.survivors
    rows = {}
    for name in chosen:
        count, lived, unknown = found.mutants[name], _of(name, found.survivors), _of(name, survivors)
        rows[name] = {"mutants": count, "killed": count - lived, "equivalent": lived - unknown, "survived": unknown}
    return {"modules": rows, "survivors": _rows(survivors), "stale": _rows(stale)}


def _of(module: str, changes: Counter[Change]) -> int:
    return sum(count for one, count in changes.items() if one.module == module)


def _rows(changes: Counter[Change]) -> list[dict[str, str]]:
    return [
        {"module": one.module, "function": one.function, "was": one.was, "now": one.now}
        for one in sorted(changes.elements())
    ]


def table(verdict: Mapping[str, Any]) -> str:
    """For people: the counts, and below them what is wrong."""
    heads = ("mutants", "killed", "equivalent", "survived")
    lines = [f"{'':<12}" + "".join(f"{head:>12}" for head in heads)]
    lines += [f"{name:<12}" + "".join(f"{row[head]:>12}" for head in heads) for name, row in verdict["modules"].items()]
    for name, title in (
        ("survivors", "No test notices this:"),
        ("stale", "Listed as equivalent, but a test notices it, or it is no longer made:"),
    ):
        lines += ["", title] if verdict[name] else []
        for one in verdict[name]:
            lines += [f"  {one['module']}, {one['function']}", f"    - {one['was']}", f"    + {one['now']}"]
    return "\n".join(lines)


def _teller() -> Tell:
    began = last = time.monotonic()

    def tell(line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            print(f"  [{now - began:5.0f} s, load {os.getloadavg()[0]:.1f}] {line}", file=sys.stderr, flush=True)

    return tell


def main(arguments: Sequence[str] | None = None, root: Path = HERE.parents[1], config: Path = HERE) -> int:
    """0 when exactly the equivalent mutants survive; 1 when another one does or a listed one is killed."""
    known: dict[str, Module] = modules(config / "modules.toml")
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"some of {', '.join(known)} (default: all)")
    parser.add_argument("--workers", type=int, default=1, help="mutants tried at the same time")
    parser.add_argument("--json", action="store_true", help="one line")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.modules) - set(known):
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    chosen = [name for name in known if name in (asked.modules or known)]
    began = time.monotonic()
    try:
        found = hold(root, [known[name] for name in chosen], _teller(), asked.workers)
    except Failed as failed:
        print(failed, file=sys.stderr)
        return 1
    listed = [change for change, _ in equivalents(config / "equivalent.toml")]
    verdict = judged(found, listed, chosen)
    if asked.json:
        print(json.dumps(verdict | {"seconds": round(time.monotonic() - began, 1)}, ensure_ascii=False))
    else:
        print(table(verdict))
    return int(bool(verdict["survivors"] or verdict["stale"]))


if __name__ == "__main__":
    # A run that is told to end takes mutmut with it, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(main())
