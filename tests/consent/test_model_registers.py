"""A register's events and documents as they are read, and who may know where somebody is."""

import copy
import json
import tomllib
from datetime import UTC, date, datetime
from typing import Any

import pytest

from consent.handlers.tables import LAW, current_law
from consent.model.facts import Fact, situation
from consent.model.law import Category, Law, LawInvalid, circle
from consent.model.law_file import parse
from consent.model.registers import (
    GRADES,
    PLAIN,
    Event,
    Named,
    Standing,
    Unreadable,
    barred,
    document,
    event,
    outside,
)
from consent.model.state import Known, by_law, inside

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOW.date()
CHILD, MOTHER, FATHER = "child", "mother", "father"
SCHOOL, HEALTH, PARTICIPANTS = Category("school", special=False), Category("health"), Category("participants")
PERSON = {
    "number": "20914695016", "given_name": "Prøve", "family_name": "Testvik", "birth_date": "1990-01-02",
}  # fmt: skip
TOLD = {
    "version": 1, "numbers": [{"number": "20914695016", "in_use": True}], "given_name": "Prøve",
    "family_name": "Testvik", "birth_date": "2016-01-02",
}  # fmt: skip
HIDDEN = Standing("strengtFortrolig")


def raw(**fields: Any) -> bytes:
    return json.dumps({**TOLD, **fields}).encode()


def held(kind: str, *holders: Any) -> dict[str, Any]:
    return {"type": kind, "since": "2026-01-01", "holders": list(holders)}


@pytest.mark.parametrize(
    "given",
    [
        b"", b"{", b"\xff", b"[]", b"7", b'{"sequence": 1, "type": "x"}',
        b'{"sequence": 0, "type": "x", "document": "d"}',
        b'{"sequence": "1", "type": "x", "document": "d"}', b'{"sequence": 1, "type": "x", "document": ""}',
        b'{"sequence": 1, "type": "x", "document": "../persons"}', b'{"sequence": 1, "type": "x", "document": "d?x=1"}',
        b'{"sequence": 1, "type": "x", "document": "' + b"d" * 65 + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused_by_a_code(given: bytes) -> None:
    with pytest.raises(Unreadable, match=r"\Aevent-unreadable\Z"):
        event(given)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (b"{", "document-unreadable"), (raw(protection="kode 6"), "document-unreadable"),
        (raw(numbers=[]), "document-unreadable"), (raw(birth_date="20914695016"), "document-unreadable"),
        (raw(responsibility=held("begge")), "document-unreadable"),
        (raw(responsibility=held("felles", PERSON)), "holders-do-not-fit"),
        (raw(responsibility=held("felles", PERSON, PERSON)), "holders-do-not-fit"),
        (raw(responsibility=held("ukjent", PERSON)), "holders-do-not-fit"),
        (raw(guardianship=[{"person": PERSON, "mandate": ["everything"]}]), "document-unreadable"),
    ],
)  # fmt: skip
def test_a_document_that_leaves_something_open_is_refused_and_the_refusal_tells_nothing(
    given: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        document(given)
    assert str(refused.value) == reason
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_nothing_of_a_person_shows_in_a_representation() -> None:
    other = {**PERSON, "number": "12345678901"}
    found = document(
        raw(responsibility=held("felles", PERSON, other), guardianship=[{"person": PERSON, "mandate": []}])
    )
    shown = repr((found, found.numbers, found.responsibility, found.guardianship, found.named()))
    assert not any(word in shown for word in ("2091", "1234", "Prøve", "Testvik", "1990", "2016"))


def test_a_person_with_several_numbers_in_use_cannot_be_named() -> None:
    both = [{"number": one, "in_use": True} for one in ("20914695016", "12345678901")]
    none = [one | {"in_use": False} for one in both]
    for numbers in (both, none):
        with pytest.raises(Unreadable, match=r"\Anumbers-in-use\Z"):
            document(raw(numbers=numbers)).named()


def test_an_event_and_a_document_are_read_whole() -> None:
    for name in ("d", "a1" * 32):
        assert event(json.dumps({"sequence": 1, "type": "x", "document": name}).encode()) == Event(1, "x", name)
    numbers = [{"number": "20914695016", "in_use": False}, {"number": "12345678901", "in_use": True}]
    found = document(raw(numbers=numbers, language="nn", responsibility=held("mor", PERSON, PERSON)))
    assert found.responsibility is not None
    assert found.responsibility.type == "mor", "one holder, named twice"
    assert found.named() == Named("12345678901", "Prøve", "Testvik", date(2016, 1, 2), "nn")
    assert (repr(found), repr(found.named()), repr(found.numbers[0])) == ("Document(version=1)", "Named()", "Number()")


@pytest.mark.parametrize("child", GRADES)
@pytest.mark.parametrize("guardian", GRADES)
def test_only_who_is_hidden_as_strictly_may_know_where_somebody_is(child: Any, guardian: Any) -> None:
    said = {CHILD: Standing(child), MOTHER: Standing(guardian)}
    assert outside(said, CHILD, MOTHER) is (GRADES.index(guardian) < GRADES.index(child))
    assert outside(said, CHILD, FATHER) is (child != "ugradert")
    assert outside(said, CHILD, CHILD) is False


@pytest.mark.parametrize(
    ("standing", "not_asked"),
    [
        (PLAIN, False), (Standing(dead=True), True), (Standing(closed=True), True), (Standing(same_as="x"), True),
        (Standing("fortrolig"), False),
    ],
)  # fmt: skip
def test_who_is_dead_or_whose_record_is_nobodys_is_not_asked(standing: Standing, not_asked: bool) -> None:
    assert barred({MOTHER: standing}, CHILD, MOTHER) is not_asked
    assert barred({MOTHER: standing, CHILD: HIDDEN}, CHILD, MOTHER), "the form would tell where the child is"
    assert not barred({}, CHILD, MOTHER)
    assert not barred({MOTHER: HIDDEN, CHILD: HIDDEN}, CHILD, MOTHER), "hidden together"


def sees(standings: dict[str, Standing], law: Law | None = None) -> dict[str, set[str]]:
    known = Known(CHILD, date(2012, 1, 2), frozenset({MOTHER, FATHER}), (), standings)
    found: dict[str, set[str]] = {}
    for one in by_law(law or current_law(), known, (SCHOOL, HEALTH, PARTICIPANTS), NOW):
        found.setdefault(one["recipient"].removeprefix("person:"), set()).update(one["categories"])
    return found


ALL = {"school", "health", "participants", "looks", "grants"}


@pytest.mark.parametrize(
    ("standings", "seen"),
    [
        ({}, {CHILD: ALL, MOTHER: ALL, FATHER: ALL}),
        ({CHILD: Standing("fortrolig")}, {CHILD: ALL, MOTHER: {"school", "health"}, FATHER: {"school", "health"}}),
        ({CHILD: HIDDEN, MOTHER: HIDDEN}, {CHILD: ALL, MOTHER: ALL}),
        ({CHILD: HIDDEN, MOTHER: Standing("fortrolig")}, {CHILD: ALL}),
        ({MOTHER: Standing(dead=True)}, {CHILD: ALL, FATHER: ALL}),
        ({MOTHER: HIDDEN}, {CHILD: ALL, MOTHER: ALL, FATHER: ALL}),
        ({CHILD: Standing(dead=True)}, {}), ({CHILD: Standing(closed=True)}, {}),
        ({CHILD: Standing(same_as="one")}, {"one": ALL}),
        ({CHILD: Standing(same_as="one", dead=True)}, {}),
    ],
)  # fmt: skip
def test_what_a_register_leaves_of_sight_by_law(standings: dict[str, Standing], seen: dict[str, set[str]]) -> None:
    assert sees(standings) == seen


def changed(**fields: Any) -> Law:
    data = copy.deepcopy(tomllib.loads(LAW.read_text("utf-8")))
    data["circle"][1] |= fields
    return parse(data)


@pytest.mark.parametrize(
    ("law", "told"),
    [
        (current_law(), {"service:welfare"}), (changed(sectors=[]), {"service:welfare", "service:nurse"}),
        (changed(sectors=["health"]), {"service:nurse"}), (changed(verified_by=""), set()),
        (changed(valid_to=date(2026, 1, 1)), set()), (changed(valid_from=date(2027, 1, 1)), set()),
    ],
)  # fmt: skip
def test_the_table_says_which_services_are_told_where_and_without_a_verified_row_none_is(
    law: Law, told: set[str]
) -> None:
    known = Known(CHILD, date(2012, 1, 2), frozenset({MOTHER, FATHER}), (), {CHILD: HIDDEN, MOTHER: HIDDEN})
    services = {"welfare": "child-welfare", "nurse": "health"}
    assert inside(law, known, services, TODAY) == frozenset({"person:child", "person:mother", *told})
    assert inside(law, Known(CHILD, date(2012, 1, 2), frozenset()), services, TODAY) is None


def test_without_a_verified_row_a_guardian_outside_sees_nothing() -> None:
    assert sees({CHILD: HIDDEN}, changed(guardians="masked")) == {
        CHILD: ALL, MOTHER: {"school", "health"}, FATHER: {"school", "health"},
    }  # fmt: skip
    assert sees({CHILD: HIDDEN}, changed(guardians="masked", verified_by="")) == {CHILD: ALL}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"protection": ["fortrolig"]}, "row circle-strict: it overlaps row circle-confidential"),
        ({"protection": ["kode6"]}, "row circle-strict: protection cannot be kode6"),
        ({"protection": []}, "row circle-strict: protection is missing"),
        ({"guardians": "some"}, "row circle-strict: guardians cannot be some"),
        ({"legal": ""}, "row circle-strict: legal is missing"), ({"who": "x"}, "row circle-strict: unknown field who"),
    ],
)  # fmt: skip
def test_a_circle_that_leaves_a_question_open_stops_the_start(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(LawInvalid, match=said):
        changed(**fields)
    assert changed(protection=["fortrolig"], valid_to=date(2018, 7, 20), valid_from=date(2017, 1, 1))


def test_the_row_of_a_protection_is_found_by_its_day() -> None:
    row = circle(current_law(), "fortrolig", TODAY)
    assert row is not None
    assert (row.source.row, row.guardians) == ("circle-confidential", "masked")
    assert circle(current_law(), "fortrolig", date(2018, 7, 19)) is None


@pytest.mark.parametrize(
    ("capacity", "mandate", "answers"),
    [
        (None, "personal", set()), ("able", "personal", set()), ("lacking", "personal", {"sister", "verge"}),
        ("temporarily", "personal", {"sister", "verge"}), ("lacking", "economic", {"sister"}),
        ("lacking", "none", {"sister"}),
    ],
)  # fmt: skip
def test_a_guardian_of_an_adult_answers_only_where_capacity_is_away_and_the_mandate_reaches(
    capacity: str | None, mandate: str, answers: set[str]
) -> None:
    facts = [Fact("guardianship", mandate, TODAY, people=frozenset({"verge"}), order=1)]
    if capacity is not None:
        named = frozenset() if capacity == "able" else frozenset({"sister"})
        facts.append(Fact("capacity", capacity, TODAY, people=named, order=2))
    assert situation(facts, TODAY).representatives == answers
