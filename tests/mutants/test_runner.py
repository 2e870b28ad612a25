"""The campaign bites: a mistake that no test notices makes it fail, and so does a list that is no longer true."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.mutants.__main__ import judged, main
from tests.mutants.campaign import Change, Found, equivalents, modules

RULES = """
def allowed(age: int) -> bool:
    return age >= 15

def grown(age: int) -> bool:
    return age >= 18
"""
TESTS = """
from shop.rules import allowed, grown

def test_they_are_allowed_from_fifteen():
    assert [allowed(age) for age in (14, 16, 17)] == [False, True, True]

def test_they_are_grown_from_eighteen():
    assert [grown(age) for age in (17, 18, 19)] == [False, True, True]
"""
LISTED = """
[[planted]]
function = "grown"
was = "return age >= 18"
now = ["return age > 18"]
reason = "planted: this is no longer true"
"""
CHANGE = Change("planted", "grown", "return age >= 18", "return age > 18")


def held(folder: Path, tests: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """A campaign on two planted rules: its exit code and what it printed."""
    files = {
        "services/shop/__init__.py": "", "services/shop/rules.py": RULES, "tests/test_rules.py": tests,
        "equivalent.toml": LISTED,
        "modules.toml": "[planted]\npackage = 'services/shop'\nfile = 'rules.py'\ntests = ['tests/test_rules.py']\n",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    code = main(["--json"], root=folder, config=folder)
    assert {name: (folder / name).read_text() for name in files} == files
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else {"said": told.err}


def test_a_mutant_that_no_test_notices_and_a_listed_one_that_a_test_does_are_named_and_fail(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = held(tmp_path, TESTS, capsys)
    assert code == 1
    survivor = {"module": "planted", "function": "allowed", "was": "return age >= 15"}
    assert found["survivors"] == [{**survivor, "now": f"return age {now}"} for now in ("> 15", ">= 16")]
    assert [(one["function"], one["now"]) for one in found["stale"]] == [("grown", "return age > 18")]
    assert found["modules"] == {"planted": {"mutants": 4, "killed": 2, "equivalent": 0, "survived": 2}}


def test_tests_that_fail_without_any_mutant_are_no_proof(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = held(tmp_path, TESTS.replace("True, True", "True, False"), capsys)
    assert code == 1
    assert "mutmut gave up" in told["said"]


@pytest.mark.parametrize(
    ("survives", "listed", "survived", "stale"), [(1, 1, 0, 0), (2, 1, 1, 0), (1, 0, 1, 0), (0, 1, 0, 1), (0, 0, 0, 0)]
)
def test_exactly_the_listed_mutants_may_survive(survives: int, listed: int, survived: int, stale: int) -> None:
    found = Found(Counter({"planted": 5}), Counter({CHANGE: survives}))
    verdict = judged(found, [CHANGE] * listed, ["planted"])
    assert (len(verdict["survivors"]), len(verdict["stale"])) == (survived, stale)
    row = {"mutants": 5, "killed": 5 - survives, "equivalent": survives - survived, "survived": survived}
    assert verdict["modules"] == {"planted": row}


def test_the_list_of_another_module_is_left_alone() -> None:
    verdict = judged(Found(Counter({"other": 1}), Counter()), [CHANGE], ["other"])
    assert verdict["stale"] == []


def test_every_equivalent_mutant_is_of_a_known_module_and_says_why() -> None:
    here = Path(__file__).parent
    known = modules(here / "modules.toml")
    root = here.parents[1]
    assert all((root / one.package / one.file).is_file() for one in known.values())
    for change, reason in equivalents(here / "equivalent.toml"):
        assert change.module in known
        assert len(reason) > 20
        assert change.was != change.now
