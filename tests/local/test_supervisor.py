"""Parts are started, watched and stopped by their own ids; what dies is trouble, what was killed comes back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from local_stack.processes import Command
from local_stack.running import Record, alone
from local_stack.supervisor import Part, PartDied, Supervisor
from local_stack.trouble import Trouble

SLEEPS = "import time, pathlib, sys; pathlib.Path(sys.argv[1]).write_text('up'); print('hello'); time.sleep(60)"
DIES = "import sys; print('the reason'); sys.exit(3)"


class House:
    """A folder for a few small parts and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told, self.begun = folder, list[str](), list[tuple[str, int]]()

    def part(self, name: str, program: str = SLEEPS, **more: object) -> Part:
        up = self.folder / f"{name}.up"

        def make() -> Command:
            up.unlink(missing_ok=True)
            argv = [sys.executable, "-u", "-c", program, str(up)]
            return Command(argv, self.folder, dict(os.environ), self.folder / f"{name}.log")

        return Part(name, make, up.exists, **{"patience": 20.0, **more})  # type: ignore[arg-type]

    def supervisor(self, *parts: Part) -> Supervisor:
        return Supervisor(parts, self.told.append, lambda name, pid: self.begun.append((name, pid)))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture
def run() -> Iterator[Callable[[Supervisor], Supervisor]]:
    started: list[Supervisor] = []

    def start(supervisor: Supervisor) -> Supervisor:
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for one in started:
        one.stop()


Run = Callable[[Supervisor], Supervisor]


def test_a_part_starts_after_what_it_needs(house: House, run: Run) -> None:
    run(house.supervisor(house.part("second", needs=("first",)), house.part("first")))
    assert [name for name, _ in house.begun] == ["first", "second"]


def test_stopping_ends_every_part_and_nothing_else(house: House, run: Run) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        supervisor = run(house.supervisor(house.part("one"), house.part("two", last=True)))
        pids = list(supervisor.pids().values())
        supervisor.stop()
        assert not any(psutil.pid_exists(pid) for pid in pids)
        assert stranger.poll() is None
        stranger.kill()


def test_a_paused_part_is_stopped_too(house: House, run: Run) -> None:
    supervisor = run(house.supervisor(house.part("one")))
    supervisor.kill("one", signal.SIGSTOP)
    supervisor.stop()
    assert not psutil.pid_exists(supervisor.pids()["one"])


def test_a_part_that_cannot_start_is_named_with_its_last_lines(house: House, run: Run) -> None:
    with pytest.raises(Trouble, match=r"(?s)bad ended with 3\..*the reason"):
        run(house.supervisor(house.part("good"), house.part("bad", DIES)))


def test_a_part_that_dies_by_itself_is_trouble_and_interrupts(house: House, run: Run) -> None:
    supervisor = run(house.supervisor(house.part("one")))
    interrupted = threading.Event()
    supervisor.on_trouble(interrupted.set)
    os.kill(supervisor.pids()["one"], signal.SIGKILL)
    assert interrupted.wait(5)
    with pytest.raises(PartDied, match=r"(?s)one was ended by SIGKILL.*hello"):
        supervisor.check()


def test_a_part_that_was_killed_on_purpose_comes_back(house: House, run: Run) -> None:
    supervisor = run(house.supervisor(house.part("one")))
    before = supervisor.pids()["one"]
    (house.folder / "one.up").unlink()
    supervisor.kill("one", signal.SIGKILL)
    supervisor.wait_ready("one")
    assert supervisor.pids()["one"] != before
    assert (house.folder / "one.up").exists()
    supervisor.check()


def test_a_part_that_was_restarted_and_dies_again_is_trouble(house: House, run: Run) -> None:
    supervisor = run(house.supervisor(house.part("one")))
    supervisor.restart("one")
    os.kill(supervisor.pids()["one"], signal.SIGTERM)
    deadline = time.monotonic() + 5
    with pytest.raises(PartDied):
        while time.monotonic() < deadline:
            supervisor.check()
            time.sleep(0.02)


def test_only_one_start_at_a_time_has_the_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Trouble, match=f"process {os.getpid()}"), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_what_a_killed_start_has_left_is_ended_and_a_stranger_with_its_id_is_not(tmp_path: Path) -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleep, start_new_session=True) as left, subprocess.Popen(sleep) as stranger:
        reaper = threading.Thread(target=left.wait)  # reaped as init would
        reaper.start()
        try:
            record = Record(tmp_path)
            record.began("left", left.pid)
            record.began("other", stranger.pid)
            record._parts["other"] = (stranger.pid, psutil.Process(stranger.pid).create_time() - 100)
            record._write()
            assert Record(tmp_path).end_leftovers() == ["left"]
            assert stranger.poll() is None
            assert Record(tmp_path).end_leftovers() == []
        finally:
            left.kill()
            stranger.kill()
            reaper.join()
