"""The guide: a template, a district's override, and what comes of both."""

from typing import Any

import pytest

from directory import model
from directory.api.document import DocumentIn


def _guide(document: dict[str, Any]) -> model.Guide:
    source = DocumentIn.model_validate(document).document("gamlebyen").guide
    assert source is not None
    return model.merged(source)


def _steps(guide: model.Guide, level: int) -> list[str]:
    return [step.id for one in guide.levels if one.level == level for step in one.steps]


@pytest.mark.requirement("F032")
def test_the_guide_is_data_with_steps_tools_and_who_decides(document: dict[str, Any]) -> None:
    guide = _guide(document)
    tools = {tool.id for tool in guide.tools}
    assert [level.names["nb"] for level in guide.levels] == [
        "Identifisering", "Lokal innsats", "Tverrfaglig samarbeid", "Kompleks samordning",
    ]  # fmt: skip
    for level in guide.levels:
        assert level.steps
        for step in level.steps:
            assert {"nb", "en"} <= set(step.text) and {"nb", "en"} <= set(step.who) and set(step.tools) <= tools


@pytest.mark.requirement("F139")
def test_the_guide_goes_through_all_four_phases(document: dict[str, Any]) -> None:
    phases = {step.phase for level in _guide(document).levels for step in level.steps}
    assert phases == {"identification", "assessment", "decision", "measures"}


@pytest.mark.requirement("F042")
def test_the_guide_says_in_questions_when_a_log_is_created(document: dict[str, Any]) -> None:
    criteria = {level.level: level.create_log for level in _guide(document).levels}
    assert criteria[0] is not None and not criteria[0].allowed
    assert criteria[1] is not None and criteria[1].allowed
    assert {question.expected for question in criteria[1].questions} == {"yes", "no"}
    assert "consented" in {question.id for question in criteria[1].questions}


@pytest.mark.requirement("F033")
def test_a_district_adds_changes_and_drops_steps_of_the_template_and_the_difference_is_told(
    document: dict[str, Any],
) -> None:
    document["guide"]["override"]["levels"][0]["drop_steps"] = ["hand-over"]
    guide = _guide(document)
    steps = _steps(guide, 2)
    assert steps[steps.index("consent-per-service") + 1] == "book-fixed-day"
    assert "hand-over" not in steps
    assert list(guide.differences) == [
        {"level": 2, "step": "hand-over", "what": "dropped"},
        {"level": 2, "step": "book-fixed-day", "what": "added"},
        {"level": 3, "step": "responsibility-group", "what": "changed"},
    ]


def test_a_district_without_an_override_has_the_template(document: dict[str, Any]) -> None:
    document["guide"]["override"] = {}
    assert _guide(document).differences == ()


@pytest.mark.requirement("F034")
@pytest.mark.parametrize(("dropped", "left"), [([], [0, 1, 2, 3]), ([3], [0, 1, 2]), ([0, 1, 2, 3], [])])
def test_a_district_decides_how_many_levels_there_are(
    document: dict[str, Any], dropped: list[int], left: list[int]
) -> None:
    document["guide"]["override"] = {"drop_levels": dropped}
    parsed = DocumentIn.model_validate(document).document("gamlebyen")
    model.check(parsed, model.Kept({}, frozenset(), {}, frozenset(), guide=False), synthetic=True)
    district = next(entity for entity in model.entities(parsed) if entity.kind == "district")
    assert district.body["levels"] == left == [level.level for level in _guide(document).levels]


def test_a_report_of_concern_stays_possible_without_a_third_level_and_goes_outside_the_log(
    document: dict[str, Any],
) -> None:
    document["guide"]["override"] = {"drop_levels": [3]}
    guide = _guide(document)
    outcomes = {outcome.id: outcome for outcome in guide.levels[0].outcomes}
    assert outcomes["report"].outside_log and outcomes["report"].to_level is None
    assert "complex" not in {outcome.id for outcome in guide.levels[2].outcomes}


def test_own_criteria_replace_those_of_the_template(document: dict[str, Any]) -> None:
    own = {"when": {"nb": "Alltid på nivå 2."}, "allowed": True}
    document["guide"]["override"]["levels"][0]["create_log"] = own
    guide = _guide(document)
    assert guide.levels[2].create_log is not None
    assert guide.levels[2].create_log.when == {"nb": "Alltid på nivå 2."}
    assert {"level": 2, "step": None, "what": "changed"} in guide.differences
