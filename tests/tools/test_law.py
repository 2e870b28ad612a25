"""`make law`: what holds for somebody and why, the whole table as a page, and what another table would change."""

import json
from pathlib import Path

import pytest

from consent.handlers.tables import LAW, current_law
from consent.model.own_say_file import sources
from samlogg.__main__ import main


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["law", *arguments]) == 0
    return capsys.readouterr().out


def test_it_says_who_decides_and_who_sees_and_by_which_row(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--born", "2011-03-04", "--on", "2026-11-23")
    assert "so 15 years old on 2026-11-23" in said
    assert "general content: yes from the person\n      row general-15-18: Datatilsynet" in said
    assert "special categories: yes from the person and the guardians" in said
    assert "others from 2029-03-04 on" in said
    assert "the guardians: health (read, contribute) until 2027-03-04" in said
    assert said == told(capsys, "--born", "2011-03-04", "--on", "2026-11-23")


def test_it_says_what_holds_for_somebody_who_is_due(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "--due", "2027-02-01", "--on", "2026-11-23")
    assert "Due 2027-02-01, and not born on 2026-11-23" in said
    assert "general content: yes from the expectant mother; others from 2027-03-02 on\n      row general-unborn" in said
    assert "the expectant mother: health (read, contribute)\n      row expectant-content" in said
    late = told(capsys, "--due", "2027-02-01", "--on", "2027-03-02")
    assert "general content: yes from the person and the guardians\n      no row fits" in late
    [line] = [line for line in told(capsys).splitlines() if line.startswith("| general-unborn |")]
    assert "| before birth, 28 days past the due date at most |" in line


def test_facts_change_what_holds(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--born", "2016-03-04", "--on", "2026-11-23", "--json", "--facts"]

    def needs(facts: str, category: str) -> list[str]:
        found = json.loads(told(capsys, *asked, facts))
        return next(one["needs"] for one in found["answers"] if one["what"] == category)

    assert needs("", "health") == ["guardians"]
    assert needs("responsibility=mor", "health") == ["guardians"]
    assert needs("care=child-welfare", "health") == ["representatives"]
    assert needs("party=health", "health") == ["guardians", "subject"]
    assert needs("party=health", "class:special") == ["guardians"]
    assert needs("party=all", "class:special") == ["guardians", "subject"]


def test_an_unknown_fact_is_told_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["law", "--born", "2016-03-04", "--facts", "weather=rain"]) == 2
    assert "There is no fact weather=rain. Say responsibility=felles|mor" in capsys.readouterr().err


def test_the_page_has_every_row_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    page = told(capsys)
    law = current_law()
    assert page.startswith(f"# Who decides and who sees, by age: law table {law.version}")
    rows = [row.source for rows in (law.answers, law.sights, law.circles) for row in rows]
    for source in [*rows, *sources(law.say)]:
        [line] = [line for line in page.splitlines() if line.startswith(f"| {source.row} |")]
        assert source.legal.replace("|", "\\|") in line
        assert source.verified_by in line
    assert {line.count(" | ") for line in page.splitlines() if line.startswith("|")} == {5, 6, 7, 8}


def test_a_table_that_cannot_be_used_is_told_with_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "law.toml"
    bad.write_text(LAW.read_text("utf-8").replace("to_age = 7", "to_age = 6", 1), "utf-8")
    assert main(["law", "--table", str(bad)]) == 2
    assert "row general-7-12: a gap from 6 to 7" in capsys.readouterr().err
