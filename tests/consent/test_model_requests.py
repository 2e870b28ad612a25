"""Cells: who must answer, what is in force, what each person is shown; grants say exactly the cells, no more."""

from dataclasses import replace
from datetime import date
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.handlers.tables import current_law
from consent.model.errors import (
    AnswersContradict,
    AskerUnclear,
    GuardiansNotAsked,
    PeriodInvalid,
    ResponsibilityIncomplete,
    ResponsibilityUnknown,
)
from consent.model.facts import Fact
from consent.model.grants import Limits, Narrowing, Terms, difference, limits, wanted
from consent.model.law import Category, birthday
from consent.model.people import check_responsibility
from consent.model.requests import (
    Asked,
    Cell,
    Said,
    asked_for,
    asker_of,
    capacity,
    check_until,
    each_once,
    in_force,
    nobody_answers,
    progress,
    state_of_request,
    visible,
    waits_for,
)

LAW = current_law()
YOUTH, MOTHER, FATHER = "youth", "mother", "father"
FIFTEEN = date(2011, 3, 14)
TODAY = date(2026, 11, 22)
UNTIL = LAW.ends(date(2029, 11, 21))
SCHOOL, HEALTH = Category("school", special=False), Category("health", special=True)
TO_SCHOOL = Cell("school", "school", "read")
TO_HEALTH = Cell("nurse", "health", "read")


def request(born: date = FIFTEEN, *cells: Cell, until: int = UNTIL) -> Asked:
    kinds = {"school": SCHOOL, "health": HEALTH}
    chosen = {cell: kinds[cell.category] for cell in cells or (TO_SCHOOL, TO_HEALTH)}
    return Asked("request", YOUTH, born, frozenset({MOTHER, FATHER}), chosen, "follow-up", until)


def said(*words: tuple[str, Cell, Said]) -> dict[tuple[str, Cell], Said]:
    return {(person, cell): word for person, cell, word in words}


@pytest.mark.requirement("F082")
@pytest.mark.parametrize("missing", [YOUTH, MOTHER, FATHER])
def test_a_special_category_at_fifteen_needs_the_youth_and_both_guardians(missing: str) -> None:
    everybody = {YOUTH, MOTHER, FATHER}
    answers = said(*((person, TO_HEALTH, "yes") for person in everybody - {missing}))
    assert TO_HEALTH not in in_force(LAW, request(), answers, TODAY)
    answers |= said((missing, TO_HEALTH, "no"))
    assert TO_HEALTH not in in_force(LAW, request(), answers, TODAY)
    answers |= said((missing, TO_HEALTH, "yes"))
    assert TO_HEALTH in in_force(LAW, request(), answers, TODAY)


def test_a_general_category_at_fifteen_is_the_youths_alone() -> None:
    assert in_force(LAW, request(), said((YOUTH, TO_SCHOOL, "yes"), (MOTHER, TO_SCHOOL, "no")), TODAY) == {
        TO_SCHOOL: UNTIL
    }
    assert in_force(LAW, request(), said((MOTHER, TO_SCHOOL, "yes"), (FATHER, TO_SCHOOL, "yes")), TODAY) == {}


def test_both_guardians_decide_for_a_small_child_and_nobody_for_an_empty_set() -> None:
    small = request(date(2018, 5, 1))
    both = said((MOTHER, TO_SCHOOL, "yes"), (FATHER, TO_SCHOOL, "yes"))
    assert TO_SCHOOL in in_force(LAW, small, both, TODAY)
    assert TO_SCHOOL not in in_force(LAW, small, said((MOTHER, TO_SCHOOL, "yes")), TODAY)
    alone = Asked("request", YOUTH, date(2018, 5, 1), frozenset(), {TO_SCHOOL: SCHOOL}, "follow-up", UNTIL)
    assert in_force(LAW, alone, {}, TODAY) == {}


def test_the_subjects_own_no_stops_a_cell_that_guardians_decide() -> None:
    thirteen = request(date(2013, 5, 1))
    answers = said((MOTHER, TO_SCHOOL, "yes"), (FATHER, TO_SCHOOL, "yes"), (YOUTH, TO_SCHOOL, "no"))
    assert in_force(LAW, thirteen, answers, TODAY) == {}


@pytest.mark.requirement("F099")
def test_an_adult_consents_alone() -> None:
    adult = request(date(1980, 1, 1))
    assert in_force(LAW, adult, said((YOUTH, TO_HEALTH, "yes")), TODAY) == {TO_HEALTH: UNTIL}
    assert asked_for(LAW, adult, TODAY) == {YOUTH}


def test_a_cell_ends_on_the_birthday_from_which_others_must_answer() -> None:
    fourteen = date(2012, 3, 14)
    both = said((MOTHER, TO_SCHOOL, "yes"), (FATHER, TO_SCHOOL, "yes"))
    found = request(fourteen)
    assert in_force(LAW, found, both, TODAY) == {TO_SCHOOL: LAW.starts(birthday(fourteen, 15))}
    on_the_day = birthday(fourteen, 15)
    assert in_force(LAW, found, both, on_the_day) == {}
    assert YOUTH in waits_for(LAW, found, found.cells, both, on_the_day)


def test_those_who_decide_or_are_heard_are_asked_and_nobody_else() -> None:
    assert asked_for(LAW, request(), TODAY) == {YOUTH, MOTHER, FATHER}
    assert asked_for(LAW, request(FIFTEEN, TO_SCHOOL), TODAY) == {YOUTH}
    assert asked_for(LAW, request(date(2013, 5, 1), TO_SCHOOL), TODAY) == {YOUTH, MOTHER, FATHER}
    assert asked_for(LAW, request(date(2018, 5, 1)), TODAY) == {MOTHER, FATHER}


def test_a_guardian_is_not_shown_a_cell_that_they_neither_decide_nor_see() -> None:
    found = request()
    assert visible(LAW, found, YOUTH, frozenset(), TODAY) == sorted(found.cells)
    assert visible(LAW, found, MOTHER, frozenset(), TODAY) == [TO_HEALTH]
    assert visible(LAW, found, MOTHER, frozenset({"school"}), TODAY) == sorted(found.cells)


def test_progress_tells_who_has_answered_and_never_what() -> None:
    yes, no = said((YOUTH, TO_SCHOOL, "yes")), said((YOUTH, TO_SCHOOL, "no"))
    assert progress({YOUTH, MOTHER}, yes) == progress({YOUTH, MOTHER}, no) == {YOUTH: "answered", MOTHER: "waiting"}


@pytest.mark.parametrize(
    ("waiting", "pending", "live", "now", "state"),
    [
        (True, False, False, 0, "waiting"),
        (True, False, True, 0, "waiting"),
        (False, False, False, 0, "answered"),
        (False, False, True, 0, "in-force"),
        (False, True, True, 0, "pending"),
        (True, True, True, 0, "pending"),
        (False, False, True, 9, "in-force"),
        (False, False, True, 10, "expired"),
    ],
)
def test_nothing_is_called_in_force_before_it_is_confirmed(
    waiting: bool, pending: bool, live: bool, now: int, state: str
) -> None:
    given = {"waiting": waiting, "pending": pending, "live": live}
    assert state_of_request(now=now, until=10, **given) == state
    taken_back = "expired" if state == "expired" else "taken-back"
    assert state_of_request(now=now, until=10, **given, taken_back=True) == taken_back


def test_a_cell_has_one_word_in_an_answer() -> None:
    assert each_once([(TO_SCHOOL, "yes"), (TO_HEALTH, "no")]) == {TO_SCHOOL: "yes", TO_HEALTH: "no"}
    with pytest.raises(AnswersContradict):
        each_once([(TO_SCHOOL, "yes"), (TO_HEALTH, "no"), (TO_SCHOOL, "yes")])


def test_somebody_answers_as_the_subject_as_a_representative_or_as_a_guardian() -> None:
    order = Fact("care", "child-welfare", date(2020, 1, 1), date(2026, 11, 22), frozenset({"carer", YOUTH}))
    found = replace(request(), facts=(order,))
    day = date(2026, 11, 21)
    assert [capacity(found, person, day) for person in (YOUTH, "carer", MOTHER)] == [
        "subject", "representative", "guardian",
    ]  # fmt: skip
    assert capacity(found, "carer", TODAY) == "guardian", "the order is over"


def test_whom_a_register_keeps_from_being_asked_is_not_asked_and_their_yes_is_missing() -> None:
    found = replace(request(), barred=frozenset({FATHER}))
    assert asked_for(LAW, found, TODAY) == {YOUTH, MOTHER}
    assert in_force(LAW, found, said((YOUTH, TO_HEALTH, "yes"), (MOTHER, TO_HEALTH, "yes")), TODAY) == {}


def test_a_cell_whose_guardians_are_not_known_can_be_answered_by_nobody() -> None:
    unknown = replace(request(), guardians=frozenset())
    assert nobody_answers(LAW, unknown, [TO_SCHOOL, TO_HEALTH], TODAY)
    assert not nobody_answers(LAW, unknown, [TO_SCHOOL], TODAY)
    assert not nobody_answers(LAW, request(), [TO_SCHOOL, TO_HEALTH], TODAY)


def test_an_asker_speaks_for_one_own_service() -> None:
    assert asker_of(["nurse"], None) == "nurse"
    assert asker_of(["nurse", "school"], "school") == "school"
    for services, named in (([], None), (["nurse", "school"], None), (["nurse"], "school")):
        with pytest.raises(AskerUnclear):
            asker_of(services, named)


def test_a_period_ends_today_at_the_earliest_and_within_the_longest_at_the_latest() -> None:
    check_until(LAW, TODAY, TODAY)
    check_until(LAW, date(2031, 11, 23), TODAY)
    for last in (date(2026, 11, 21), date(2031, 11, 24)):
        with pytest.raises(PeriodInvalid):
            check_until(LAW, last, TODAY)


@pytest.mark.parametrize(
    ("kind", "guardians", "error"),
    [
        ("felles", 2, None),
        ("felles", 1, ResponsibilityIncomplete),
        ("felles", 3, ResponsibilityIncomplete),
        ("mor", 1, None),
        ("far", 2, ResponsibilityIncomplete),
        ("medmor", 0, ResponsibilityIncomplete),
        ("andre", 1, None),
        ("andre", 0, ResponsibilityIncomplete),
        ("ukjent", 0, ResponsibilityUnknown),
        ("ukjent", 2, ResponsibilityUnknown),
    ],
)
def test_guardians_fit_the_kind_of_responsibility_and_unknown_blocks(
    kind: str, guardians: int, error: type[Exception] | None
) -> None:
    if error is None:
        check_responsibility(kind, guardians, guardians_decide=True)  # type: ignore[arg-type]
    else:
        with pytest.raises(error):
            check_responsibility(kind, guardians, guardians_decide=True)  # type: ignore[arg-type]


def test_no_guardians_are_named_for_somebody_who_decides_alone() -> None:
    check_responsibility("ukjent", 0, guardians_decide=False)
    with pytest.raises(GuardiansNotAsked):
        check_responsibility("felles", 2, guardians_decide=False)


cells = st.builds(
    Cell, st.sampled_from(["nurse", "police"]), st.sampled_from(["school", "health", "family"]),
    st.sampled_from(["read", "contribute"]),
)  # fmt: skip


reaches = st.sampled_from([Limits(100), Limits(200), Limits(100, 50), Limits(100, None, ("staff-1",))])


def _reach(terms: Terms) -> Limits:
    return Limits(terms.until or 0, terms.back, terms.excluded)


@given(st.dictionaries(cells, reaches))
def test_grants_say_exactly_the_cells_that_are_in_force(chosen: dict[Cell, Limits]) -> None:
    found = {
        (Cell(terms.recipient.removeprefix("service:"), category, action), _reach(terms))
        for terms in wanted(chosen, "follow-up")
        for category, action in product(terms.categories, terms.actions)
    }
    assert found == set(chosen.items())
    assert sum(len(terms.categories) * len(terms.actions) for terms in wanted(chosen, "follow-up")) == len(chosen)


def test_a_changed_grant_ends_and_another_begins_while_equal_ones_stay() -> None:
    nurse = Terms("service:nurse", ("health", "school"), ("read",), "follow-up", 100)
    police = Terms("service:police", ("school",), ("read",), "follow-up", 100)
    less = Terms("service:nurse", ("school",), ("read",), "follow-up", 100)
    live = {"1": nurse, "2": police}
    whole_reach = Limits(100)
    cells = {Cell("nurse", "school", "read"): whole_reach, Cell("police", "school", "read"): whole_reach}
    found = difference(live, cells, "follow-up")
    assert (found.end, found.begin) == (("1",), (less,))
    whole = cells | {Cell("nurse", "health", "read"): whole_reach}
    assert difference(live, whole, "follow-up").empty()
    for less_far in (Limits(99), Limits(100, 5), Limits(100, None, ("staff-1",))):
        assert difference(live, whole | {Cell("nurse", "school", "read"): less_far}, "follow-up").end == ("1",)


def test_more_that_is_agreed_to_gets_a_grant_of_its_own() -> None:
    held = {"1": Terms("service:nurse", ("school",), ("read",), "follow-up", 100)}
    reach = Limits(100)
    cells = {Cell("nurse", "school", "read"): reach, Cell("nurse", "school", "contribute"): reach, TO_HEALTH: reach}
    found = difference(held, cells, "follow-up")
    assert found.end == ()
    begun = {(terms.categories, terms.actions) for terms in found.begin}
    assert begun == {(("school",), ("contribute",)), (("health",), ("read",))}
    assert not found.empty()
    more = cells | {Cell("gp", "school", "read"): reach}
    order = [(terms.recipient, terms.categories, terms.actions) for terms in difference({}, more, "follow-up").begin]
    assert order == sorted(order) and len(order) == 3


@given(st.dictionaries(cells, reaches), st.dictionaries(cells, reaches))
def test_after_any_change_the_live_grants_say_exactly_what_is_in_force(
    before: dict[Cell, Limits], after: dict[Cell, Limits]
) -> None:
    live = {str(number): terms for number, terms in enumerate(wanted(before, "follow-up"))}
    found = difference(live, after, "follow-up")
    left = [terms for id_, terms in live.items() if id_ not in found.end] + list(found.begin)
    said_ = [
        (Cell(terms.recipient.removeprefix("service:"), category, action), _reach(terms))
        for terms in left
        for category, action in product(terms.categories, terms.actions)
    ]
    assert sorted(said_) == sorted(after.items())


def test_of_several_narrowings_the_narrowest_of_each_kind_counts() -> None:
    def said(staff: str | None = None, back: int | None = None, until: int | None = None) -> Narrowing:
        return Narrowing("youth", "nurse", None, 1, staff, back, until)

    assert limits(100, []) == Limits(100)
    assert limits(100, [said(until=200)]) == Limits(100)
    assert limits(100, [said(until=60), said(until=80), said(back=5), said(back=9)]) == Limits(60, 9)
    assert limits(100, [said(staff="b"), said(staff="a"), said(staff="b")]) == Limits(100, None, ("a", "b"))
    assert said().speaks_of(Cell("nurse", "school", "read")) and not said().speaks_of(Cell("police", "school", "read"))
    of_school = replace(said(), category="school")
    assert of_school.speaks_of(Cell("nurse", "school", "read")) and not of_school.speaks_of(TO_HEALTH)
