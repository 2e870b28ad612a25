"""One campaign: mutmut on a copy of the packages and their tests, and what came of each mutant."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

Tell = Callable[[str], None]

_FOUND = ("killed", "timeout")
"""A mutant that runs for ever is noticed too: no test of it ends."""
_PROGRESS = re.compile(r"(\d+)/(\d+) ")
_RESULT = re.compile(r"^ {4}(?P<module>[\w.]+)\.x[_ǁ](?P<function>\w+)__mutmut_(?P<number>\d+): (?P<status>.+)$")


class Failed(Exception):
    """The campaign could not be held: the tests fail on the untouched code, or do not reach it."""


@dataclass(frozen=True, slots=True)
class Module:
    """What is mutated, and the tests that must notice. Folders and files from the root of the checkout."""

    name: str
    package: Path
    file: Path
    tests: tuple[str, ...]

    @property
    def path(self) -> Path:
        """The file below the folder that holds the package, as Python imports it."""
        return Path(self.package.name) / self.file

    @property
    def dotted(self) -> str:
        """The name by which it is imported."""
        return ".".join(self.path.with_suffix("").parts)


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One mutant as a person reads it: the lines before and after, and in which function."""

    module: str
    function: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Found:
    """Mutants by module; those that no test noticed, each as often as it survived."""

    mutants: Counter[str]
    survivors: Counter[Change]


def modules(file: Path) -> dict[str, Module]:
    """What `modules.toml` lists, by name."""
    listed = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        name: Module(name, Path(one["package"]), Path(one["file"]), tuple(one["tests"])) for name, one in listed.items()
    }


def equivalents(file: Path) -> list[tuple[Change, str]]:
    """Mutants that do the same as the code, with the reason; `now` may list several for one line."""
    listed = tomllib.loads(file.read_text(encoding="utf-8"))
    return [
        (Change(module, one["function"], one["was"], now), one["reason"])
        for module, entries in listed.items() for one in entries for now in one["now"]
    ]  # fmt: skip


def hold(root: Path, chosen: Iterable[Module], tell: Tell, workers: int = 1) -> Found:
    """Mutate the chosen modules and run their tests on each mutant. The checkout itself is only read."""
    by_dotted = {module.dotted: module for module in chosen}
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder)
        _prepare(root, copy, list(by_dotted.values()))
        _run(copy, tell, workers)
        mutants: Counter[str] = Counter()
        survivors: Counter[Change] = Counter()
        for key, found in _results(copy):
            module = by_dotted[found["module"]].name
            mutants[module] += 1
            if found["status"] == "not checked":
                raise Failed(f"{key} was not tried")
            if found["status"] not in _FOUND:
                survivors[_change(copy, key, module, found["function"].replace("ǁ", "."))] += 1
    return Found(mutants, survivors)


def _prepare(root: Path, copy: Path, chosen: list[Module]) -> None:
    """Packages side by side, so that a mutant's path is its import name. Without the fixtures that start servers."""
    unwanted = shutil.ignore_patterns("__pycache__", "conftest.py")
    for package in {module.package for module in chosen}:
        shutil.copytree(root / package, copy / package.name, ignore=unwanted)
    shutil.copytree(root / "tests", copy / "tests", ignore=unwanted)
    tests = sorted({test for module in chosen for test in module.tests})
    settings: Mapping[str, Mapping[str, object]] = {
        "tool.mutmut": {
            "source_paths": sorted({module.package.name for module in chosen}),
            "only_mutate": [str(module.path) for module in chosen],
            "pytest_add_cli_args": ["-p", "no:cacheprovider"],
            "pytest_add_cli_args_test_selection": tests,
            "use_git_change_detection": False,
        },
        "tool.pytest.ini_options": {
            "pythonpath": ["."],
            "addopts": ["--import-mode=importlib"],
            "markers": ["requirement(id): what this test would fail without"],
        },
    }
    lines = []
    for table, values in settings.items():
        lines += [f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    (copy / "pyproject.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _run(copy: Path, tell: Tell, workers: int) -> None:
    with _mutmut(copy, "run", "--max-children", str(workers)) as (process, output):
        said = _follow(output, tell)
        if process.wait() != 0:
            raise Failed(f"mutmut gave up:\n{said[-3000:]}")


def _follow(output: IO[bytes], tell: Tell) -> str:
    """Everything mutmut said; meanwhile how far it is."""
    said = ""
    while chunk := os.read(output.fileno(), 65_536):
        said += chunk.decode(errors="replace")
        if counts := _PROGRESS.findall(said[-300:]):
            tell("{} of {} mutants".format(*counts[-1]))
    return said


def _results(copy: Path) -> Iterator[tuple[str, re.Match[str]]]:
    with _mutmut(copy, "results", "--all", "true") as (_, output):
        lines = output.read().decode().splitlines()
    for line in lines:
        if not (found := _RESULT.match(line)):
            raise Failed(f"mutmut told a result in words that are not known here: {line!r}")
        yield line.strip().rpartition(":")[0], found


def _change(copy: Path, key: str, module: str, function: str) -> Change:
    with _mutmut(copy, "show", key) as (_, output):
        lines = [line for line in output.read().decode().splitlines() if not line.startswith(("---", "+++"))]
    was, now = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Change(module, function.removeprefix("."), was, now)


@contextmanager
def _mutmut(copy: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """mutmut on the copy, in a group of its own that does not outlive this block. pytest's other plugins cost time."""
    program = Path(sys.executable).with_name("mutmut")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    process = subprocess.Popen(
        [program, *arguments], cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env=kept | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with process.stdout:
            yield process, process.stdout
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        process.wait()
