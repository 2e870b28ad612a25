"""The published state: grants by law with ids from their content, and everything the message's form demands."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from consent.handlers.tables import current_law
from consent.messages import ConsentState
from consent.model.facts import Fact
from consent.model.grants import Terms
from consent.model.law import Category, birthday
from consent.model.own_say import Kept
from consent.model.state import Known, Live, OpenRequest, by_law, seen_today, whole

LAW = current_law()
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BORN = date(2011, 3, 14)
SCHOOL, HEALTH = Category("school", special=False), Category("health", special=True)
YOUTH, MOTHER = str(uuid4()), str(uuid4())


def law_grants(*categories: Category, now: datetime = NOW) -> list[dict[str, Any]]:
    return by_law(LAW, Known(YOUTH, BORN, frozenset({MOTHER})), categories or (SCHOOL, HEALTH), now)


def test_a_grant_by_law_has_the_same_id_as_long_as_it_says_the_same() -> None:
    later = datetime(2026, 12, 24, tzinfo=UTC)
    before, after = ({grant["id"] for grant in law_grants(*kinds)} for kinds in ((SCHOOL,), (SCHOOL, HEALTH)))
    assert {grant["id"] for grant in law_grants(HEALTH, SCHOOL, now=later)} == after
    assert before != after
    other = by_law(LAW, Known(str(uuid4()), BORN, frozenset({MOTHER})), (SCHOOL,), NOW)
    assert not {grant["id"] for grant in other} & before


def test_parental_grants_end_on_birthdays_and_the_own_do_not() -> None:
    ends = {(grant["kind"], category): grant["until"] for grant in law_grants() for category in grant["categories"]}
    assert ends["parental", "health"] == LAW.starts(birthday(BORN, 16))
    assert ends["parental", "school"] == LAW.starts(birthday(BORN, 18))
    assert {until for (kind, _), until in ends.items() if kind == "self"} == {None}


def test_looks_and_grants_can_be_read_by_law_but_not_written() -> None:
    for grant in law_grants():
        if {"looks", "grants"} & set(grant["categories"]):
            assert grant["actions"] == ["read"]
            assert set(grant["categories"]) == {"looks", "grants"}


def test_the_whole_state_has_the_published_form() -> None:
    terms = Terms("service:nurse", ("school",), ("read",), "follow-up", None)
    found = whole(
        YOUTH, 3, [Live(str(uuid4()), "consent", 1, terms)], law_grants(),
        [OpenRequest(str(uuid4()), "nurse", (YOUTH, MOTHER))], Kept(("health",), (("item-1", "school"),)),
    )  # fmt: skip
    read = ConsentState.model_validate(found)
    assert read.version == 3
    assert {grant.kind for grant in read.grants} == {"consent", "self", "parental"}
    assert found["requests"][0]["asker"] == "service:nurse"
    assert read.kept is not None and [one.id for one in read.kept.items] == ["item-1"]


def test_what_is_kept_changes_no_grant_and_nothing_kept_is_not_mentioned() -> None:
    usual = whole(YOUTH, 3, [], law_grants(), [], Kept())
    keeping = whole(YOUTH, 3, [], law_grants(), [], Kept(("health",)))
    assert "kept" not in usual
    assert keeping.pop("kept") == {"categories": ["health"], "items": []}
    assert keeping == usual


def test_a_state_is_told_whole_and_in_one_order() -> None:
    terms = Terms("service:nurse", ("school", "health"), ("read",), "follow-up", 90, 5, ("odd",))
    live = [
        Live("g2", "exception", 2, replace(terms, until=None, back=None, excluded=())),
        Live("g1", "consent", 1, terms),
    ]
    requests = [OpenRequest("r2", "nurse", ("youth", "mother")), OpenRequest("r1", "school", ())]
    kept = Kept(("health",), (("i", "school"),))
    usual = {
        "kind": "consent", "recipient": "service:nurse", "categories": ["school", "health"], "actions": ["read"],
        "purpose": "follow-up",
    }  # fmt: skip
    assert whole("s", 3, live, [{"id": "g0", "kind": "self"}], requests, kept, ["service:b", "person:a"]) == {
        "version": 3, "subject": "s",
        "grants": [
            {"id": "g0", "kind": "self"},
            {"id": "g1", **usual, "basis": "gdpr-6-1-a+9-2-a", "from": 1, "until": 90, "back": 5, "except": ["odd"]},
            {"id": "g2", **usual, "basis": "life-and-health", "from": 2, "until": None, "back": None, "except": []},
        ],
        "requests": [
            {"id": "r1", "asker": "service:school", "asked": [], "open": True},
            {"id": "r2", "asker": "service:nurse", "asked": ["youth", "mother"], "open": True},
        ],
        "circle": ["person:a", "service:b"],
        "kept": {"categories": ["health"], "items": [{"id": "i", "category": "school"}]},
    }  # fmt: skip
    assert whole("s", 3, [], [], [], Kept(), [])["circle"] == []
    assert whole("s", 3, [], [], [], Kept())["circle"] is None


def test_a_grant_by_law_says_everything_and_its_id_is_made_of_that() -> None:
    [found] = [one for one in law_grants() if one["kind"] == "parental" and one["categories"] == ["school"]]
    content = {
        "categories": ["school"], "actions": ["read", "contribute"], "purpose": "insight",
        "basis": "parental-responsibility", "from": LAW.starts(date(2018, 7, 20)),
        "until": LAW.starts(birthday(BORN, 18)), "back": None, "except": [],
    }  # fmt: skip
    named = json.dumps(content, sort_keys=True, separators=(",", ":"))
    id_ = uuid5(UUID("6f1d8a52-7f0e-5b0b-9b1c-2f6f3a7c4e11"), f"{YOUTH} parental {MOTHER} {named}")
    assert found == {"id": str(id_), "kind": "parental", "recipient": f"person:{MOTHER}", **content}
    [own] = [one for one in law_grants(HEALTH, SCHOOL) if one["kind"] == "self" and "school" in one["categories"]]
    assert (own["recipient"], own["categories"]) == (f"person:{YOUTH}", ["health", "school"])


def test_what_somebody_sees_by_law_today_has_begun() -> None:
    known, both = Known(YOUTH, BORN, frozenset({MOTHER})), (SCHOOL, HEALTH)
    twelve = birthday(BORN, 12)
    everything = {"school", "health", "looks", "grants"}
    assert seen_today(LAW, known, both, MOTHER, date(2022, 1, 1)) == everything
    assert seen_today(LAW, known, both, MOTHER, birthday(BORN, 16)) == everything - {"health"}
    assert seen_today(LAW, known, both, "somebody else", date(2022, 1, 1)) == set()
    assert seen_today(LAW, known, both, YOUTH, date.fromordinal(twelve.toordinal() - 1)) == set()
    assert seen_today(LAW, known, both, YOUTH, twelve) == everything


def spans_of(person: str, facts: tuple[Fact, ...], on: date) -> dict[str, list[tuple[date, date | None]]]:
    """From when to when this person sees each of two categories by law, as told on a day."""
    now = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    found: dict[str, list[tuple[date, date | None]]] = {}
    for one in by_law(LAW, Known(YOUTH, BORN, frozenset({MOTHER}), facts), (SCHOOL, HEALTH), now):
        begins, ends = LAW.day_of_epoch(one["from"]), None if one["until"] is None else LAW.day_of_epoch(one["until"])
        for category in {"school", "health"} & set(one["categories"]):
            if one["recipient"] == f"person:{person}":
                found.setdefault(category, []).append((begins, ends))
    return found


def test_who_holds_responsibility_for_a_time_sees_by_law_within_it() -> None:
    began, ended, today, father = date(2026, 1, 1), date(2027, 6, 1), NOW.date(), str(uuid4())
    sole = (Fact("responsibility", "far", began, ended, frozenset({father})),)
    sixteen, eighteen = birthday(BORN, 16), birthday(BORN, 18)
    assert spans_of(father, sole, today) == {"school": [(began, ended)], "health": [(began, sixteen)]}
    assert spans_of(MOTHER, sole, today) == {"school": [(ended, eighteen)]}
    assert spans_of(MOTHER, sole, date(2025, 12, 31))["health"] == [(date(2018, 7, 20), began)]
    assert spans_of(father, sole, ended) == {}
    assert spans_of(MOTHER, (replace(sole[0], ends=sixteen),), today) == {"school": [(sixteen, eighteen)]}


def test_whoever_answers_in_the_guardians_place_has_sight_of_the_same_kind() -> None:
    carer = str(uuid4())
    order = (Fact("care", "child-welfare", date(2020, 1, 1), None, frozenset({carer})),)
    found = by_law(LAW, Known(YOUTH, BORN, frozenset({MOTHER}), order), (SCHOOL,), NOW)
    [school] = [one for one in found if one["recipient"] == f"person:{carer}" and "school" in one["categories"]]
    assert (school["kind"], school["from"]) == ("parental", LAW.starts(date(2020, 1, 1)))
