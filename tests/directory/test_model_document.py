"""What a district's document must fulfil: each rule broken once, in the demo district itself."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from directory import model
from directory.api.document import DocumentIn
from tests.directory.conftest import NURSE, TEACHER

EMPTY = model.Kept(orgnrs={}, categories=frozenset(), attached={}, used=frozenset(), guide=False)
Break = Callable[[dict[str, Any]], object]


def _of(document: dict[str, Any]) -> model.Document:
    return DocumentIn.model_validate(document).document("gamlebyen")


def _findings(document: dict[str, Any], kept: model.Kept = EMPTY, *, synthetic: bool = True) -> set[tuple[str, str]]:
    try:
        model.check(_of(document), kept, synthetic=synthetic)
    except model.Refused as refused:
        return {(finding.where, finding.what) for finding in refused.findings}
    return set()


def test_the_demo_district_fulfils_every_rule(document: dict[str, Any]) -> None:
    assert _findings(document) == set()


def test_synthetic_organisations_are_refused_in_production(document: dict[str, Any]) -> None:
    found = _findings(document, synthetic=False)
    assert {what for _, what in found} == {"not-an-organisation-number"}
    assert len(found) == len(document["agencies"])


BREAKS: list[tuple[str, Break, tuple[str, str]]] = [
    ("orgnr", lambda d: d["agencies"][0].update(orgnr="312870119"), ("agencies/0/orgnr", "not-an-organisation-number")),
    ("orgnr twice", lambda d: d["agencies"][1].update(orgnr="312870118"), ("agencies/orgnr", "doubled")),
    ("id twice", lambda d: d["services"].append(d["services"][0]), ("services", "doubled")),
    ("parent", lambda d: d["agencies"][1].update(parent="nowhere"), ("agencies/1/parent", "unknown-agency")),
    ("circle", lambda d: d["agencies"][0].update(parent="gamlebyen-health"), ("agencies/0/parent", "circular")),
    ("own parent", lambda d: d["agencies"][0].update(parent="gamlebyen-district"), ("agencies/0/parent", "circular")),
    ("service's agency", lambda d: d["services"][0].update(agency="nowhere"), ("services/0/agency", "unknown-agency")),
    ("ages", lambda d: d["services"][0].update(ages={"from": 9, "to": 8}), ("services/0/ages", "backwards")),
    ("review", lambda d: d["services"][0].update(review_due="2020-01-01"), ("services/0/review_due", "backwards")),
    (
        "personal contact",
        lambda d: d["services"][0]["contacts"][0].update(value="lars.laererprove@gamlebyen-skole.example"),
        ("services/0/contacts/0", "personal-email"),
    ),
    (
        "employee in text",
        lambda d: d["services"][0]["responsibility"].update(nb="Spør etter Lars Lærerprøve."),
        ("services/0/responsibility", "names-an-employee"),
    ),
    (
        "phone in the guide",
        lambda d: d["guide"]["template"]["levels"][1]["steps"][0]["text"].update(nb="Ring 912 34 567."),
        ("guide/template/levels/1/steps/0/text", "personal-phone-in-text"),
    ),
    (
        "employee in an area",
        lambda d: d["services"][0].update(area="hos Lars Lærerprøve"),
        ("services/0/area", "names-an-employee"),
    ),
    (
        "e-mail in a setting",
        lambda d: d["district"]["settings"].update(contacts=["x", "kari@solvik.example"]),
        ("district/settings", "email-in-text"),
    ),
    ("no bokmål", lambda d: d["categories"][0]["names"].pop("nb"), ("categories/0/names", "no-bokmål")),
    ("role without service", lambda d: d["staff"][0].update(services=[]), ("staff/0/services", "none")),
    ("foreign service", lambda d: d["staff"][0].update(services=["nowhere"]), ("staff/0/services", "unknown-service")),
    ("guide's owner", lambda d: d["guide"].update(owner="nowhere"), ("guide/owner", "unknown-agency")),
    (
        "tool",
        lambda d: d["guide"]["template"]["levels"][0]["steps"][0].update(tools=["hammer"]),
        ("guide/template/levels/0/steps/0/tools", "unknown-tool"),
    ),
    (
        "way to nowhere",
        lambda d: d["guide"]["template"]["levels"][0]["outcomes"][1].update(to_level=7),
        ("guide/template/levels/0/outcomes", "unknown-level"),
    ),
    (
        "log at level 0",
        lambda d: d["guide"]["template"]["levels"][0]["create_log"].update(allowed=True),
        ("guide/template/levels/0/create_log", "log-where-nothing-is-shared"),
    ),
    (
        "override of nothing",
        lambda d: d["guide"]["override"]["levels"][0].update(level=9),
        ("guide/override/levels/0", "unknown-level"),
    ),
    (
        "dropping nothing",
        lambda d: d["guide"]["override"]["levels"][0].update(drop_steps=["x"]),
        ("guide/override/levels/0/drop_steps", "unknown-step"),
    ),
    (
        "after nothing",
        lambda d: d["guide"]["override"]["levels"][0]["steps"][0].update(after="x"),
        ("guide/override/levels/0/steps", "unknown-step"),
    ),
]


@pytest.mark.parametrize(("break_", "finding"), [one[1:] for one in BREAKS], ids=[one[0] for one in BREAKS])
def test_a_broken_rule_is_found_where_it_is(document: dict[str, Any], break_: Break, finding: tuple[str, str]) -> None:
    break_(document)
    assert finding in _findings(document)


def test_every_broken_rule_is_told_at_once(document: dict[str, Any]) -> None:
    for _, break_, _ in BREAKS:
        break_(document)
    assert len(_findings(document)) > len(BREAKS) / 2


def test_what_is_attached_granted_or_used_elsewhere_cannot_be_left_out(document: dict[str, Any]) -> None:
    kept = model.Kept(
        orgnrs={"312870118": "another-agency"}, categories=frozenset({"school", "gone"}),
        attached={"police-prevention": "police-district", "gone": "police-district"}, used=frozenset({"gone"}),
        guide=True,
    )  # fmt: skip
    del document["guide"]
    assert _findings(document, kept) == {
        ("agencies/0/orgnr", "taken"), ("categories", "category-removed"), ("services", "still-attached"),
        ("agencies", "still-used"), ("guide", "guide-removed"),
    }  # fmt: skip


def test_a_staff_id_that_could_tell_a_name_has_not_the_right_form(document: dict[str, Any]) -> None:
    document["staff"][0]["id"] = "nora-nordprove"
    with pytest.raises(ValidationError):
        _of(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("special", "yes"),
        ("special", 1),
        ("id", "Æ"),
        ("id", ""),
        ("names", {}),
        ("names", {"norsk": "x"}),
        ("more", 1),
    ],
)
def test_a_wrong_type_or_an_unknown_field_has_not_the_right_form(
    document: dict[str, Any], place: str, value: object
) -> None:
    document["categories"][0][place] = value
    with pytest.raises(ValidationError):
        _of(document)


@pytest.mark.requirement("F025", "F027")
def test_services_are_listed_attached_or_declined(document: dict[str, Any]) -> None:
    assert {service["status"] for service in document["services"]} == {"listed", "attached", "declined"}
    document["services"][0]["status"] = "perhaps"
    with pytest.raises(ValidationError):
        _of(document)


def test_entities_come_in_an_order_in_which_nothing_hangs_in_the_air(document: dict[str, Any]) -> None:
    kinds = [entity.kind for entity in model.entities(_of(document))]
    assert sorted(set(kinds), key=kinds.index) == ["category", "agency", "service", "staff", "district"]
    assert kinds == sorted(kinds, key=kinds.index)


def test_the_demo_district_has_the_people_of_the_story(document: dict[str, Any]) -> None:
    roles = {member["id"]: member["role"] for member in document["staff"]}
    assert roles[NURSE] == roles[TEACHER] == "professional"
    assert {"leader", "admin", "privacy-officer"} <= set(roles.values())
