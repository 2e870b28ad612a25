"""The demo on real parts, started once for this folder: it tells its story and stays up for the other tests."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local_stack import java

ROOT = Path(__file__).parents[2]
SECONDS = 480


LAST = "test_growing_up.py"
"""It moves the business clock of the stack by years, and nobody moves it back."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lives through years comes last of the tests that share the stack."""
    here = [place for place, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[place] for place in here), key=lambda item: item.path.name == LAST)
    for place, item in zip(here, ordered, strict=True):
        items[place] = item


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo in its folder: what it said so far, and the story's result (empty when it ended without one)."""

    state: Path
    output: Path
    result: dict[str, Any]

    def told(self) -> str:
        """What it said on standard output."""
        return (self.output / "told").read_text()

    def complaints(self) -> str:
        """What it said beside it."""
        return (self.output / "complaints").read_text()

    def world(self) -> dict[str, Any]:
        """Where everything is, while it runs."""
        found: dict[str, Any] = json.loads((self.state / "world.json").read_text())
        return found

    def pid(self, part: str) -> int:
        """The part's process."""
        return int(json.loads((self.state / "running.json").read_text())["parts"][part][0])


@pytest.fixture(scope="package")
def demo() -> Iterator[Demo]:
    """From an empty folder; only what was fetched and checked before is shared with other runs."""
    folder = Path(tempfile.mkdtemp(prefix="samlogg-story-"))
    state, output = folder / "state", folder / "output"
    state.mkdir()
    output.mkdir()
    shared = ROOT / ".samlogg"
    shared.mkdir(exist_ok=True)
    java.prepare(shared)
    for name in ("jars", "java"):
        (shared / name).mkdir(exist_ok=True)
        (state / name).symlink_to(shared / name, target_is_directory=True)
    command = [sys.executable, "-m", "local_stack", "demo", "--json", "--state", str(state)]
    try:
        with (output / "told").open("w") as told, (output / "complaints").open("w") as complaints:
            process = subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=complaints)
        try:
            yield Demo(state, output, _result(process, output / "told"))
        finally:
            process.send_signal(signal.SIGINT)
            ended = process.wait(90)
        assert ended in {1, 130}, f"the demo ended with {ended}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _result(process: subprocess.Popen[bytes], told: Path) -> dict[str, Any]:
    """The story's last line, once it is there."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        lines = told.read_text().splitlines() or [""]
        if lines[-1].startswith('{"ok"') and lines[-1].endswith("}"):
            found: dict[str, Any] = json.loads(lines[-1])
            return found
        if ended:
            break
        time.sleep(0.2)
    return {"ok": False, "steps": []}
