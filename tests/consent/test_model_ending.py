"""When an end is told, why it ends, and who is asked anew: rules without a database."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.handlers.tables import current_law
from consent.model.ending import MARKS, Running, endings, next_mark, reason
from consent.model.facts import Fact, Facts, Party
from consent.model.grants import Terms
from consent.model.law import Category, answerers, birthday, next_turn
from consent.model.requests import Asked, Cell, counts, opened_again, waited_for

LAW = current_law()
LAST = date(2027, 6, 30)
ENDS = LAW.ends(LAST)
BEGINS = LAW.starts(date(2026, 1, 1))
TERMS = Terms("service:school", ("health", "school"), ("read",), "follow-up", ENDS)
GRANT = Running("g", "r", BEGINS, TERMS, None)
BORN = date(2011, 3, 14)
YOUTH, MOTHER, FATHER, CARER = "youth", "mother", "father", "carer"
SCHOOL, HEALTH = Category("school", special=False), Category("health", special=True)
CELL = Cell("nurse", "health", "read")
GENERAL = Cell("school", "school", "read")


def before(days: int, seconds: int = 0) -> int:
    """So many days before the day that it ends on, as that day begins."""
    return LAW.starts(LAST + timedelta(days=1 - days)) + seconds


@pytest.mark.parametrize("mark", MARKS)
def test_each_mark_is_told_from_the_day_it_falls_on_and_once(mark: int) -> None:
    told = {90: None, 30: 90, 7: 30}[mark]
    running = [replace(GRANT, told=told)]
    assert endings(LAW, running, before(mark, -1)) == []
    [found] = endings(LAW, running, before(mark))
    assert (found.mark, found.request, found.ends, found.grants) == (mark, "r", ENDS, ("g",))
    assert endings(LAW, [replace(GRANT, told=mark)], before(mark)) == []


def test_after_a_leap_only_the_nearest_is_told_and_never_a_farther_one_after_it() -> None:
    assert [one.mark for one in endings(LAW, [GRANT], before(5))] == [7]
    assert endings(LAW, [replace(GRANT, told=7)], before(40)) == []


def test_a_mark_before_the_beginning_is_left_out() -> None:
    short = replace(GRANT, begins=before(20))
    assert endings(LAW, [short], before(19)) == []
    assert [one.mark for one in endings(LAW, [short], before(7))] == [7]


def test_a_mark_that_falls_on_the_beginning_itself_is_left_out_too() -> None:
    assert endings(LAW, [replace(GRANT, begins=before(30))], before(30)) == []
    [found] = endings(LAW, [replace(GRANT, begins=before(30, -1))], before(30))
    assert found.mark == 30


def test_what_has_no_end_is_never_told_of() -> None:
    endless = replace(GRANT, terms=replace(TERMS, until=None))
    assert endings(LAW, [endless], before(1)) == []
    assert next_mark(LAW, [endless], before(1)) is None
    other = replace(GRANT, id="h", terms=replace(TERMS, recipient="service:other"))
    assert [one.grants for one in endings(LAW, [endless, other], before(1))] == [("h",)]


def test_the_next_moment_is_the_nearest_mark_or_end_of_any_grant() -> None:
    later = replace(GRANT, id="h", terms=replace(TERMS, until=ENDS + 86_400))
    assert next_mark(LAW, [later, GRANT], before(90, -1)) == before(90)
    assert next_mark(LAW, [GRANT, later], before(7)) == before(6), "the later one's last mark"
    assert next_mark(LAW, [GRANT, later], before(6)) == ENDS
    assert next_mark(LAW, [GRANT, later], ENDS) == ENDS + 86_400
    assert next_mark(LAW, [GRANT, later], ENDS + 86_400) is None


@pytest.mark.parametrize(
    ("changes", "tells"),
    [
        ({"until": ENDS + 1}, False),
        ({"until": None}, False),
        ({"until": ENDS}, True),
        ({"until": ENDS + 1, "recipient": "service:other"}, True),
        ({"until": ENDS + 1, "categories": ("health",)}, True),
        ({"until": ENDS + 1, "actions": ("contribute",)}, True),
        ({"until": ENDS + 1, "actions": ("contribute", "read")}, False),
    ],
)
def test_what_goes_on_anyway_is_not_told_of(changes: dict[str, Any], tells: bool) -> None:
    other = Running("h", "s", before(3), replace(TERMS, **changes), None)
    assert ("g" in {id_ for one in endings(LAW, [GRANT, other], before(6)) for id_ in one.grants}) is tells


def test_grants_of_one_request_that_end_together_are_told_of_together() -> None:
    same, other = replace(GRANT, id="h"), replace(GRANT, id="i", request="s")
    assert [one.grants for one in endings(LAW, [same, other, GRANT], before(30))] == [("g", "h"), ("i",)]


@given(st.integers(min_value=-10, max_value=400))
def test_looking_at_each_next_moment_tells_every_mark_once_and_ends(start: int) -> None:
    now: int | None = max(before(400 - start), BEGINS)
    told: list[int] = []
    running = GRANT
    while now is not None:
        for one in endings(LAW, [running], now):
            told.append(one.mark)
            running = replace(running, told=one.mark)
        following = next_mark(LAW, [running], now)
        assert following is None or following > now
        now = following
    due = [mark for mark in MARKS if before(mark) > max(before(400 - start), BEGINS)]
    assert told[-len(due) :] == due if due else len(told) <= 1
    assert sorted(set(told), reverse=True) == told


def test_why_it_ends() -> None:
    assert reason(5, 5, [5]) == "period"
    assert reason(4, 5, [3, 4]) == "others-decide"
    assert reason(4, 5, [3]) == "said"


# -- who is asked anew ------------------------------------------------------------------------------------------------


def say(category: Category, age: int, days: int = 0, facts: Facts = ()) -> dict[Party, date]:
    """Since when each party has had the say that it has on this day."""
    on = birthday(BORN, age) + timedelta(days=days)
    return dict(answerers(LAW, category, BORN, on, facts).since)


def test_a_partys_say_grows_when_it_comes_to_decide_or_another_need_not_agree_any_more() -> None:
    assert say(SCHOOL, 15) == {"subject": birthday(BORN, 15)}
    assert say(SCHOOL, 19) == {"subject": birthday(BORN, 15)}, "at eighteen nothing is new there"
    assert say(HEALTH, 12)["subject"] == birthday(BORN, 12)
    assert say(HEALTH, 12)["guardians"] < birthday(BORN, 12), "whoever decides with others from now on had more say"
    assert say(HEALTH, 17)["subject"] == birthday(BORN, 12)
    assert say(HEALTH, 18) == {"subject": birthday(BORN, 18)}


def test_after_a_care_order_has_ended_the_guardians_are_asked_anew() -> None:
    order = Fact("care", "child-welfare", date(2020, 1, 1), date(2021, 1, 1), frozenset({CARER}))
    during, after = (answerers(LAW, SCHOOL, BORN, date(year, 6, 1), (order,)).since for year in (2020, 2021))
    assert during == {"representatives": date(2020, 1, 1)}
    assert after == {"guardians": date(2021, 1, 1)}


def asked(facts: Facts = ()) -> Asked:
    cells = {CELL: HEALTH, GENERAL: SCHOOL}
    return Asked("r", YOUTH, BORN, frozenset({MOTHER, FATHER}), cells, "p", ENDS, facts)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("person", "cell", "said", "on", "expected"),
    [
        (YOUTH, CELL, (18, -1), (18, -1), True),
        (YOUTH, CELL, (18, -1), (18, 0), False),
        (YOUTH, CELL, (18, 0), (18, 0), True),
        (MOTHER, CELL, (11, 0), (12, 0), True),
        (YOUTH, CELL, (11, 0), (12, 0), False),
        (YOUTH, GENERAL, (14, 0), (15, 0), False),
        (YOUTH, GENERAL, (15, 0), (19, 0), True),
    ],
)
def test_a_yes_counts_unless_its_givers_say_has_grown(
    person: str, cell: Cell, said: tuple[int, int], on: tuple[int, int], expected: bool
) -> None:
    at, day = (birthday(BORN, age) + timedelta(days=days) for age, days in (said, on))
    assert counts(LAW, asked(), person, cell, noon(at), day) is expected


def test_the_day_of_a_yes_is_the_local_one() -> None:
    eve = datetime(2029, 3, 13, 23, 30, tzinfo=UTC)  # half past midnight of the eighteenth birthday in Oslo
    assert counts(LAW, asked(), YOUTH, CELL, eve, birthday(BORN, 18))
    assert not counts(LAW, asked(), YOUTH, CELL, eve - timedelta(hours=1), birthday(BORN, 18))


def test_whom_it_waits_for_is_told_by_kind() -> None:
    on = birthday(BORN, 15)
    cells = [CELL]
    assert waited_for(LAW, asked(), cells, {}, on) == ["guardians", "subject"]
    assert waited_for(LAW, asked(), cells, {(MOTHER, CELL): "yes", (YOUTH, CELL): "no"}, on) == ["guardians"]
    assert waited_for(LAW, asked(), cells, {(p, CELL): "yes" for p in (YOUTH, MOTHER, FATHER)}, on) == []
    unknown = Fact("responsibility", "ukjent", BORN)
    assert waited_for(LAW, asked((unknown,)), cells, {(YOUTH, CELL): "yes"}, on) == ["nobody"]


def test_a_request_is_open_again_since_the_day_on_which_others_came_to_decide() -> None:
    on = birthday(BORN, 18) + timedelta(days=3)
    given = {(YOUTH, CELL): noon(birthday(BORN, 16)), (MOTHER, CELL): noon(birthday(BORN, 16))}
    assert opened_again(LAW, asked(), given, {}, on) == birthday(BORN, 18)
    assert opened_again(LAW, asked(), given, {(YOUTH, CELL): "yes"}, on) is None
    assert opened_again(LAW, asked(), {}, {}, on) is None, "nobody had answered: it has waited all along"
    fresh = {(YOUTH, GENERAL): noon(on)}
    assert opened_again(LAW, asked(), fresh, {}, on) is None


def test_the_next_day_on_which_something_may_turn() -> None:
    assert next_turn(LAW, BORN, date(2026, 3, 14)) == birthday(BORN, 16)
    assert next_turn(LAW, BORN, date(2026, 3, 13)) == birthday(BORN, 15)
    ends = Fact("party", "decision", date(2026, 1, 1), date(2026, 5, 1))
    assert next_turn(LAW, BORN, date(2026, 3, 14), (ends,)) == date(2026, 5, 1)
    assert next_turn(LAW, BORN, date(2050, 1, 1)) is None
