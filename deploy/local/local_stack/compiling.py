"""Compiles what our services import, once, while the other parts are fetched, so that eight processes need not."""

import subprocess
import sys
from pathlib import Path

_IMPORTED = "consent.app, directory.app, logbook.app, notify.app, gateway.app, provisioner.work, police.service"


class Compiling:
    """Runs beside the start, the first time only. A failure shows in whoever imports the same."""

    def __init__(self, state: Path) -> None:
        self._done = state / "compiled"
        self._process: subprocess.Popen[bytes] | None = None
        if not self._done.exists():
            self._process = subprocess.Popen(
                [sys.executable, "-c", f"import {_IMPORTED}"], cwd=state, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until everything is compiled."""
        if self._process is not None and self._process.wait() == 0:
            self._done.touch()

    def stop(self) -> None:
        """End it if the start is given up."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
