"""One child process in a group of its own: started, watched, stopped by its id and never by a name."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, with which environment (the whole of it), and where its output goes."""

    argv: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path


class Child:
    """A running command. Its output is added to the log; its group holds whatever it starts itself."""

    def __init__(self, command: Command) -> None:
        self.command = command
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log:
            self._begin = log.tell()
            self._process = subprocess.Popen(
                list(command.argv), cwd=command.folder, env=dict(command.environment), stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended: an exit code, minus a signal's number, or None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process itself; nothing happens if it has ended."""
        if self.code is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to the whole group, and wait until the process is gone."""
        if self.code is None:
            end_group(self.pid)
        self._process.wait()

    def stop(self, asks: signal.Signals = signal.SIGTERM, patience: float = 8.0) -> None:
        """Ask it to end, go on if it was paused, and kill its group if it does not end in `patience` seconds."""
        self.send(asks)
        self.send(signal.SIGCONT)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_lines(self, count: int = 15) -> list[str]:
        """The last lines it wrote since it was started."""
        with self.command.log.open("rb") as log:
            log.seek(max(self._begin, self.command.log.stat().st_size - 64_000))
            return log.read().decode("utf-8", "replace").splitlines()[-count:]


def end_group(pid: int) -> None:
    """SIGKILL to the process group that was started with the process `pid`."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def until(check: Callable[[], bool], seconds: float, child: Child | None = None) -> bool:
    """Ask `check` every 50 ms for at most so many seconds; give up at once when the child has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        if child is not None and child.code is not None:
            return False
        time.sleep(0.05)
    return False
