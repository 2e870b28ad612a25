"""Meetings through the door, and the one view of a person that the log is."""

import asyncio
import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import KeyGone, SubjectKeys
from logbook.storage.tables import item
from tests.logbook.callers import NURSE, POLICE, SCHOOL, WELFARE, Door, ahead, machine, person, problem, soon, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def over(engine: AsyncEngine, meeting: str) -> None:
    """Let the meeting's time have come."""
    async with engine.begin() as conn:
        await conn.execute(text("UPDATE item SET meet_at = now() WHERE id = :id"), {"id": meeting})


@pytest.mark.requirement("F001")
async def test_one_view_shows_who_is_involved_the_goals_the_measures_and_the_next_meeting(
    door: Door, take_part: Any
) -> None:
    nurse, school, youth = staff(NURSE), staff(SCHOOL, "school"), person(door.subject)
    await take_part(NURSE, "school", "health", "participants")
    await take_part(SCHOOL, "school")
    empty = await door.open(nurse)
    assert (empty["goals"], empty["measures"], empty["next_meeting"], empty["complete"]) == ([], [], None, True)
    goals = [await door.goal(school), await door.goal(nurse, "health", "Sove bedre")]
    ended = await door.measure(nurse, goals[1]["id"], "health", evaluate_on=ahead(2))
    measures = [await door.measure(school, goals[0]["id"]), await door.measure(nurse, goals[1]["id"], "health")]
    said = {"outcome": "end", "text": "Ferdig."}
    await door.post(f"measures/{ended['id']}/evaluation", nurse, said, if_match=await door.tag(ended["id"], nurse))
    await door.meeting(school, meet_at=soon(9))
    first = await door.meeting(nurse, "health", meet_at=soon(5), title="Om søvn", place="Helsesykepleiers kontor")

    seen = await door.get("log", youth)
    assert {each["id"] for each in seen["participants"]} == {NURSE, SCHOOL}
    assert seen["holder"]["service"] == NURSE
    assert [(each["title"], each["category"]) for each in seen["goals"]] == [
        ("Flere dager på skolen", "school"),
        ("Sove bedre", "health"),
    ]
    assert [(each["id"], each["state"], each["goal"]) for each in seen["measures"]] == [
        (measures[0]["id"], "active", goals[0]["id"]),
        (measures[1]["id"], "active", goals[1]["id"]),
    ]
    assert seen["measures"][0]["evaluate_on"] == ahead()
    meeting = seen["next_meeting"]
    assert (meeting["id"], meeting["meet_at"], meeting["state"]) == (first["id"], first["meet_at"], "planned")
    assert (meeting["title"], meeting["place"]) == ("Om søvn", "Helsesykepleiers kontor")
    assert seen["complete"] is True


async def test_a_meeting_is_an_item_like_every_other(door: Door) -> None:
    await door.open(staff(NURSE))
    youth = person(door.subject, "school")
    made = await door.meeting(youth, meet_at="2098-03-04T12:00:00.123456789+01:00")
    assert made == {
        "id": made["id"], "kind": "meeting", "category": "school", "at": made["at"], "state": "planned",
        "by": {"kind": "person", "id": door.subject, "service": None}, "title": "Hvordan går det på skolen?",
        "meet_at": "2098-03-04T11:00:00.123Z", "place": "Rom 12",
    }  # fmt: skip
    await door.entry(youth)
    for path in ("items?kind=meeting", "items?limit=1"):
        assert (await door.get(path, youth))["items"] == [made]
    assert await door.get(f"items/{made['id']}", youth) == made
    assert (await door.meeting(youth, place=None))["place"] is None


async def test_the_next_meeting_is_the_earliest_ahead_that_nobody_called_off(door: Door, engine: AsyncEngine) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    late, early, soonest = [await door.meeting(nurse, meet_at=soon(days)) for days in (9, 5, 3)]

    async def following() -> str | None:
        found = (await door.get("log", nurse))["next_meeting"]
        return None if found is None else found["id"]

    assert await following() == soonest["id"]
    await door.post(f"meetings/{soonest['id']}/call-off", nurse, if_match=await door.tag(soonest["id"], nurse))
    assert await following() == early["id"]
    body = {"meet_at": soon(12)}
    await door.post(f"meetings/{early['id']}/move", nurse, body, if_match=await door.tag(early["id"], nurse))
    assert await following() == late["id"]
    await over(engine, late["id"])
    assert await following() == early["id"]
    await over(engine, early["id"])
    assert await following() is None
    assert len((await door.get("items?kind=meeting", nurse))["items"]) == 3


async def test_a_move_keeps_the_place_unless_another_is_named(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    meeting = (await door.meeting(school))["id"]

    async def moved(body: dict[str, Any]) -> Any:
        return await door.post(f"meetings/{meeting}/move", school, body, if_match=await door.tag(meeting, school))

    times = [soon(3), soon(4)]
    kept, other = await moved({"meet_at": times[0]}), await moved({"meet_at": times[1], "place": "Biblioteket"})
    assert [(each["meet_at"], each["place"]) for each in (kept, other)] == [
        (times[0], "Rom 12"),
        (times[1], "Biblioteket"),
    ]


async def test_an_edit_says_which_state_it_saw_and_of_two_at_once_one_is_stale(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    meeting = (await door.meeting(school))["id"]
    for path, body in (("move", {"meet_at": soon()}), ("call-off", None)):
        assert problem(await door.ask("POST", f"meetings/{meeting}/{path}", school, body)) == (428, "if-match-needed")
    seen = await door.tag(meeting, school)
    both = (("move", {"meet_at": soon(3)}), ("call-off", None), ("move", {"meet_at": soon(4)}))
    answers = await asyncio.gather(
        *(door.ask("POST", f"meetings/{meeting}/{path}", school, body, if_match=seen) for path, body in both)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


async def test_a_meeting_is_changed_by_whoever_called_it_or_the_holder_until_it_begins(
    door: Door, engine: AsyncEngine
) -> None:
    school, youth = staff(SCHOOL, "school"), person(door.subject, "school")
    await door.open(staff(NURSE))
    for caller in (school, youth):
        meeting = (await door.meeting(caller))["id"]
        seen = await door.tag(meeting, caller)
        for other in (staff(WELFARE, "school"), machine(POLICE, "school"), person(str(uuid4()), "school")):
            for path, body in (("move", {"meet_at": soon()}), ("call-off", None)):
                refused = await door.ask("POST", f"meetings/{meeting}/{path}", other, body, if_match=seen)
                assert problem(refused) == (403, "not-your-meeting")
        body = {"meet_at": soon(2)}
        holder = staff(NURSE, "school")
        assert (await door.post(f"meetings/{meeting}/move", holder, body, if_match=seen))["meet_at"] == body["meet_at"]
        seen = await door.tag(meeting, caller)
        assert (await door.post(f"meetings/{meeting}/call-off", caller, if_match=seen))["state"] == "called-off"
        seen = await door.tag(meeting, caller)
        again = await door.ask("POST", f"meetings/{meeting}/move", caller, body, if_match=seen)
        assert problem(again) == (409, "wrong-state")
    begun = (await door.meeting(school))["id"]
    await over(engine, begun)
    late = await door.ask("POST", f"meetings/{begun}/call-off", school, if_match=await door.tag(begun, school))
    assert problem(late) == (409, "wrong-state")


async def test_a_meeting_needs_a_time_ahead_a_category_that_is_open_and_a_log(door: Door) -> None:
    school = staff(SCHOOL, "school")
    body = {"title": "Møte", "category": "school", "meet_at": soon()}
    assert problem(await door.ask("POST", "meetings", school, body)) == (404, "not-found")
    await door.open(staff(NURSE))
    past = await door.ask("POST", "meetings", school, body | {"meet_at": "2026-01-01T12:00:00Z"})
    assert problem(past) == (422, "meeting-time-needed")
    for category in ("health", "participants"):
        refused = await door.ask("POST", "meetings", school, body | {"category": category})
        assert problem(refused) == (403, "category-not-granted")
    assert (await door.get("items", staff(NURSE)))["items"] == []


async def test_a_meeting_about_health_changes_not_one_byte_for_the_school(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    goal = await door.goal(school)
    shared, measure = await door.meeting(nurse, meet_at=soon(9)), await door.measure(school, goal["id"])
    visible = [goal["id"], shared["id"], measure["id"]]
    before = await door.everything(school, *visible)
    assert {status for status, _, _ in before} == {200}

    hidden_goal = await door.goal(nurse, "health", "Sove bedre")
    await door.measure(nurse, hidden_goal["id"], "health")
    hidden = (await door.meeting(nurse, "health", meet_at=soon(1)))["id"]
    assert await door.everything(school, *visible) == before
    assert (await door.get("log", nurse))["next_meeting"]["id"] == hidden
    for path, body in (("move", {"meet_at": soon(2)}), ("call-off", None)):
        refused = await door.ask("POST", f"meetings/{hidden}/{path}", school, body, if_match='"x.y"')
        missing = await door.ask("POST", f"meetings/{uuid4()}/{path}", school, body, if_match='"x.y"')
        no_meeting = await door.ask("POST", f"meetings/{goal['id']}/{path}", school, body, if_match='"x.y"')
        assert problem(refused) == (404, "not-found")
        assert refused.content == missing.content == no_meeting.content
        await door.post(f"meetings/{hidden}/{path}", nurse, body, if_match=await door.tag(hidden, nurse))
        assert await door.everything(school, *visible) == before


async def test_the_view_reaches_as_far_back_as_was_granted_and_names_no_hidden_goal_or_service(
    door: Door, take_part: Any
) -> None:
    nurse = staff(NURSE)
    await take_part(WELFARE, "school")
    await door.open(nurse)
    old, _ = await door.goal(nurse), await door.meeting(nurse, meet_at=soon(1))
    border = int(time.time()) + 1
    while time.time() < border:
        await asyncio.sleep(0.05)
    await door.measure(nurse, old["id"], responsible=f"service:{WELFARE}")
    new = await door.meeting(staff(WELFARE, "school"), meet_at=soon(2))
    joined = await door.get("log", staff(SCHOOL, "school").with_only("school", back=border))
    assert joined["goals"] == []
    assert [(each["goal"], each["responsible"]) for each in joined["measures"]] == [(None, None)]
    assert joined["next_meeting"]["id"] == new["id"]
    assert joined["next_meeting"]["by"] == {"kind": "staff", "id": None, "service": None}
    watcher = await door.get("log", person(door.subject, "participants"))
    assert (watcher["goals"], watcher["measures"], watcher["next_meeting"]) == ([], [], None)


async def test_a_long_log_shows_its_newest_and_says_that_there_is_more(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    made = [(await door.goal(nurse))["id"] for _ in range(3)]
    monkeypatch.setattr("logbook.handlers.reading.FRONT", 3)
    await door.goal(nurse, "health")
    seen = await door.get("log", nurse.with_only("school"))
    assert ([each["id"] for each in seen["goals"]], seen["complete"]) == (made, True)
    seen = await door.get("log", nurse)
    assert ([each["id"] for each in seen["goals"][:2]], len(seen["goals"]), seen["complete"]) == (made[1:], 3, False)


async def test_a_meeting_without_a_time_or_a_state_cannot_be_kept_nor_an_entry_with_them(
    door: Door, engine: AsyncEngine
) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    meeting, entry = (await door.meeting(nurse))["id"], (await door.entry(nurse))["id"]
    for statement, kept in (
        ("meet_at = NULL", meeting), ("state = NULL", meeting), ("state = 'ended'", meeting),
        ("meet_at = now()", entry), ("place = 'x'", entry),
    ):  # fmt: skip
        with pytest.raises(Exception, match="whole_meeting"):
            async with engine.begin() as conn:
                await conn.execute(text(f"UPDATE item SET {statement} WHERE id = :id"), {"id": kept})


async def test_place_and_purpose_lie_sealed_and_cannot_be_moved(
    door: Door, engine: AsyncEngine, keys: SubjectKeys
) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    meeting = (await door.meeting(nurse, "health"))["id"]
    body = {"meet_at": soon(), "place": "Biblioteket"}
    await door.post(f"meetings/{meeting}/move", nurse, body, if_match=await door.tag(meeting, nurse))
    async with engine.connect() as conn:
        row = (await conn.execute(select(item).where(item.c.id == meeting))).one()
    assert await keys.open(door.subject, row.place, f"item.place/{meeting}") == "Biblioteket"
    assert await keys.open(door.subject, row.title, f"item.title/{meeting}") == "Hvordan går det på skolen?"
    for words, place in ((row.place, f"item.place/{uuid4()}"), (row.place, f"item.title/{meeting}")):
        with pytest.raises(KeyGone):
            await keys.open(door.subject, words, place)
    assert "Biblioteket" not in str(row)


async def test_whoever_is_not_told_where_reads_no_place_and_no_service_of_others_in_any_answer(
    door: Door, take_part: Any
) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await take_part(NURSE, "school", "participants")
    await take_part(SCHOOL, "school")
    await take_part(POLICE, "school", "participants")
    await door.open(nurse)
    goal = await door.goal(school)
    measure = await door.measure(school, goal["id"])
    meeting = await door.meeting(nurse, place="Gamlebyen skole, rom 3")
    await door.post("log/handover", nurse, {"to_service": SCHOOL})
    hidden = replace(staff(POLICE, "school", "participants"), masked=True)
    before = await door.everything(hidden, goal["id"], measure["id"], meeting["id"])
    assert {answer[0] for answer in before} == {200}
    for _, _, body in before:
        assert not any(word.encode() in body for word in ("Gamlebyen skole", NURSE, SCHOOL, f"staff-{NURSE}"))
    seen = await door.get("log", hidden)
    assert (seen["guide"], seen["holder"]["service"], seen["holder"]["staff"]) == (None, None, None)
    assert "participants" not in seen
    assert (await door.get(f"items/{meeting['id']}", replace(hidden, masked=False)))[
        "place"
    ] == "Gamlebyen skole, rom 3"
    own = await door.meeting(hidden, place="Politihuset")
    assert own["by"]["service"] == POLICE
