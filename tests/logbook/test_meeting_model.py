"""The rules of meetings alone: no I/O, no clock, no framework."""

from datetime import UTC, datetime, timedelta

import pytest

from logbook import model
from logbook.model import Author, Holder, Item, Log

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
NURSE, TEACHER = Author("staff", "s1", "school-health"), Author("staff", "s2", "gamlebyen-school")
COLLEAGUE, MACHINE = Author("staff", "s3", "gamlebyen-school"), Author("machine", "m1", "gamlebyen-school")
POLICE, YOUTH, MOTHER = Author("staff", "s4", "police"), Author("person", "p1"), Author("person", "p2")
LOG = Log("l1", "p1", "stafettlogg", "gamlebyen", 1, Holder("h1", "school-health", "s1", NOW - timedelta(days=9)))


def meeting(by: Author = TEACHER, meet_at: datetime = LATER, state: str = model.PLANNED) -> Item:
    return Item("m1", model.MEETING, "school", NOW - timedelta(days=1), by, "t", state=state, meet_at=meet_at)


def test_a_meeting_is_planned_for_a_time_that_lies_ahead() -> None:
    draft = Item("m1", model.MEETING, "school", NOW, YOUTH, "t", place="p")
    assert model.plan_meeting(draft, LATER, NOW) == draft._replace(state="planned", meet_at=LATER)
    for past in (NOW, NOW - timedelta(seconds=1)):
        with pytest.raises(model.MeetingTimeNeeded):
            model.plan_meeting(draft, past, NOW)
        with pytest.raises(model.MeetingTimeNeeded):
            model.move_meeting(meeting(), LOG, TEACHER, past, NOW)


def test_a_meeting_is_moved_and_called_off_and_keeps_its_time_then() -> None:
    sooner = LATER - timedelta(days=3)
    moved = model.move_meeting(meeting(), LOG, TEACHER, sooner, NOW)
    assert moved == meeting()._replace(meet_at=sooner, version=2)
    assert model.call_off_meeting(moved, LOG, TEACHER, NOW) == moved._replace(state="called-off", version=3)


@pytest.mark.parametrize(
    ("caller", "by", "may"),
    [
        (TEACHER, TEACHER, True), (TEACHER, COLLEAGUE, True), (TEACHER, MACHINE, True), (TEACHER, NURSE, True),
        (TEACHER, POLICE, False), (TEACHER, YOUTH, False), (YOUTH, YOUTH, True), (YOUTH, MOTHER, False),
        (YOUTH, NURSE, True), (YOUTH, TEACHER, False), (NURSE, TEACHER, False),
    ],
)  # fmt: skip
def test_whoever_called_the_meeting_changes_it_and_the_holder(caller: Author, by: Author, *, may: bool) -> None:
    def move() -> Item:
        return model.move_meeting(meeting(caller), LOG, by, LATER, NOW)

    def call_off() -> Item:
        return model.call_off_meeting(meeting(caller), LOG, by, NOW)

    for change in (move, call_off):
        if may:
            assert change().version == 2
        else:
            with pytest.raises(model.NotYourMeeting):
                change()


@pytest.mark.parametrize(
    "over", [meeting(meet_at=NOW), meeting(meet_at=NOW - timedelta(hours=1)), meeting(state=model.CALLED_OFF)]
)
def test_what_has_begun_or_was_called_off_stays_as_it_is(over: Item) -> None:
    with pytest.raises(model.WrongState):
        model.move_meeting(over, LOG, TEACHER, LATER, NOW)
    with pytest.raises(model.WrongState):
        model.call_off_meeting(over, LOG, TEACHER, NOW)
