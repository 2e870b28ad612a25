"""The life of a measure through the door: planned, under way, evaluated, ended."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.logbook.callers import NURSE, SCHOOL, Caller, Door, ahead, machine, person, problem, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def tag(door: Door, item: str, caller: Caller) -> str:
    answer = await door.ask("GET", f"items/{item}", caller)
    assert answer.status_code == 200
    return str(answer.headers["etag"])


async def evaluate(door: Door, item: str, caller: Caller, outcome: str, evaluate_on: str | None) -> Any:
    body = {"outcome": outcome, "text": "Det virket.", "evaluate_on": evaluate_on}
    return await door.post(f"measures/{item}/evaluation", caller, body, if_match=await tag(door, item, caller))


@pytest.mark.requirement("F053")
async def test_a_measure_runs_through_its_life(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    goal = await door.goal(school)
    planned = await door.measure(school, goal["id"], evaluate_on=None)
    assert (planned["state"], planned["evaluate_on"]) == ("planned", None)
    started = await door.post(
        f"measures/{planned['id']}/start", school, {"evaluate_on": ahead(10)},
        if_match=await tag(door, planned["id"], school),
    )  # fmt: skip
    assert (started["state"], started["evaluate_on"]) == ("active", ahead(10))
    seen = [
        await evaluate(door, planned["id"], school, outcome, on)
        for outcome, on in (("continue", ahead(20)), ("change", ahead(30)), ("end", None))
    ]
    assert [(each["state"], each["evaluate_on"]) for each in seen] == [
        ("continued", ahead(20)),
        ("changed", ahead(30)),
        ("ended", None),
    ]
    found = (await door.get("items?kind=evaluation", school))["items"]
    assert [(each["outcome"], each["measure"], each["text"]) for each in found] == [
        (outcome, planned["id"], "Det virket.") for outcome in ("continue", "change", "end")
    ]
    again = await door.measure(school, goal["id"])
    assert again["goal"] == goal["id"]


@pytest.mark.requirement("F064")
async def test_a_measure_is_never_under_way_without_a_next_evaluation_that_lies_ahead(
    door: Door, engine: AsyncEngine
) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    goal = await door.goal(school)
    past = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    body = {
        "goal": goal["id"], "title": "Følge", "category": "school", "responsible": f"service:{SCHOOL}",
        "evaluate_on": past,
    }  # fmt: skip
    needed = (422, "evaluation-date-needed")
    assert problem(await door.ask("POST", "measures", school, body)) == needed
    measure = await door.measure(school, goal["id"])
    seen = await tag(door, measure["id"], school)
    for outcome in ("continue", "change"):
        for on in (None, past):
            said = {"outcome": outcome, "text": "Vi fortsetter.", "evaluate_on": on}
            refused = await door.ask("POST", f"measures/{measure['id']}/evaluation", school, said, if_match=seen)
            assert problem(refused) == needed
    ended = {"outcome": "end", "text": "Ferdig.", "evaluate_on": ahead()}
    refused = await door.ask("POST", f"measures/{measure['id']}/evaluation", school, ended, if_match=seen)
    assert problem(refused) == (422, "evaluation-date-not-needed")
    for statement in ("evaluate_on = NULL", "state = 'planned'", "state = 'ended'"):
        with pytest.raises(Exception, match="evaluation_date"):
            async with engine.begin() as conn:
                await conn.execute(text(f"UPDATE item SET {statement} WHERE id = :id"), {"id": measure["id"]})


@pytest.mark.requirement("F065")
async def test_a_service_owns_its_measures_and_others_cannot_change_them(door: Door, take_part: Any) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await take_part(NURSE, "school")
    await door.open(nurse)
    goal = await door.goal(school)
    measure = await door.measure(school, goal["id"], responsible=f"service:{NURSE}")
    planned = await door.measure(school, goal["id"], evaluate_on=None)
    body = {"outcome": "end", "text": "Nok."}
    for other in (nurse, person(door.subject), machine(NURSE)):
        for path, said in (
            (f"measures/{measure['id']}/evaluation", body),
            (f"measures/{planned['id']}/start", {"evaluate_on": ahead()}),
        ):
            seen = await tag(door, path.split("/")[1], other)
            assert problem(await door.ask("POST", path, other, said, if_match=seen)) == (403, "not-the-owner")
    assert (await door.get(f"items/{measure['id']}", school))["state"] == "active"
    own = await door.ask("POST", "measures", person(door.subject), {
        "goal": goal["id"], "title": "x", "category": "school", "responsible": f"person:{door.subject}",
        "evaluate_on": ahead(),
    })  # fmt: skip
    assert problem(own) == (403, "service-needed")


async def test_a_measure_ends_once_and_starts_once(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    goal = await door.goal(school)
    measure = await door.measure(school, goal["id"])
    seen = await tag(door, measure["id"], school)
    wrong = (409, "wrong-state")
    start = await door.ask("POST", f"measures/{measure['id']}/start", school, {"evaluate_on": ahead()}, if_match=seen)
    assert problem(start) == wrong
    await evaluate(door, measure["id"], school, "end", None)
    body = {"outcome": "end", "text": "En gang til."}
    seen = await tag(door, measure["id"], school)
    assert problem(await door.ask("POST", f"measures/{measure['id']}/evaluation", school, body, if_match=seen)) == wrong


async def test_an_edit_says_which_state_it_saw(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    measure = await door.measure(school, (await door.goal(school))["id"])
    path, body = f"measures/{measure['id']}/evaluation", {"outcome": "continue", "text": "Ja.", "evaluate_on": ahead(9)}
    assert problem(await door.ask("POST", path, school, body)) == (428, "if-match-needed")
    seen = await tag(door, measure["id"], school)
    await door.post(path, school, body, if_match=seen)
    assert problem(await door.ask("POST", path, school, body, if_match=seen)) == (412, "stale")
    assert problem(await door.ask("POST", path, school, body, if_match='"nonsense"')) == (412, "stale")
    assert len((await door.get("items?kind=evaluation", school))["items"]) == 1


async def test_an_etag_read_with_a_wide_permit_matches_under_the_narrower_permit_to_contribute(door: Door) -> None:
    """The gateway's permit for a write holds only what may be contributed to."""
    wide = staff(SCHOOL)
    await door.open(staff(NURSE))
    measure = await door.measure(wide, (await door.goal(wide, "health"))["id"])
    read = await tag(door, measure["id"], wide)
    narrow = wide.with_only("school")
    assert await tag(door, measure["id"], narrow) != read
    body = {"outcome": "end", "text": "Nok."}
    assert (await door.post(f"measures/{measure['id']}/evaluation", narrow, body, if_match=read))["state"] == "ended"


async def test_of_two_edits_at_once_one_is_stale(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    measure = await door.measure(school, (await door.goal(school))["id"])
    seen = await tag(door, measure["id"], school)
    answers = await asyncio.gather(
        *(
            door.ask(
                "POST", f"measures/{measure['id']}/evaluation", school,
                {"outcome": "continue", "text": f"svar {number}", "evaluate_on": ahead(5)}, if_match=seen,
            )
            for number in range(4)
        )
    )  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert len((await door.get("items?kind=evaluation", school))["items"]) == 1


async def test_a_measure_of_a_hidden_category_is_not_found_by_who_would_change_it(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    measure = await door.measure(nurse, (await door.goal(nurse))["id"], "health")
    entry = await door.entry(school)
    body = {"outcome": "end", "text": "x"}
    for path in (measure["id"], entry["id"], "00000000-0000-4000-8000-000000000000"):
        answer = await door.ask("POST", f"measures/{path}/evaluation", school, body, if_match='"x.y"')
        assert problem(answer) == (404, "not-found")


@pytest.mark.requirement("F005")
async def test_a_measure_is_given_to_somebody_who_accepts_it_and_shows_when_it_is_due(
    door: Door, take_part: Any
) -> None:
    nurse, school, youth = staff(NURSE), staff(SCHOOL, "school"), person(door.subject, "school")
    await take_part(SCHOOL, "school")
    await door.open(nurse)
    goal = await door.goal(nurse)
    own = await door.measure(nurse, goal["id"], evaluate_on=ahead(3))
    given = await door.measure(nurse, goal["id"], responsible=f"service:{SCHOOL}", evaluate_on=ahead(5))
    asked = await door.measure(nurse, goal["id"], responsible=f"person:{door.subject}", evaluate_on=ahead(7))
    assert [each["accepted"] for each in (own, given, asked)] == [True, False, False]
    for caller, measure in ((school, given), (youth, asked)):
        other = youth if caller is school else school
        seen = await tag(door, measure["id"], caller)
        path = f"measures/{measure['id']}/acceptance"
        assert problem(await door.ask("POST", path, other, if_match=seen)) == (403, "not-responsible")
        assert (await door.post(path, caller, if_match=seen))["accepted"] is True
        again = await tag(door, measure["id"], caller)
        assert problem(await door.ask("POST", path, caller, if_match=again)) == (409, "wrong-state")
    due = (await door.get(f"items?due_by={ahead(5)}", nurse))["items"]
    assert [each["id"] for each in due] == [own["id"], given["id"]]
    assert (await door.get("log", nurse))["next_evaluation"] == ahead(3)
    await evaluate(door, own["id"], nurse, "end", None)
    assert (await door.get("log", nurse))["next_evaluation"] == ahead(5)


@pytest.mark.requirement("F047")
async def test_the_log_is_one_overview_of_goals_measures_and_status(door: Door) -> None:
    nurse, youth = staff(NURSE), person(door.subject)
    await door.open(nurse)
    goal = await door.goal(nurse)
    measure = await door.measure(nurse, goal["id"])
    entry = await door.entry(nurse)
    items = (await door.get("items", youth))["items"]
    assert [(each["kind"], each["id"]) for each in items] == [
        ("goal", goal["id"]),
        ("measure", measure["id"]),
        ("entry", entry["id"]),
    ]
    assert items[0]["title"] == "Flere dager på skolen"
    assert items[1]["state"] == "active"
    log = await door.get("log", youth)
    assert (log["level"], log["holder"]["service"], log["next_evaluation"]) == (1, NURSE, measure["evaluate_on"])
