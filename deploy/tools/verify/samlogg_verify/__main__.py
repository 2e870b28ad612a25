"""`samlogg-verify`: reads what was asked, checks it, and says in plain words what it found."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from samlogg_verify import checks, notes
from samlogg_verify.checks import Trust
from samlogg_verify.documents import Consistency, Document, Look, Looks, SavedReceipt, load
from samlogg_verify.notes import Key, Note
from samlogg_verify.reading import Unreadable
from samlogg_verify.report import Finding, Report

_LONGEST_KEY_FILE = 1 << 20


def main(arguments: list[str] | None = None) -> int:
    """0: fine. 1: something is wrong. 2: it cannot be read."""
    asked = _parser().parse_args(arguments)
    try:
        report: Report = asked.run(asked)
    except Unreadable as error:
        report = Report(found=[Finding((error.kind,), str(error))], readable=False)
    if asked.json:
        print(json.dumps(report.data(), ensure_ascii=False))
    else:
        print("\n".join(report.lines()))
    return report.code


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--key", help="the ledger's key that you trust: its text, or a file that you saved earlier")
    common.add_argument("--witness-key", help="a witness's key: its signature is wanted too")
    common.add_argument("--json", action="store_true", help="the outcome as JSON")
    parser = argparse.ArgumentParser(prog="samlogg-verify", description="Checks the list of who looked.")
    commands = parser.add_subparsers(required=True, metavar="look|list|checkpoints|export")

    def command(name: str, told: str, run: Callable[[argparse.Namespace], Report]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=told, description=told, parents=[common])
        made.set_defaults(run=run)
        return made

    command("look", "one look with its proof", _look).add_argument("file", type=Path)
    command("export", "a whole export by itself", _export).add_argument("file", type=Path)
    one = command("list", "your whole list against a receipt or list that you saved", _list)
    one.add_argument("file", type=Path)
    one.add_argument("--receipt", type=Path, required=True, help="the receipt, or an earlier list, that you saved")
    one.add_argument("--proof", type=Path, help="the proof that the ledger has only grown between the two")
    two = command("checkpoints", "two checkpoints against each other", _checkpoints)
    two.add_argument("old", type=Path, help="any saved document; of a proof of two checkpoints, its first")
    two.add_argument("new", type=Path, nargs="?", help="any newer document; left out: the second of OLD's two")
    two.add_argument("--proof", type=Path, help="the proof that the ledger has only grown between the two")
    return parser


def _look(asked: argparse.Namespace) -> Report:
    trust, found = _trust(asked), load(asked.file)
    if not isinstance(found, Look):
        raise Unreadable("This document is not a single look.")
    return checks.check_look(found, trust)


def _export(asked: argparse.Namespace) -> Report:
    trust = _trust(asked)
    return checks.check_export(_looks(asked.file), trust)


def _list(asked: argparse.Namespace) -> Report:
    trust, saved = _trust(asked), load(asked.receipt, _Progress())
    if not isinstance(saved, SavedReceipt | Looks):
        raise Unreadable("What was given with --receipt is neither a receipt nor a list.")
    return checks.check_list(_looks(asked.file), saved, _proof(asked.proof), trust)


def _checkpoints(asked: argparse.Namespace) -> Report:
    trust, old, proof = _trust(asked), load(asked.old), _proof(asked.proof)
    if asked.new is None:
        if not isinstance(old, Consistency):
            raise Unreadable("One file alone must be a proof of two checkpoints.")
        return checks.check_checkpoints((old.key, old.first), (old.key, old.second), old, trust)
    new = load(asked.new)
    return checks.check_checkpoints(_end(old, first=True), _end(new, first=False), proof, trust)


def _end(found: Document, *, first: bool) -> tuple[Key, Note]:
    if isinstance(found, Consistency):
        return found.key, found.first if first else found.second
    return found.key, found.checkpoint


def _looks(path: Path) -> Looks:
    found = load(path, _Progress())
    if not isinstance(found, Looks):
        raise Unreadable("This document is not a person's list.")
    return found


def _proof(path: Path | None) -> Consistency | None:
    found = None if path is None else load(path)
    if found is not None and not isinstance(found, Consistency):
        raise Unreadable("What was given with --proof is not a proof of two checkpoints.")
    return found


def _trust(asked: argparse.Namespace) -> Trust:
    ledger = None if asked.key is None else _key(asked.key, notes.LEDGER)
    return Trust(ledger, None if asked.witness_key is None else _key(asked.witness_key, notes.WITNESS))


def _key(given: str, kind: int) -> Key:
    """The key's text, a file with that text, or any saved document that names its key."""
    try:
        path = Path(given)
        if not path.is_file():
            return notes.key(given, kind)
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST_KEY_FILE)
    except (OSError, ValueError):
        raise Unreadable("The key cannot be read.") from None
    if kind == notes.LEDGER and text.lstrip().startswith("{"):
        return load(path).key
    return notes.key(text, kind)


class _Progress:
    """Tells on standard error, once a second, how far a large file was read; only to a person."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, count: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            print(f"{count:,} read …", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
