"""`make races`: one JSON object on standard output, what happens meanwhile on standard error."""

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import uvloop

from tests.races.broken import RULES
from tests.races.race import Asked, every_break, race
from tests.races.verdict import MUST_BE_NONE


def main() -> int:
    """0 when nothing is wrong, or when a broken rule was found out; else 1."""
    parser = argparse.ArgumentParser(prog="make races", description=__doc__)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--break", dest="broken", choices=["all", *sorted(RULES)])
    parser.add_argument(
        "--kills", type=int, help="kill gateways, broker, consent and database so often, and nothing else"
    )
    parser.add_argument("--logs", type=Path, help="keep what the processes wrote in this folder")
    parser.add_argument("--json", action="store_true", help="one line")
    given = parser.parse_args()
    seconds = given.seconds or (120.0 if given.broken else 3600.0 if given.kills else 600.0)
    seed = given.seed if given.seed is not None else secrets.randbelow(1_000_000)
    plan = "kills" if given.kills else "mixture"
    rule = None if given.broken == "all" else given.broken
    asked = Asked(seconds, seed, rule, plan, given.kills, logs=given.logs)
    if given.broken:
        asked = replace(asked, subjects=8, reads=120.0, withdrawals=5.0)  # few waits: each is told as soon as it may be
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    began = time.monotonic()

    def tell(line: str) -> None:
        load = os.getloadavg()[0]
        print(f"  [{time.monotonic() - began:5.0f} s, load {load:.1f}] {line}", file=sys.stderr, flush=True)

    tell(f"seed {seed}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(every_break(asked, tell) if given.broken == "all" else race(asked, tell))
    except KeyboardInterrupt:
        tell("stopped; nothing is left running")
        return 130
    print(json.dumps(found, indent=None if given.json else 1), flush=True)
    if given.broken == "all":
        return int(not all(any(one[name] for name in MUST_BE_NONE) for one in found.values()))
    wrong = sum(found[name] for name in MUST_BE_NONE)
    return int(wrong == 0) if given.broken else int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
