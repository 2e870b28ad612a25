"""`python -m local_stack up|demo|clean`: everything on this machine, the story on top, or nothing any more."""

import argparse
import json
import logging
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from local_stack import page, running
from local_stack.compiling import Compiling
from local_stack.parts import parts, site
from local_stack.ports import Ports
from local_stack.services import GATEWAYS, KEYED, SERVICES, Site, police_folder
from local_stack.supervisor import PartDied, Supervisor
from local_stack.trouble import Trouble

ROOT = Path(__file__).resolve().parents[3]


def world(given: Site) -> dict[str, Any]:
    """Where everything is, as the story and the tests read it. Databases are by the services' own roles."""
    from local_stack import ledger, openid

    issuers = openid.issuers(given.ports["openid"])
    names = [*SERVICES, "gateway", *(f"{name}_keys" for name in KEYED)]
    return {
        "gateways": [given.url(one) for one in GATEWAYS],
        "operations": [given.url(f"{one}-operations") for one in GATEWAYS],
        "services": {name: given.url(name) for name in SERVICES},
        "oidc": {
            "citizen": issuers.citizen, "staff": issuers.staff, "machine": issuers.machine,
            "client_id": openid.CLIENT, "audience": openid.AUDIENCE,
        },
        "zipkin": given.url("zipkin"),
        "register": given.url("register"),
        "mailbox": str(given.state / "mail"),
        "first_admin_code": str(given.vault.path("first-admin-code")),
        "kafka": given.bootstrap,
        "kafka_agency": given.agency_bootstrap,
        "kafka_data": str(given.state / "kafka" / "data"),
        "kafka_users": str(given.state / "secrets" / "kafka-users"),
        "logs": str(given.state / "logs"),
        "district": str(given.district),
        "police": {"status_url": given.url("police"), "folder": str(police_folder(given))},
        "folder": str(given.state / "story"),
        "ledger_key": ledger.ledger_key(given.vault), "witness_key": ledger.witness_key(given.vault),
        "databases": {name: given.database(name) for name in names},
        "parts": {"gateways": list(GATEWAYS), "consent": "consent", "logbook": "logbook"},
    }  # fmt: skip


class Stack:
    """The running stack: its supervisor, and the state that is written down while it runs."""

    def __init__(self, state: Path, console: Console) -> None:
        self.console = console
        self.record = running.Record(state)
        for name in self.record.end_leftovers():
            console.print(f"ended {name}, which an earlier start had left", highlight=False)
        self._ports = Ports()
        self.site = site(ROOT, state, self._ports)
        self.record.ports(dict(self.site.ports))
        self._compiling = Compiling(state)
        self.supervisor = Supervisor(parts(self.site, self._compiling.wait), self.tell, self.record.began)

    def tell(self, line: str) -> None:
        """A line of progress."""
        self.console.print(f"[green]ok[/green] {escape(line)}", highlight=False)

    def start(self) -> None:
        """Start everything. When a part dies from now on, the main thread is interrupted as by Ctrl-C, wherever it is:
        an event loop ends in order by that, and `run` finds out why.
        """
        began = time.monotonic()
        self.supervisor.start()
        self.write_world()
        main = threading.main_thread().ident or 0
        self.supervisor.on_trouble(lambda: signal.pthread_kill(main, signal.SIGINT))
        self.tell(f"everything is up after {time.monotonic() - began:.1f} s")

    def write_world(self) -> None:
        """Leave `world.json` for tools (`make why`, `make bench`); only its owner can read it."""
        from local_stack.vault import write_private

        write_private(self.site.state / "world.json", json.dumps(world(self.site), indent=1))

    def stop(self) -> None:
        """End everything; a second Ctrl-C does not keep it from that."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        self.console.print("stopping …")
        self._compiling.stop()
        self.supervisor.stop()
        self._ports.release()
        (self.site.state / "world.json").unlink(missing_ok=True)
        self.record.done()
        self.console.print("everything is stopped")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Start, tell the story if it is wanted, stay until Ctrl-C unless `once`. The exit code."""
    with running.alone(arguments.state):
        stack = Stack(arguments.state, console)
        try:
            stack.start()
            code = 0
            if arguments.command == "demo":
                from story.main import run as tell_story

                code = tell_story(world(stack.site), stack.supervisor, arguments.once, arguments.json)
                stack.supervisor.check()
            if not arguments.once:
                page.show(console, stack.site, stack.supervisor.pids())
                while True:
                    signal.pause()
            return code
        except KeyboardInterrupt:
            stack.supervisor.check()
            raise
        finally:
            stack.stop()


def clean(state: Path, console: Console) -> int:
    """Remove everything that a start has made; what still runs from a start that was killed is ended first."""
    if state.exists():
        with running.alone(state):
            running.Record(state).end_leftovers()
            shutil.rmtree(state)
    console.print(f"{state} is removed", highlight=False)
    return 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="local_stack", description=__doc__)
    parser.add_argument("command", choices=("up", "demo", "clean"))
    parser.add_argument("--once", action="store_true", help="stop after the story")
    parser.add_argument("--json", action="store_true", help="end with the story's result as one JSON object")
    parser.add_argument("--state", type=Path, default=ROOT / ".samlogg", help="the folder that holds everything")
    arguments = parser.parse_args()
    arguments.state = arguments.state.resolve()
    console = Console(stderr=arguments.json, soft_wrap=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # refusals are part of the story, not of the log
    # Also where a shell has started us in the background, with Ctrl-C ignored; `nohup` is left its way.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        return clean(arguments.state, console) if arguments.command == "clean" else run(arguments, console)
    except (Trouble, PartDied) as error:
        console.print(f"[red]{escape(str(error))}[/red]", highlight=False)
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        with suppress(BrokenPipeError):
            print(json.dumps({"ok": False, "steps": []}))
    return 1


if __name__ == "__main__":
    sys.exit(main())
