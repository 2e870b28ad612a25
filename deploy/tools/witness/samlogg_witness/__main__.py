"""`samlogg-witness`: settings from the environment or arguments, then serve."""

import argparse
import logging
import os
import re
import sys
from pathlib import Path

from aiohttp import web

from samlogg_witness import notes
from samlogg_witness.app import create_app
from samlogg_witness.store import Store, Unusable


def main(arguments: list[str] | None = None) -> int:
    """Serve until it is asked to stop; 2 when it cannot start."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        if not re.fullmatch(r"[^\s+]{1,120}", asked.name):
            raise Unusable("the name must be one word without a plus (WITNESS_NAME)")
        keys = [notes.key(text) for text in asked.ledger or os.environ.get("WITNESS_LEDGERS", "").split(",") if text]
        if not keys:
            raise Unusable("no ledger's key was given (WITNESS_LEDGERS)")
        with Store(asked.folder) as store:
            app, own = create_app(asked.name, keys, store)
            print(own.text, flush=True)
            web.run_app(app, host=asked.host, port=asked.port, print=None, access_log=None)
    except (Unusable, notes.Malformed, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        print(f"the witness cannot start: {why}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    env = os.environ
    parser = argparse.ArgumentParser(prog="samlogg-witness", description="Signs for a ledger that only grows.")
    parser.add_argument("--name", default=env.get("WITNESS_NAME", "witness.localhost"), help="what it signs under")
    parser.add_argument("--folder", type=Path, default=Path(env.get("WITNESS_FOLDER", "witness")))
    parser.add_argument("--ledger", action="append", help="a ledger's key; may be given several times")
    parser.add_argument("--host", default=env.get("WITNESS_HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(env.get("WITNESS_PORT", "8070")))
    return parser


if __name__ == "__main__":
    sys.exit(main())
