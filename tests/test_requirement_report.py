"""What counts as shown: only ids that exist, and only tests that passed; and the report over them."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.requirement_report import report
from tests.requirements_plugin import REQUIREMENTS

ROOT = Path(__file__).parents[1]
SERVICES = {"consent", "directory", "gateway", "logbook", "notify", "operations"}


def _run(folder: Path, tests: str, *more: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.toml").write_text(f"[pytest]\npythonpath = [{json.dumps(str(ROOT))}]\n")
    (folder / "test_it.py").write_text("import pytest\n" + tests)
    command = [sys.executable, "-m", "pytest", "-p", "tests.requirements_plugin", "--rootdir", str(folder), *more]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip


def _shown(folder: Path) -> dict[str, list[str]]:
    result: dict[str, list[str]] = json.loads((folder / ".samlogg" / "requirements.json").read_text())["shown"]
    return result


def test_there_are_204_requirements_each_a_sentence_with_its_services() -> None:
    found = tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))
    assert list(found) == [f"F{number:03d}" for number in range(1, 205)]
    for one in found.values():
        assert re.fullmatch(r"[A-Z].*[^ ]\.", one["text"]) and one["services"]
        assert set(one["services"]) <= SERVICES and len(set(one["services"])) == len(one["services"])


def test_only_tests_that_passed_in_every_phase_count(tmp_path: Path) -> None:
    _run(
        tmp_path,
        """
@pytest.fixture
def falls_over_afterwards():
    yield
    raise RuntimeError

@pytest.mark.requirement("F001", "F002")
def test_passes(): pass

@pytest.mark.requirement("F003")
def test_fails(): assert False

@pytest.mark.requirement("F004")
def test_skips(): pytest.skip()

@pytest.mark.requirement("F005")
@pytest.mark.xfail
def test_was_expected_to_fail(): assert False

@pytest.mark.requirement("F006")
@pytest.mark.xfail
def test_was_expected_to_fail_and_passed(): pass

@pytest.mark.requirement("F007")
def test_falls_over_afterwards(falls_over_afterwards): pass

@pytest.mark.requirement("F008")
@pytest.mark.parametrize("value", [True, False])
def test_passes_once(value): assert value
""",
    )
    shown = _shown(tmp_path)
    assert set(shown) == {"F001", "F002", "F008"}
    assert shown["F008"] == ["test_it.py::test_passes_once[True]"]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ('"F205"', "no such requirement"),
        ('"X9"', "no such requirement"),
        ('"f001"', "no such requirement"),
        ("", "names no requirement"),
    ],
)
def test_a_mark_that_names_no_requirement_fails_the_collection(tmp_path: Path, mark: str, said: str) -> None:
    run = _run(tmp_path, f"@pytest.mark.requirement({mark})\ndef test_it(): pass\n")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in run.stdout + run.stderr
    assert not (tmp_path / ".samlogg").exists()


def test_a_contradiction_of_the_sources_can_be_marked_and_is_none_of_the_204(tmp_path: Path) -> None:
    _run(tmp_path, '@pytest.mark.requirement("X1", "F001")\ndef test_it(): pass\n')
    shown = _shown(tmp_path)
    assert set(shown) == {"F001", "X1"}
    requirements = tomllib.loads(REQUIREMENTS.read_text(encoding="utf-8"))
    assert report(requirements, shown).splitlines()[0] == "1 of 204"


def test_a_run_that_only_collects_reports_nothing(tmp_path: Path) -> None:
    _run(tmp_path, '@pytest.mark.requirement("F001")\ndef test_it(): pass\n', "--collect-only")
    assert not (tmp_path / ".samlogg").exists()


def test_the_report_counts_all_then_each_service_then_lists_the_rest() -> None:
    requirements = {
        "F001": {"text": "One.", "services": ["logbook", "gateway"]},
        "F002": {"text": "Two.", "services": ["gateway"]},
        "F003": {"text": "Three.", "services": ["logbook"]},
    }
    assert report(requirements, {"F001"}).splitlines() == [
        "1 of 3",
        "  gateway       0 of 1",
        "  logbook       1 of 2",
        "",
        "Not shown:",
        "  F002 gateway     Two.",
        "  F003 logbook     Three.",
    ]
    assert "Not shown" not in report(requirements, set(requirements))
