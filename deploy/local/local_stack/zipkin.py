"""Zipkin, which keeps and shows traces: in memory, on loopback, the newest ones."""

from collections.abc import Sequence
from pathlib import Path

from local_stack import java
from local_stack.ports import LOOPBACK
from local_stack.processes import Command

_MAIN = "org.springframework.boot.loader.launch.JarLauncher"
_SPANS = 30_000  # what fits into the heap below


def command(state: Path, jars: Sequence[Path], port: int, log: Path) -> Command:
    """How to start it."""
    options = ("-Xss512k", "-Dspring.main.banner-mode=off", "-Dlogging.level.root=WARN")
    argv = java.command(state, jars, _MAIN, heap="144m", options=options)
    listens = [
        f"--armeria.ports[0].ip={LOOPBACK}",
        f"--armeria.ports[0].port={port}",
        "--armeria.ports[0].protocols[0]=http",
    ]
    return Command([*argv, *listens], state, java.environment({"MEM_MAX_SPANS": str(_SPANS)}), log)
