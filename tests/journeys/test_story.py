"""The main story, told once on real parts: the whole stack as `make demo` starts it, and each step as a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.journeys.conftest import SECONDS, Demo

STEPS = (
    "district-and-agencies", "request-and-consent", "log", "agency", "withdrawal", "e-mail", "looks", "kills", "traces",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the demo: what it said, and what it told of its steps."""

    told: str
    complaints: str
    result: dict[str, Any]

    def step(self, name: str) -> dict[str, Any]:
        """What was told of one step; the test fails with the story's own words when it was not told or not ok."""
        found = [one for one in self.result["steps"] if one["name"] == name]
        if not found or not found[0]["ok"]:
            pytest.fail(
                f"the step {name} is not ok. The story ended so:\n{self.told[-4000:]}\n{self.complaints[-4000:]}"
            )
        return dict(found[0])


@pytest.fixture(scope="package")
def run(demo: Demo) -> Run:
    """The story as the demo told it; the stack stays up afterwards."""
    return Run(demo.told(), demo.complaints(), {"steps": [], **demo.result})


@pytest.mark.timeout(SECONDS + 60)
def test_the_whole_story_is_told_and_ends_well(run: Run) -> None:
    for name in STEPS:
        run.step(name)
    assert [one["name"] for one in run.result["steps"]] == list(STEPS)
    assert run.result["ok"] is True


@pytest.mark.requirement("F025", "F032")
def test_the_district_is_loaded_and_two_agencies_are_attached(run: Run) -> None:
    run.step("district-and-agencies")


@pytest.mark.requirement("F069", "F083", "F090", "F091")
def test_everybody_asked_answers_and_before_that_nothing_is_told(run: Run) -> None:
    run.step("request-and-consent")


@pytest.mark.requirement("F002", "F073")
def test_the_log_has_one_holder_and_shows_everybody_what_they_may_see(run: Run) -> None:
    run.step("log")


@pytest.mark.requirement("F007")
def test_the_polices_own_service_sees_its_category_and_no_trace_of_another(run: Run) -> None:
    run.step("agency")


@pytest.mark.requirement("F069")
def test_after_a_confirmed_withdrawal_nothing_reaches_the_police_and_the_school_notices_nothing(run: Run) -> None:
    run.step("withdrawal")


def test_an_e_mail_comes_that_names_nobody_and_nothing(run: Run) -> None:
    run.step("e-mail")


@pytest.mark.requirement("F176", "F204")
def test_the_youth_sees_every_look_every_refusal_and_what_was_made_and_a_guardian_a_part(run: Run) -> None:
    run.step("looks")


def test_three_kills_in_the_middle_of_bursts_lose_nothing_and_double_nothing(run: Run) -> None:
    run.step("kills")


def test_a_read_and_a_withdrawal_are_one_trace_each(run: Run) -> None:
    assert len(run.step("traces")["trace"]) == 32
