"""Starts the parts side by side as far as their needs allow, watches them, and stops them; it knows none by name."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from local_stack.processes import Child, Command, until
from local_stack.trouble import Trouble

_LOOK = 0.1
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One process. `make` does whatever comes before it and gives its command; `after` runs once when it is ready."""

    name: str
    make: Callable[[], Command]
    ready: Callable[[], bool]
    needs: tuple[str, ...] = ()
    after: Callable[[], None] = lambda: None
    asks: signal.Signals = signal.SIGTERM
    patience: float = 60.0
    """Seconds that it may take to become ready."""
    grace: float = 8.0
    """Seconds that it may take to end when asked."""
    last: bool = False
    """Others talk to it until they end: it is stopped after them."""


class PartDied(Exception):
    """A part ended that nobody had asked to; the text says which, how, and its last lines."""


@dataclass(slots=True)
class _State:
    part: Part
    child: Child | None = None
    command: Command | None = None
    is_ready: threading.Event = field(default_factory=threading.Event)
    expected: bool = False
    """Its end was asked for: it is started again."""
    watched: bool = False
    """It has been ready once: from now on its end is trouble, unless it was asked for."""


class Supervisor:
    """The parts of one start. `began(part, pid)` is called for every process, before it does anything."""

    def __init__(self, parts: Sequence[Part], tell: Tell, began: Callable[[str, int], None]) -> None:
        self._states = {part.name: _State(part) for part in parts}
        self._tell, self._began = tell, began
        self._trouble: Exception | None = None
        self._stopping = threading.Event()
        self._lock = threading.RLock()
        self._watch: threading.Thread | None = None
        self._interrupt: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Start everything and return when all is ready. Raises the first trouble; `stop` is the caller's to call."""
        self._watch = threading.Thread(target=self._watching, name="watch", daemon=True)
        self._watch.start()
        pool = ThreadPoolExecutor(len(self._states), thread_name_prefix="start")
        try:
            for state in self._states.values():
                pool.submit(self._start, state)
            while not all(state.is_ready.is_set() for state in self._states.values()):
                self.check()
                time.sleep(_LOOK)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._trouble is not None:
            raise self._trouble

    def on_trouble(self, interrupt: Callable[[], None]) -> None:
        """Call this, from the watching thread, when a part dies from now on."""
        self._interrupt = interrupt

    def pids(self) -> dict[str, int]:
        """The process id of every part that has been started."""
        return {name: state.child.pid for name, state in self._states.items() if state.child is not None}

    def kill(self, name: str, number: int) -> None:
        """Send the signal to the part. If it ends by it, it is started again, as a machine's own supervisor would."""
        state, wanted = self._states[name], signal.Signals(number)
        with self._lock:
            if wanted not in {signal.SIGSTOP, signal.SIGCONT}:
                state.expected = True
                state.is_ready.clear()
            if state.child is not None:
                state.child.send(wanted)

    def restart(self, name: str) -> None:
        """Ask the part to end, and start it again; returns when it is ready."""
        self.kill(name, self._states[name].part.asks)
        self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Return when the part is up and ready; Trouble if it is not within its patience."""
        state = self._states[name]
        deadline = time.monotonic() + state.part.patience
        while time.monotonic() < deadline:
            self.check()
            if not state.expected and state.child is not None and state.child.code is None and state.part.ready():
                state.is_ready.set()
                return
            time.sleep(_LOOK / 2)
        raise Trouble(f"{name} is not ready after {state.part.patience:.0f} s.")

    def stop(self) -> None:
        """End every process that was started, and only those; returns when all are gone."""
        with self._lock:
            self._stopping.set()
        for last in (False, True):
            running = [state for state in self._states.values() if state.part.last is last and state.child is not None]
            if running:
                with ThreadPoolExecutor(len(running)) as pool:
                    list(pool.map(_stop, running))
        if self._watch is not None:
            self._watch.join()

    def _start(self, state: _State) -> None:
        part = state.part
        try:
            for need in part.needs:
                while not self._states[need].is_ready.wait(_LOOK):
                    if self._stopping.is_set() or self._trouble is not None:
                        return
            began = time.monotonic()
            state.command = part.make()
            child = self._run(state)
            if child is None:
                return
            if not until(part.ready, part.patience, child):
                raise Trouble(_how(part.name, child))
            part.after()
            state.watched = True
            state.is_ready.set()
            self._tell(f"{part.name:<14} ready after {time.monotonic() - began:4.1f} s")
        except Exception as error:  # noqa: BLE001  it is raised again in the thread that waits
            self._fail(error)

    def _run(self, state: _State) -> Child | None:
        with self._lock:
            if self._stopping.is_set() or state.command is None:
                return None
            state.child = Child(state.command)
            state.expected = False
            self._began(state.part.name, state.child.pid)
            return state.child

    def _watching(self) -> None:
        while not self._stopping.wait(_LOOK):
            for state in self._states.values():
                child = state.child
                if child is None or child.code is None:
                    continue
                if state.expected:
                    self._tell(f"{state.part.name} ended and is started again")
                    self._run(state)
                elif state.watched and self._trouble is None:
                    self._fail(PartDied(_how(state.part.name, child)))
                    self._interrupt()

    def _fail(self, error: Exception) -> None:
        with self._lock:
            if self._trouble is None and not self._stopping.is_set():
                self._trouble = error


def _stop(state: _State) -> None:
    if state.child is not None:
        state.child.stop(state.part.asks, state.part.grace)


def _how(name: str, child: Child) -> str:
    code = child.code
    ended = "is not ready in time" if code is None else f"ended with {code}"
    if code is not None and code < 0:
        ended = f"was ended by {signal.Signals(-code).name}"
    lines = child.last_lines()
    shown = "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
    return f"{name} {ended}. The last lines of {child.command.log}:\n{shown}"
