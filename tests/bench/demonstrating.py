"""`make demo` as a newcomer runs it, with what it told: how long it takes, what it needs, how many calls it makes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.standing import folder, progress
from tests.stack import ROOT


@contextmanager
def demo_that_stays() -> Iterator[tuple[str, dict[str, int]]]:
    """The demo after its story, still up: what was told, and the process id of every part (`demo` is its own)."""
    with folder() as state:
        log = state / "told"
        command = [sys.executable, "-m", "local_stack", "demo", "--state", str(state)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        try:
            end = time.monotonic() + 420
            while "What to try next" not in (told := log.read_text()):
                if process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"the demo did not come to its page:\n{told[-2000:]}")
                time.sleep(0.5)
            if "The story stops here" in told:
                raise AssertionError(f"the story did not end well:\n{told[-2000:]}")
            parts = json.loads((state / "running.json").read_text())["parts"]
            yield told, {**{name: pid for name, (pid, _) in parts.items()}, "demo": process.pid}
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@contextmanager
def fresh_copy() -> Iterator[Path]:
    """A folder as a fresh clone of the working tree: the files that git has or would take, and nothing else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True,
        check=True,
    )  # fmt: skip
    made = Path(tempfile.mkdtemp(prefix="samlogg-clone-"))
    try:
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (made / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, made / name)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def seconds_of_demo(where: Path, environment: Mapping[str, str]) -> float:
    """`make demo ONCE=1` there, from the start to its end; AssertionError if it fails."""
    began = time.monotonic()
    done = subprocess.run(
        ["make", "demo", "ONCE=1"], cwd=where, env=dict(environment), capture_output=True, text=True, timeout=1_200,
        check=False,
    )  # fmt: skip
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise AssertionError(f"make demo ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    up = re.search(r"everything is up after ([\d.]+) s", done.stdout)
    progress(f"make demo: {seconds:.1f} s, of which everything was up after {up[1] if up else '?'} s")
    return seconds
