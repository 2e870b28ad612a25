"""What runs, written down while it runs: one start per folder, and no process left over from one that was killed."""

import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from local_stack.processes import end_group
from local_stack.trouble import Trouble

_SAME = 1.0
"""Seconds within which two readings of a process's birth are the same: ids are used again, births are not."""


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold the folder for this process; Trouble if another holds it. The lock goes when the process goes."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise Trouble(f"Samlogg already runs from this folder (process {lock.read().strip()}).") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class Record:
    """The file that names our processes and ports. It is there only while they run."""

    def __init__(self, state: Path) -> None:
        self._path = state / "running.json"
        self._parts: dict[str, tuple[int, float]] = {}
        self._ports: dict[str, int] = {}
        self._lock = threading.Lock()

    def ports(self, given: dict[str, int]) -> None:
        """Write the ports down."""
        self._ports = dict(given)
        self._write()

    def began(self, part: str, pid: int) -> None:
        """Write down that the part runs as this process."""
        with self._lock:
            try:
                self._parts[part] = (pid, psutil.Process(pid).create_time())
            except psutil.NoSuchProcess:
                return
            self._write()

    def done(self) -> None:
        """Everything has ended."""
        self._path.unlink(missing_ok=True)

    def end_leftovers(self) -> list[str]:
        """End what an earlier start left because it was killed itself; the names of those parts.

        A process is only touched if its id and its birth are the ones written down.
        """
        try:
            parts = json.loads(self._path.read_text())["parts"]
        except (OSError, ValueError, KeyError):
            return []
        found = [(name, pid) for name, (pid, born) in parts.items() if _is(pid, born)]
        for name, pid in found:
            # PostgreSQL ends cleanly by itself when asked; the others lose nothing by SIGKILL.
            if name == "postgres":
                os.kill(pid, signal.SIGINT)
                psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
            end_group(pid)
        psutil.wait_procs([psutil.Process(pid) for _, pid in found if psutil.pid_exists(pid)], timeout=10)
        self.done()
        return [name for name, _ in found]

    def _write(self) -> None:
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_text(json.dumps({"pid": os.getpid(), "ports": self._ports, "parts": self._parts}, indent=1))
        fresh.replace(self._path)


def _is(pid: int, born: float) -> bool:
    try:
        found: float = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return abs(found - born) < _SAME
