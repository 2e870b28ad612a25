"""Facts about a subject: which of them holds on a day, who answers by them, and which cannot be."""

from datetime import date

import pytest

from consent.model.errors import FactPeriodInvalid, FactUnfit
from consent.model.facts import Fact, Kind, check, edges, fits, situation, tenures

DAY, NEXT, LATER = date(2026, 1, 1), date(2026, 6, 1), date(2027, 1, 1)
MOTHER, FATHER, CARER = "mother", "father", "carer"
CLAIMED = frozenset({MOTHER, FATHER})


def fact(kind: Kind, value: str, *people: str, begins: date = DAY, ends: date | None = None, order: int = 0,
         what: str | None = None) -> Fact:  # fmt: skip
    return Fact(kind, value, begins, ends, frozenset(people), what, order)


def test_without_facts_parents_care_the_subject_is_able_and_guardians_are_who_is_claimed() -> None:
    now = situation((), DAY)
    assert (now.responsibility, now.care, now.capacity, now.standing("health")) == (None, "parents", "able", "age")
    assert now.people("subject", "child", CLAIMED) == {"child"}
    assert now.people("guardians", "child", CLAIMED) == CLAIMED
    assert now.people("representatives", "child", CLAIMED) == frozenset()


def test_a_fact_holds_from_its_first_day_until_its_last_is_over() -> None:
    one = fact("care", "child-welfare", CARER, ends=NEXT)
    assert [one.holds(day) for day in (date(2025, 12, 31), DAY, date(2026, 5, 31), NEXT)] == [False, True, True, False]
    assert fact("care", "parents").holds(date(2099, 1, 1))
    assert situation([one], NEXT).care == "parents"
    assert situation([one], DAY).care == "child-welfare"
    assert situation([one], DAY).capacity == "able", "of another kind of fact it says nothing"


def test_of_one_kind_the_one_recorded_last_counts_whatever_the_order_of_the_list() -> None:
    first, last = fact("responsibility", "mor", MOTHER, order=1), fact("responsibility", "far", FATHER, order=2)
    for listed in ([first, last], [last, first]):
        assert situation(listed, DAY).people("guardians", "child", CLAIMED) == {FATHER}
    assert situation([first, fact("responsibility", "far", FATHER, order=2, begins=NEXT)], DAY).holders == {MOTHER}


def test_where_nobody_knows_who_holds_responsibility_nobody_answers_as_a_guardian() -> None:
    now = situation([fact("responsibility", "ukjent")], DAY)
    assert now.responsibility == "ukjent"
    assert now.people("guardians", "child", CLAIMED) == frozenset()


def test_care_orders_and_decisions_on_capacity_name_who_answers_together() -> None:
    now = situation([fact("care", "child-welfare", CARER), fact("capacity", "lacking", FATHER)], DAY)
    assert (now.care, now.capacity) == ("child-welfare", "lacking")
    assert now.people("representatives", "child", CLAIMED) == {CARER, FATHER}
    assert now.people("guardians", "child", CLAIMED) == CLAIMED


def test_a_decision_under_fifteen_is_about_one_category_or_about_all() -> None:
    one = situation([fact("party", "decision", what="health")], DAY)
    assert [one.standing(id_) for id_ in ("health", "school")] == ["decision", "age"]
    every = situation([fact("party", "decision")], DAY)
    assert every.standing("school") == "decision"
    taken_back = situation(
        [fact("party", "decision", what="health"), fact("party", "age", what="health", order=1)], DAY
    )
    assert taken_back.standing("health") == "age"


def test_the_days_on_which_facts_begin_and_end() -> None:
    assert edges([fact("care", "parents"), fact("care", "parents", begins=NEXT, ends=LATER)]) == {DAY, NEXT, LATER}


def test_each_person_answers_as_a_party_on_the_days_on_which_the_facts_say_so() -> None:
    assert tenures((), "guardians", "child", CLAIMED) == {MOTHER: [(date.min, None)], FATHER: [(date.min, None)]}
    sole = (fact("responsibility", "mor", MOTHER, ends=NEXT), fact("care", "parents", begins=LATER))
    found = tenures(sole, "guardians", "child", CLAIMED)
    assert found == {MOTHER: [(date.min, None)], FATHER: [(date.min, DAY), (NEXT, None)]}
    assert tenures(sole, "representatives", "child", CLAIMED) == {}
    assert tenures(sole, "subject", "child", CLAIMED) == {"child": [(date.min, None)]}
    gap = (fact("care", "child-welfare", CARER, ends=NEXT), fact("care", "child-welfare", CARER, begins=LATER))
    assert tenures(gap, "representatives", "child", CLAIMED) == {CARER: [(DAY, NEXT), (LATER, None)]}


@pytest.mark.parametrize(
    ("kind", "counts"),
    [
        ("felles", {2}), ("mor", {1}), ("far", {1}), ("medmor", {1}), ("andre", {1, 2, 3}), ("ukjent", {0}),
    ],
)  # fmt: skip
def test_how_many_hold_each_kind_of_responsibility(kind: str, counts: set[int]) -> None:
    assert {count for count in range(4) if fits(kind, count)} == counts
    for count in range(4):
        if count in counts:
            check(fact("responsibility", kind), count)
        else:
            with pytest.raises(FactUnfit):
                check(fact("responsibility", kind), count)


@pytest.mark.parametrize(
    ("kind", "value", "counts"),
    [
        ("care", "parents", {0}), ("care", "child-welfare", {1, 2}), ("capacity", "able", {0}),
        ("capacity", "lacking", {1, 2}), ("capacity", "temporarily", {0, 1, 2}), ("party", "age", {0}),
        ("party", "decision", {0}), ("care", "felles", set()), ("party", "able", set()),
        ("responsibility", "parents", set()), ("guardianship", "none", {0}), ("guardianship", "personal", {1, 2}),
        ("guardianship", "economic", {1, 2}),
    ],
)  # fmt: skip
def test_whom_a_fact_names_fits_what_it_says(kind: Kind, value: str, counts: set[int]) -> None:
    for count in range(3):
        if count in counts:
            check(fact(kind, value), count)
        else:
            with pytest.raises(FactUnfit):
                check(fact(kind, value), count)


def test_only_a_decision_is_about_a_category_and_nothing_ends_before_it_begins() -> None:
    check(fact("party", "decision", what="health"), 0)
    with pytest.raises(FactUnfit):
        check(fact("care", "parents", what="health"), 0)
    check(fact("care", "parents", ends=date(2026, 1, 2)), 0)
    for ends in (DAY, date(2025, 12, 31)):
        with pytest.raises(FactPeriodInvalid):
            check(fact("care", "parents", ends=ends), 0)
