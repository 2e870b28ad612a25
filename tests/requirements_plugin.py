"""Pytest plugin: which requirements have a passing test. Writes `.samlogg/requirements.json` when the run ends.

Tests say `@pytest.mark.requirement("F073")`. An id that is not in `requirements.toml` fails the collection; a test
counts only when its set-up, call and tear-down all passed. X1-X8 (where the sources contradict one another, and a
choice was made) are known too; they are never among the 204.
"""

import json
import tomllib
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

REQUIREMENTS = Path(__file__).with_name("requirements.toml")
RESULT = Path(".samlogg") / "requirements.json"
"""Below the folder that pytest was started for (`rootpath`)."""

CONTRADICTIONS = frozenset(f"X{number}" for number in range(1, 9))
_known = frozenset(tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))) | CONTRADICTIONS
_shown = pytest.StashKey[dict[str, set[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known and begin with nothing shown."""
    config.addinivalue_line("markers", "requirement(id, ...): what this test would fail without (requirements.toml)")
    config.stash[_shown] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse marks that name no requirement: they would count for nothing, silently."""
    wrong = sorted({f"{item.nodeid}: {found!r}" for item in items for found in _marks(item) if found not in _known})
    empty = sorted({item.nodeid for item in items for mark in item.iter_markers("requirement") if not mark.args})
    if wrong or empty:
        lines = [f"no such requirement: {line}" for line in wrong] + [f"names no requirement: {line}" for line in empty]
        raise pytest.UsageError("\n".join(lines))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count what the test is marked with once all its phases have passed."""
    phases: list[pytest.TestReport] = []
    item.stash[_phases] = phases
    done = yield
    passed = {phase.when for phase in phases if phase.passed and not hasattr(phase, "wasxfail")}
    if passed == {"setup", "call", "teardown"} and len(phases) == 3:
        for found in _marks(item):
            item.config.stash[_shown].setdefault(found, set()).add(item.nodeid)
    return done


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the report of each phase."""
    report = yield
    item.stash[_phases].append(report)
    return report


_phases = pytest.StashKey[list[pytest.TestReport]]()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write what was shown, unless nothing was run."""
    if session.testscollected == 0 or session.config.option.collectonly:
        return
    target = session.config.rootpath / RESULT
    target.parent.mkdir(exist_ok=True)
    result = {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "tests": session.testscollected,
        "failed": session.testsfailed,
        "exit": int(exitstatus),
        "shown": {found: sorted(tests) for found, tests in sorted(session.config.stash[_shown].items())},
    }
    target.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _marks(item: pytest.Item) -> list[str]:
    return [found for mark in item.iter_markers("requirement") for found in mark.args]
