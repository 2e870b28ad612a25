"""Which row lets somebody keep, share or show; what words about a keeping come to, and what of it is published."""

from datetime import date

import pytest

from consent.model.law import Category, Source
from consent.model.own_say import (
    By,
    ExceptionRow,
    Keeping,
    KeepingWord,
    KeepRow,
    Kept,
    Kin,
    OwnSay,
    ShareRow,
    Told,
    keepings,
    kept,
)


def word(kind: str, keeping: str = "k1", item: str | None = None, **more: str) -> KeepingWord:
    return KeepingWord(keeping, kind, "health", item, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "state", "counts"),
    [
        ("asked", "waiting", True), ("asked reason", "kept", True), ("asked turned-down", "turned-down", False),
        ("asked lifted", "lifted", False), ("asked reason lifted", "lifted", False), ("set", "kept", True),
        ("set lifted", "lifted", False), ("asked lifted reason", "lifted", False),
        ("asked turned-down reason", "turned-down", False),
    ],
)  # fmt: skip
def test_a_keeping_counts_from_when_it_is_asked_for_until_it_is_lifted_or_turned_down(
    words: str, state: str, counts: bool
) -> None:
    [found] = keepings(word(kind) for kind in words.split())
    by = "professional" if words.startswith("set") else "subject"
    assert (found.state, found.counts(), found.by) == (state, counts, by)


def test_the_reason_and_who_gave_it_stay_with_the_keeping() -> None:
    [found] = keepings([word("asked"), word("reason", reason="danger", service="nurse"), word("lifted")])
    assert found == Keeping("k1", "subject", "health", None, "danger", "nurse", "lifted")
    [found] = keepings([word("set", reason="danger", service="nurse")])
    assert found == Keeping("k1", "professional", "health", None, "danger", "nurse", "kept")


def test_what_counts_is_published_once_and_in_one_order() -> None:
    words = [
        word("asked", "k1"), word("set", "k2"), word("asked", "k3", "i2"), word("asked", "k4", "i1"),
        word("asked", "k5", "i1"), word("lifted", "k5"), word("asked", "k6", "i3"), word("lifted", "k6"),
    ]  # fmt: skip
    assert kept(keepings(words)) == Kept(("health",), (("i1", "health"), ("i2", "health")))
    assert not kept([]) and not Kept() and Kept(items=(("i", "c"),))
    assert kept(keepings([word("asked", "k7", "i4")])) == Kept((), (("i4", "health"),)), "an item is not its category"


# -- which row speaks -------------------------------------------------------------------------------------------------

BEGINS, ENDS = date(2020, 1, 1), date(2026, 1, 1)
DAY = date(2025, 6, 1)
HEALTH, SCHOOL = Category("health"), Category("school", special=False)


def source(row: str, *, verified: bool = True) -> Source:
    return Source(row, "a law", "somebody" if verified else "", BEGINS if verified else None, BEGINS, ENDS)


def keep(row: str, what: str, *by: By, verified: bool = True, to_age: int | None = 18) -> KeepRow:
    return KeepRow(source(row, verified=verified), (what,), 12, to_age, by or ("subject",), ("danger",), (), ())


def share(row: str, *to: Kin) -> ShareRow:
    return ShareRow(source(row), ("class:special",), 15, None, to)


def exception(row: str, *to: Told) -> ExceptionRow:
    return ExceptionRow(source(row), ("class:special",), 0, 18, to, ("life",), (), (), 48, None)


def name(row: KeepRow | ShareRow | ExceptionRow | None) -> str | None:
    return None if row is None else row.source.row


def test_a_row_about_the_category_itself_counts_before_the_row_about_its_class() -> None:
    say = OwnSay(keeps=(keep("class", "class:special"), keep("own", "health"), keep("own-too", "health")))
    assert name(say.keep(HEALTH, 13, DAY, "subject")) == "own"
    assert name(say.keep(Category("police"), 13, DAY, "subject")) == "class"
    assert say.keep(SCHOOL, 13, DAY, "subject") is None


def test_a_row_that_does_not_count_today_gives_way_to_the_next_one() -> None:
    doubted = keep("doubted", "health", verified=False)
    say = OwnSay(keeps=(doubted, keep("youth", "health", to_age=14), keep("any", "health", to_age=None)))
    assert name(say.keep(HEALTH, 13, DAY, "subject")) == "youth"
    assert name(say.keep(HEALTH, 14, DAY, "subject")) == "any"
    assert OwnSay(keeps=(doubted,)).keep(HEALTH, 13, DAY, "subject") is None


@pytest.mark.parametrize(
    ("old", "on", "found"),
    [
        (11, DAY, None), (12, DAY, "k"), (17, DAY, "k"), (18, DAY, None), (13, date(2019, 12, 31), None),
        (13, BEGINS, "k"), (13, date(2025, 12, 31), "k"), (13, ENDS, None),
    ],
)  # fmt: skip
def test_a_row_is_for_its_ages_and_its_days(old: int, on: date, found: str | None) -> None:
    assert name(OwnSay(keeps=(keep("k", "health"),)).keep(HEALTH, old, on, "subject")) == found
    assert name(OwnSay(keeps=(keep("k", "health", to_age=None),)).keep(HEALTH, 99, DAY, "subject")) == "k"


def test_each_kind_of_row_is_for_whom_it_names() -> None:
    say = OwnSay(
        (keep("by-both", "class:special", "subject", "professional"),), (share("kin", "guardian"),),
        (exception("service", "service"), exception("guardians", "guardians", "service")),
    )  # fmt: skip
    assert name(say.keep(HEALTH, 13, DAY, "professional")) == "by-both"
    assert OwnSay(keeps=(keep("k", "health"),)).keep(HEALTH, 13, DAY, "professional") is None
    assert (name(say.share(HEALTH, 15, DAY, "guardian")), say.share(HEALTH, 15, DAY, "other")) == ("kin", None)
    assert (say.share(HEALTH, 14, DAY, "guardian"), say.share(SCHOOL, 15, DAY, "guardian")) == (None, None)
    assert name(say.exception(HEALTH, 13, DAY, "service")) == "service"
    assert name(say.exception(HEALTH, 13, DAY, "guardians")) == "guardians"
    assert say.exception(HEALTH, 18, DAY, "guardians") is None
    assert say.exception(HEALTH, 13, ENDS, "guardians") is None
    assert say.exception(SCHOOL, 13, DAY, "guardians") is None


def test_a_table_without_rows_lets_nobody_do_anything() -> None:
    assert OwnSay().keep(HEALTH, 13, DAY, "subject") is None
    assert OwnSay().share(HEALTH, 40, DAY, "other") is None
    assert OwnSay().exception(HEALTH, 13, DAY, "guardians") is None


def test_several_keepings_are_told_apart_each_with_its_own_item_and_category() -> None:
    words = [
        word("asked", "k1", "i1"), KeepingWord("k2", "set", "school", None, "danger", "nurse"), word("lifted", "k1"),
        word("reason", "k2", reason="conflict"),
    ]  # fmt: skip
    assert keepings(words) == [
        Keeping("k1", "subject", "health", "i1", None, None, "lifted"),
        Keeping("k2", "professional", "school", None, "conflict", "nurse", "kept"),
    ]
    assert bool(Kept(("health",))) and not bool(Kept())
