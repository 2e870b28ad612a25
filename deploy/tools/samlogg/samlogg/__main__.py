"""The command `samlogg`: traces, what waits, the law table, a person register from a file, dead letters."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from consent.model import law_told
from consent.model.law import LawInvalid
from samlogg import law, registers, running, trace, why


def show_trace(given: argparse.Namespace) -> int:
    """Draw one trace."""
    zipkin = given.zipkin or running.read(given.world).zipkin
    print("\n".join(trace.draw(trace.joined(trace.fetch(zipkin.rstrip("/"), given.id)))))
    return 0


def show_why(given: argparse.Namespace) -> int:
    """Tell what waits for what; the exit code is 1 when something is not ready or nobody leads."""
    found = why.look(running.read(given.world).parts)
    print(json.dumps(why.as_data(found), indent=2) if given.json else "\n".join(why.sentences(found)))
    return 1 if found.not_ready or found.leader is None else 0


def show_law(given: argparse.Namespace) -> int:
    """Tell what the law table says of somebody, or all of it, or what another table would change."""
    here = law.table(given.table, given.municipality)
    if given.born or given.due:
        lines = law.somebody(here, given.born, given.due, given.on, given.facts, as_json=given.json)
    elif given.new:
        there = law.table(given.new, given.municipality)
        lines = law.another(here, there, law.database(given.world), as_json=given.json)
    else:
        lines = law_told.page(here)
    print("\n".join(lines))
    return 0


def play_registers(given: argparse.Namespace) -> int:
    """Play a file of a person register's events; the exit code is 1 when something is put aside."""
    told = list(registers.play(given.world, given.file, again=given.again))
    print("\n".join(told))
    return 1 if len(told) > 1 else 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="samlogg", description="What an operator asks of a running system")
    made.add_argument("--world", help=f"file that says what runs (default {running.USUAL_FILE})")
    commands = made.add_subparsers(dest="command", required=True)
    tracing = commands.add_parser("trace", help="one trace as a tree")
    tracing.add_argument("id", help="the trace id, 32 hexadecimal digits")
    tracing.add_argument("--zipkin", help="Zipkin's address")
    tracing.set_defaults(act=show_trace)
    asking = commands.add_parser("why", help="who leads, who may answer, who is behind, what is unconfirmed")
    asking.add_argument("--json", action="store_true", help="as JSON")
    asking.set_defaults(act=show_why)
    telling = commands.add_parser("law", help="who decides and who sees, by age; alone: the whole table as a page")
    telling.add_argument("--born", help="a birth date: what holds for somebody")
    telling.add_argument("--due", help="a due date: what holds for somebody who is not born")
    telling.add_argument("--on", help="on which day (default today)")
    telling.add_argument("--facts", default="", help="responsibility=mor,care=child-welfare,capacity=lacking,party=all")
    telling.add_argument("--new", help="another table's file: whom it would touch, in counts")
    telling.add_argument("--table", help="the table's file, if not the packaged one")
    telling.add_argument("--municipality", help="whose own rows count")
    telling.add_argument("--json", action="store_true", help="as JSON")
    telling.set_defaults(act=show_law)
    playing = commands.add_parser("registers", help="a person register's events from a file, as its feed gives them")
    playing.add_argument("file", nargs="?", help="JSON lines, as services/consent/REGISTERS.md says")
    playing.add_argument("--again", action="store_true", help="try once more what was put aside")
    playing.set_defaults(act=play_registers)
    commands.add_parser("dlq", help="dead letters: `samlogg dlq --help`", add_help=False)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. `dlq` is a command line of its own: `samlogg.dlq.main(arguments) -> int`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["dlq"]:
        return int(importlib.import_module("samlogg.dlq").main(words[1:]))
    given = parser().parse_args(words)
    try:
        return int(given.act(given))
    except (trace.NoTraceError, running.NotRunningError, LawInvalid, law.NoSuchFactError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
