"""The age-and-law table: rows as data, strict where nothing is verified, folded into days."""

import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import consent.handlers.tables as tables
from consent.model.births import UNBORN, Unborn
from consent.model.facts import Fact
from consent.model.law import (
    ASKED_LIKE_OTHERS,
    Category,
    Law,
    LawInvalid,
    Who,
    age,
    answerers,
    birthday,
    guardians_ever_needed,
    sights,
)
from consent.model.law_file import parse

FILE = Path(tables.__file__).parents[1] / "data" / "law.toml"
SCHOOL, HEALTH = Category("school", special=False), Category("health", special=True)
POLICE, PARTICIPANTS = Category("police", special=True), ASKED_LIKE_OTHERS["participants"]
BORN = date(2011, 3, 14)
BOTH = {"subject", "guardians"}


def table(change: Any = None) -> Law:
    """The packaged table, with a change to its rows."""
    data = tomllib.loads(FILE.read_text())
    if change is not None:
        change(data)
    return parse(data)


def on(age: int, days: int = 0) -> date:
    return date.fromordinal(birthday(BORN, age).toordinal() + days)


@pytest.mark.parametrize(
    ("category", "day", "needs", "until"),
    [
        (SCHOOL, on(11), {"guardians"}, 15),
        (SCHOOL, on(15, -1), {"guardians"}, 15),
        (SCHOOL, on(15), {"subject"}, None),
        (SCHOOL, on(18), {"subject"}, None),
        (HEALTH, on(11), {"guardians"}, 12),
        (HEALTH, on(12), BOTH, 18),
        (HEALTH, on(15), BOTH, 18),
        (HEALTH, on(18, -1), BOTH, 18),
        (HEALTH, on(18), {"subject"}, None),
        (Category("never-heard-of"), on(15), BOTH, 18),
    ],
)
@pytest.mark.requirement("F101")
def test_who_must_answer_follows_age_and_category(
    category: Category, day: date, needs: set[str], until: int | None
) -> None:
    found = answerers(table(), category, BORN, day)
    assert found.needs == needs
    assert found.until == (None if until is None else birthday(BORN, until))


YOUNG = date(2015, 5, 17)


def at(age: int, days: int = 0) -> date:
    return date.fromordinal(birthday(YOUNG, age).toordinal() + days)


def test_the_child_is_heard_from_seven_and_asked_from_twelve_where_guardians_decide() -> None:
    for category in (SCHOOL, HEALTH):
        assert answerers(table(), category, YOUNG, at(7, -1)).hears == frozenset()
        assert answerers(table(), category, YOUNG, at(7)).hears == {"subject"}
    assert answerers(table(), SCHOOL, YOUNG, at(12, -1)).asks == frozenset()
    assert answerers(table(), SCHOOL, YOUNG, at(12)).asks == {"subject"}


def test_that_a_child_is_heard_or_asked_ends_no_grant_but_that_others_decide_does() -> None:
    assert answerers(table(), SCHOOL, YOUNG, at(6)).until == birthday(YOUNG, 15)
    assert answerers(table(), HEALTH, YOUNG, at(6)).until == birthday(YOUNG, 12)


def test_it_is_told_which_row_says_so_and_whether_something_was_added_to_it() -> None:
    found = answerers(table(), SCHOOL, BORN, on(15))
    assert found.row is not None
    assert (found.row.source.row, found.strict) == ("general-15-18", False)
    early = answerers(table(), SCHOOL, BORN, date(2017, 1, 1))
    assert (early.row, early.strict) == (None, True)
    assert early.needs == BOTH
    assert early.asks == early.hears == frozenset()

    def unverify(data: Any) -> None:
        row = next(row for row in data["answer"] if row["id"] == "care-0-7")
        del row["verified_by"]

    order = (Fact("care", "child-welfare", date(2000, 1, 1), people=frozenset({"carer"})),)
    doubted = answerers(table(unverify), SCHOOL, YOUNG, at(6), order)
    assert doubted.needs == BOTH | {"representatives"}
    assert doubted.strict is True


def test_whether_guardians_must_answer_about_any_of_these() -> None:
    law = table()
    assert guardians_ever_needed(law, [SCHOOL], BORN, on(15, -1))
    assert not guardians_ever_needed(law, [SCHOOL], BORN, on(15))
    assert guardians_ever_needed(law, [SCHOOL, HEALTH], BORN, on(15))
    assert not guardians_ever_needed(law, [SCHOOL, HEALTH], BORN, on(18))
    assert not guardians_ever_needed(law, [], BORN, on(9))


def test_a_fact_to_come_ends_what_others_have_agreed_to() -> None:
    turn, day = date(2022, 6, 1), date(2022, 1, 1)
    mother, father = frozenset({"mother"}), frozenset({"father"})
    first = Fact("responsibility", "mor", date(2000, 1, 1), people=mother, order=1)
    second = Fact("responsibility", "far", turn, people=father, order=2)
    assert answerers(table(), SCHOOL, YOUNG, day, (second,)).until == turn
    assert answerers(table(), SCHOOL, YOUNG, day, (first, second)).until == turn
    same = Fact("responsibility", "andre", turn, people=mother, order=2)
    assert answerers(table(), SCHOOL, YOUNG, day, (first, same)).until == birthday(YOUNG, 15)
    adult = answerers(table(), SCHOOL, date(1990, 1, 1), day, (first, second))
    assert adult.until is None
    order = Fact("care", "child-welfare", date(2000, 1, 1), people=mother, order=1)
    moved = Fact("care", "child-welfare", turn, people=father, order=2)
    assert answerers(table(), SCHOOL, YOUNG, day, (order, moved)).until == turn
    assert answerers(table(), SCHOOL, YOUNG, day, (order,)).until == birthday(YOUNG, 15)
    alone = answerers(table(), SCHOOL, date(2006, 1, 1), day, (order, moved))
    assert alone.needs == {"subject"}
    assert alone.until is None, "who would represent ends nothing of what one decides"


def seen(who: Any, day: date, categories: Iterable[Category] = (SCHOOL, HEALTH, POLICE, PARTICIPANTS)) -> set[str]:
    """Categories that are seen on exactly this day."""
    found = sights(table(), who, list(categories), BORN, day)
    return {sight.category for sight in found if sight.start <= day and (sight.end is None or day < sight.end)}


@pytest.mark.parametrize(
    ("age", "days", "expected"),
    [
        (11, 0, {"school", "health", "police", "participants", "looks", "grants"}),
        (15, -1, {"school", "health", "police", "participants", "looks", "grants"}),
        (15, 0, {"school", "health", "looks", "grants"}),
        (16, -1, {"school", "health", "looks", "grants"}),
        (16, 0, {"school", "looks", "grants"}),
        (18, -1, {"school", "looks", "grants"}),
        (18, 0, set()),
    ],
)
def test_guardians_see_less_as_the_child_grows(age: int, days: int, expected: set[str]) -> None:
    assert seen("parental", on(age, days)) == expected


def test_the_subject_sees_everything_about_themselves_from_twelve_on_and_without_end() -> None:
    assert seen("self", on(12, -1)) == set()
    for years in (12, 15, 16, 18, 60):
        assert seen("self", on(years)) == {"school", "health", "police", "participants", "looks", "grants"}


def test_sight_that_begins_or_ends_later_carries_its_days() -> None:
    [school] = [sight for sight in sights(table(), "parental", [SCHOOL], BORN, on(9)) if sight.category == "school"]
    assert (school.start, school.end) == (date(2018, 7, 20), birthday(BORN, 18))
    mine = sights(table(), "self", [SCHOOL], BORN, on(9))
    assert {sight.start for sight in mine} == {birthday(BORN, 12)}
    born = date(2020, 1, 1)
    [school] = [one for one in sights(table(), "parental", [SCHOOL], born, born) if one.category == "school"]
    assert (school.start, school.end) == (born, birthday(born, 18))


def test_sight_that_goes_on_under_another_row_is_one_and_names_both() -> None:
    def split(data: Any) -> None:
        row = next(row for row in data["sight"] if row["id"] == "parental-general")
        data["sight"].append(row | {"id": "parental-general-later", "from_age": 12})
        row["to_age"] = 12

    [school] = [one for one in sights(table(split), "parental", [SCHOOL], YOUNG, at(9)) if one.category == "school"]
    assert (school.start, school.end) == (date(2018, 7, 20), birthday(YOUNG, 18))
    assert school.rows == ("parental-general", "parental-general-later")


def test_a_row_nobody_verified_gives_way_to_the_strict_value() -> None:
    def unverify(data: Any) -> None:
        for row in [*data["answer"], *data["sight"]]:
            del row["verified_by"]

    law = table(unverify)
    assert answerers(law, SCHOOL, BORN, on(15)).needs == BOTH
    assert sights(law, "parental", [SCHOOL, HEALTH], BORN, on(10)) == []


def test_a_row_outside_its_validity_is_as_if_it_were_not_there() -> None:
    def end(data: Any) -> None:
        for row in data["answer"]:
            row["valid_to"] = on(15)

    law = table(end)
    assert answerers(law, SCHOOL, BORN, on(15, -1)).needs == {"guardians"}
    assert answerers(law, SCHOOL, BORN, on(15)).needs == BOTH


def test_a_row_about_one_category_outranks_the_row_about_its_class() -> None:
    def more(data: Any) -> None:
        row = dict(data["answer"][8]) | {"id": "sector", "what": "health", "from_age": 16, "needs": ["subject"]}
        data["answer"].append(row)

    law = table(more)
    assert answerers(law, HEALTH, BORN, on(16)).needs == {"subject"}
    assert answerers(law, POLICE, BORN, on(16)).needs == BOTH
    assert answerers(law, HEALTH, BORN, on(15)).until == birthday(BORN, 16)


def test_every_packaged_row_names_its_source_and_when_it_was_verified() -> None:
    law = table()
    for source in [row.source for row in law.answers] + [row.source for row in law.sights]:
        assert source.legal, source.row
        assert source.verified(), source.row


def test_a_row_that_is_not_complete_stops_the_start() -> None:
    def spoil(data: Any) -> None:
        del data["answer"][2]["from_age"]

    with pytest.raises(LawInvalid, match="general-12-15: from_age"):
        table(spoil)


def test_a_day_begins_where_the_municipality_is() -> None:
    law = table()
    assert law.starts(date(2026, 7, 1)) == int(datetime(2026, 6, 30, 22, tzinfo=UTC).timestamp())
    assert law.day_of(datetime(2026, 6, 30, 22, tzinfo=UTC)) == date(2026, 7, 1)
    assert law.ends(date(2026, 6, 30)) == law.starts(date(2026, 7, 1))


def test_somebody_born_on_the_leap_day_comes_of_age_on_the_first_of_march() -> None:
    assert birthday(date(2012, 2, 29), 15) == date(2027, 3, 1)
    assert birthday(date(2012, 2, 29), 16) == date(2028, 2, 29)
    assert [age(date(2012, 2, 29), date(2027, *day)) for day in ((2, 28), (3, 1))] == [14, 15]


def test_an_age_is_how_many_birthdays_have_been() -> None:
    assert [age(BORN, on(15, days)) for days in (-1, 0, 1)] == [14, 15, 15]
    assert (age(BORN, BORN), age(BORN, date(2011, 12, 31)), age(BORN, date(2012, 1, 1))) == (0, 0, 0)


def test_whoever_did_not_decide_for_a_single_day_has_a_new_say_since_the_next() -> None:
    order = (Fact("care", "child-welfare", date(2024, 1, 1), date(2024, 1, 2), frozenset({"carer"})),)
    assert answerers(table(), SCHOOL, YOUNG, at(9), order).since == {"guardians": date(2024, 1, 2)}


def test_a_fact_without_a_beginning_that_is_known_counts_from_ever() -> None:
    ever = (Fact("responsibility", "mor", date.min, people=frozenset({"mother"})),)
    found = answerers(table(), HEALTH, date(2005, 3, 14), date(2019, 1, 1), ever)
    assert found.since == {"subject": date.min, "guardians": date.min}, "both have always decided"


# -- before birth ------------------------------------------------------------------------------------------------------

DUE = Unborn(date(2027, 2, 1))


def due(days: int) -> date:
    return DUE.due + timedelta(days=days)


@pytest.mark.requirement("F011")
@pytest.mark.parametrize(
    ("category", "days", "needs"),
    [
        (SCHOOL, -280, {"expectant"}),
        (HEALTH, 0, {"expectant"}),
        (SCHOOL, 28, {"expectant"}),
        (SCHOOL, 29, BOTH),
        (HEALTH, 29, BOTH),
        (POLICE, -100, {"subject", "expectant"}),
        (POLICE, 400, {"subject", "expectant"}),
    ],
)
def test_before_birth_the_expectant_mother_answers_until_four_weeks_after_the_due_date(
    category: Category, days: int, needs: set[str]
) -> None:
    found = answerers(table(), category, DUE, due(days))
    assert found.needs == needs
    assert found.until == (due(29) if needs == {"expectant"} else None)


@pytest.mark.requirement("F011")
def test_she_alone_sees_by_law_and_until_something_has_been_told() -> None:
    [content] = {(one.start, one.end, one.actions, one.basis) for one in sights(
        table(), "expectant", [SCHOOL, HEALTH], DUE, due(500)) if one.category in ("school", "health")}  # fmt: skip
    assert content == (due(-280), None, ("read", "contribute"), "expectant-mother")
    others: tuple[Who, ...] = ("self", "parental", "representative")
    for who in others:
        assert sights(table(), who, [SCHOOL, HEALTH], DUE, due(0)) == []
    assert sights(table(), "expectant", [SCHOOL, HEALTH], BORN, BORN) == []


def test_with_birth_the_guardians_say_grows_and_hers_is_over() -> None:
    born = date(2026, 5, 17)
    found = answerers(table(), SCHOOL, born, born)
    assert found.needs == {"guardians"}
    assert dict(found.since) == {"guardians": born}
    before = answerers(table(), SCHOOL, born, born - timedelta(days=1))
    assert before.needs == {"expectant"}
    assert before.until == born


def test_who_is_not_born_has_the_age_before_birth_whatever_the_day() -> None:
    assert age(DUE, due(4_000)) == age(BORN, on(0, -1)) == age(BORN, on(0, -800)) == UNBORN
    assert (age(BORN, BORN), age(BORN, on(1, -1)), age(BORN, on(1))) == (0, 0, 1)


@pytest.mark.parametrize(("days", "expected"), [(-281, False), (-280, True), (0, True), (28, True), (29, False)])
def test_nobody_is_expected_for_longer_than_a_pregnancy_lasts(days: int, expected: bool) -> None:
    assert DUE.expected(due(days)) is expected


@pytest.mark.parametrize(("days", "fits"), [(-155, False), (-154, True), (0, True), (28, True), (29, False)])
def test_a_child_born_at_another_time_is_another_child(days: int, fits: bool) -> None:
    assert DUE.may_be(due(days)) is fits
