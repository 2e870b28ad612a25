"""The published state: grants by law with ids from their content, and everything the message's form demands."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from consent.handlers.tables import current_law
from consent.messages import ConsentState
from consent.model.grants import Terms
from consent.model.law import Category, birthday
from consent.model.own_say import Kept
from consent.model.state import Known, Live, OpenRequest, by_law, whole

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
