"""What a permit leaves to be seen of a log, and that what it does not leave changes nothing for its reader."""

import base64
import time
from typing import Any
from uuid import uuid4

import pytest

from tests.logbook.callers import (
    NURSE,
    POLICE,
    SCHOOL,
    WELFARE,
    Door,
    ahead,
    machine,
    person,
    problem,
    soon,
    staff,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_is_added_in_another_category_changes_not_one_byte_for_a_school_only_reader(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    goal = await door.goal(nurse)
    measure = await door.measure(nurse, goal["id"])
    first, second = await door.entry(nurse), await door.entry(nurse, text="Ringte hjem.")
    visible = [goal["id"], measure["id"], first["id"], second["id"]]
    before = await door.everything(school, *visible)
    assert {status for status, _, _ in before} == {200}

    hidden_goal = await door.goal(nurse, "health", "Sove bedre")
    hidden = await door.measure(nurse, hidden_goal["id"], "health", evaluate_on=ahead(1))
    await door.entry(nurse, "health", "Snakket om søvn.")
    await door.post("highlights", nurse, {"category": "family", "text": "Fin tur."})
    tag = (await door.ask("GET", f"items/{hidden['id']}", nurse)).headers["etag"]
    body = {"outcome": "continue", "text": "Bedre.", "evaluate_on": ahead(2)}
    await door.post(f"measures/{hidden['id']}/evaluation", nurse, body, if_match=tag)
    assert await door.everything(school, *visible) == before


@pytest.mark.requirement("F093")
async def test_of_a_kept_category_a_guardian_reads_the_same_bytes_as_if_nothing_had_been_written(door: Door) -> None:
    nurse, mother = staff(NURSE), person("mother")
    await door.open(nurse, category="school")
    goal = await door.goal(nurse)
    measure = await door.measure(nurse, goal["id"])
    own = await door.entry(mother, "health", "Sov dårlig.")
    visible = [goal["id"], measure["id"], own["id"]]
    before, keeping = await door.everything(mother, *visible), mother.without("health")
    assert await door.everything(keeping, *visible) == before

    secret = await door.goal(nurse, "health", "Sove bedre")
    under = await door.measure(nurse, secret["id"], "school", evaluate_on=ahead(1))
    tag = (await door.ask("GET", f"items/{under['id']}", nurse)).headers["etag"]
    body = {"outcome": "continue", "text": "Bedre.", "evaluate_on": ahead(2)}
    await door.post(f"measures/{under['id']}/evaluation", nurse, body, if_match=tag)
    await door.entry(nurse, "health", "Snakket om søvn.")
    await door.post("meetings", nurse, {"title": "Time", "category": "health", "meet_at": soon(1), "place": "Her"})
    assert await door.everything(mother, *visible) != before
    assert await door.everything(keeping, *visible) == before
    missing = await door.ask("GET", "items/00000000-0000-4000-8000-000000000000", keeping)
    for hidden in (secret, under):
        found = await door.ask("GET", f"items/{hidden['id']}", keeping)
        assert (found.status_code, found.content) == (404, missing.content)


@pytest.mark.requirement("F093")
async def test_of_kept_items_and_what_stands_under_them_no_byte_count_or_cursor_tells(door: Door) -> None:
    nurse, mother = staff(NURSE), person("mother")
    await door.open(nurse)
    goal, first = await door.goal(nurse), await door.entry(nurse)
    visible = [goal["id"], first["id"]]
    before = await door.everything(mother, *visible)
    secret, entry = await door.goal(nurse, "school", "Hemmelig"), await door.entry(nurse, text="Hemmelig.")
    under = await door.measure(nurse, secret["id"], evaluate_on=ahead(1))
    tag = (await door.ask("GET", f"items/{under['id']}", nurse)).headers["etag"]
    body = {"outcome": "continue", "text": "Bedre.", "evaluate_on": ahead(2)}
    await door.post(f"measures/{under['id']}/evaluation", nurse, body, if_match=tag)
    assert await door.everything(mother.without(items=(secret["id"], entry["id"])), *visible) == before
    assert await door.everything(mother, *visible) != before
    planned = {
        "goal": secret["id"], "title": "x", "category": "school", "responsible": "person:mother",
    }  # fmt: skip
    keeping = mother.without(items=(secret["id"],))
    there = await door.ask("POST", "measures", keeping, planned)
    nowhere = await door.ask("POST", "measures", keeping, {**planned, "goal": str(uuid4())})
    assert (there.status_code, there.content) == (nowhere.status_code, nowhere.content)


async def test_an_item_of_another_category_is_not_found_with_the_bytes_of_one_that_is_not_there(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    health = await door.entry(nurse, "health")
    hidden = await door.ask("GET", f"items/{health['id']}", school)
    missing = await door.ask("GET", "items/00000000-0000-4000-8000-000000000000", school)
    assert (hidden.status_code, dict(hidden.headers), hidden.content) == (404, dict(missing.headers), missing.content)


async def test_an_item_of_another_subject_is_not_found_under_this_subjects_permit(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    mine = await door.entry(nurse)
    elsewhere = await door.ask("GET", f"items/{mine['id']}", nurse, subject=str(uuid4()))
    assert problem(elsewhere) == (404, "not-found")


async def test_a_measure_does_not_mention_a_goal_that_its_reader_may_not_see(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    goal = await door.goal(nurse, "health", "Sove bedre")
    measure = await door.measure(nurse, goal["id"], "school")
    assert measure["goal"] == goal["id"]
    [seen] = (await door.get("items?kind=measure", staff(SCHOOL, "school")))["items"]
    assert seen["goal"] is None
    assert goal["id"] not in str(seen)


@pytest.mark.requirement("F003")
async def test_every_measure_points_at_a_goal_of_the_log_that_its_planner_may_see(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    goal, hidden = await door.goal(nurse), await door.goal(nurse, "health")
    entry = await door.entry(nurse)
    body = {
        "title": "Følge hver morgen",
        "category": "school",
        "responsible": f"service:{SCHOOL}",
        "evaluate_on": ahead(),
    }
    told = {
        name: problem(await door.ask("POST", "measures", school, body | {"goal": found}))
        for name, found in {
            "of another category": hidden["id"],
            "no goal": entry["id"],
            "none": "00000000-0000-4000-8000-000000000000",
        }.items()
    }
    assert set(told.values()) == {(422, "unknown-goal")}
    assert problem(await door.ask("POST", "measures", school, body)) == (422, "invalid")
    made = await door.post("measures", school, body | {"goal": goal["id"]})
    for reader in (nurse, school, person(door.subject)):
        assert (await door.get(f"items/{made['id']}", reader))["goal"] == goal["id"]
        assert goal["id"] in str((await door.get("items?kind=goal", reader))["items"])


@pytest.mark.requirement("F055")
async def test_a_reader_sees_as_far_back_as_was_granted(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    old_goal = await door.goal(nurse)
    old = await door.entry(nurse, text="Fra i høst.")
    border = int(time.time()) + 1
    while time.time() < border:
        time.sleep(0.05)
    new = await door.entry(nurse, text="Fra i går.")
    measure = await door.measure(nurse, old_goal["id"])
    joined = staff(SCHOOL, "school").with_only("school", back=border)
    assert [each["id"] for each in (await door.get("items", joined))["items"]] == [new["id"], measure["id"]]
    assert (await door.get(f"items/{measure['id']}", joined))["goal"] is None
    assert problem(await door.ask("GET", f"items/{old['id']}", joined)) == (404, "not-found")
    assert (await door.get("log", joined))["levels"] == []
    everything_granted = staff(SCHOOL, "school")
    assert len((await door.get("items", everything_granted))["items"]) == 4


@pytest.mark.requirement("F002")
async def test_who_takes_part_is_shown_to_those_who_have_that_category_and_to_nobody_else(
    door: Door, take_part: Any
) -> None:
    nurse = staff(NURSE)
    await take_part(NURSE, "school", "health", "participants")
    await take_part(WELFARE, "child-welfare", "school")
    await take_part(SCHOOL, "school")
    await door.open(nurse)
    await door.entry(staff(WELFARE, "school"))
    knowing = await door.get("log", nurse)
    assert {each["id"] for each in knowing["participants"]} == {NURSE, WELFARE, SCHOOL}
    school = staff(SCHOOL, "school")
    seen = await door.get("log", school)
    assert "participants" not in seen
    everything_seen = str(seen) + str(await door.get("items", school))
    assert WELFARE not in everything_seen
    assert WELFARE in str(await door.get("items", nurse))


async def test_the_author_of_an_item_is_hidden_with_a_service_that_may_not_be_known(door: Door, take_part: Any) -> None:
    await take_part(WELFARE, "school")
    await door.open(staff(NURSE))
    await door.entry(staff(WELFARE, "school"))
    await door.entry(staff(NURSE, "school"))
    await door.entry(person(door.subject, "school"))
    by = [each["by"] for each in (await door.get("items", staff(SCHOOL, "school")))["items"]]
    assert by == [
        {"kind": "staff", "id": None, "service": None},
        {"kind": "staff", "id": f"staff-{NURSE}", "service": NURSE},
        {"kind": "person", "id": door.subject, "service": None},
    ]
    own = [each["by"]["service"] for each in (await door.get("items", staff(WELFARE, "school")))["items"]]
    assert own == [WELFARE, NURSE, None]


async def test_whoever_may_not_know_who_takes_part_cannot_find_out_by_naming_a_service(
    door: Door, take_part: Any
) -> None:
    """The refusal is the same whether the named service takes part or not."""
    await take_part(WELFARE, "school")
    await door.open(staff(NURSE))
    school = staff(SCHOOL, "school")
    goal = await door.goal(school)
    body = {"goal": goal["id"], "title": "Ringe", "category": "school", "evaluate_on": ahead()}
    for service in (WELFARE, POLICE):
        refused = await door.ask("POST", "measures", school, body | {"responsible": f"service:{service}"})
        assert problem(refused) == (403, "participants-hidden")
    for service in (WELFARE, POLICE):
        refused = await door.ask("POST", "log/handover", staff(NURSE, "school"), {"to_service": service})
        assert problem(refused) == (403, "participants-hidden")
    knowing = staff(NURSE)
    assert (await door.post("measures", knowing, body | {"responsible": f"service:{WELFARE}"}))["accepted"] is False
    unknown = await door.ask("POST", "measures", knowing, body | {"responsible": f"service:{POLICE}"})
    assert problem(unknown) == (409, "not-a-participant")
    [hidden] = (await door.get("items?kind=measure", school))["items"]
    assert hidden["responsible"] is None


async def test_system_categories_show_no_content_and_take_none(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    await door.entry(nurse)
    watcher = person(door.subject, "looks", "grants")
    assert problem(await door.ask("GET", "log", watcher)) == (404, "not-found")
    assert (await door.get("items", watcher)) == {"items": [], "next": None}
    for category in ("participants", "looks", "grants"):
        refused = await door.ask(
            "POST", "entries", nurse.with_only("looks", "grants", "participants"), {"category": category, "text": "x"}
        )
        assert problem(refused) == (403, "category-not-granted")


async def test_nothing_is_written_in_a_category_that_the_permit_does_not_hold(door: Door) -> None:
    await door.open(staff(NURSE))
    school = staff(SCHOOL, "school")
    for rest, body in (
        ("entries", {"text": "x"}),
        ("highlights", {"text": "x"}),
        ("goals", {"title": "x"}),
    ):
        refused = await door.ask("POST", rest, school, body | {"category": "health"})
        assert problem(refused) == (403, "category-not-granted")
    assert (await door.get("items", staff(NURSE)))["items"] == []


async def test_pages_follow_one_another_without_gaps_and_without_doubles(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    written = []
    for number in range(7):
        written.append((await door.entry(nurse, text=f"nr. {number}"))["id"])
        await door.entry(nurse, "health", f"skjult {number}")
    found: list[str] = []
    after, pages = "", 0
    while True:
        page = await door.get(f"items?limit=3{after}", school)
        found += [each["id"] for each in page["items"]]
        pages += 1
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert found == written
    assert pages == 3


async def test_a_cursor_holds_nothing_but_the_last_item_its_reader_saw(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL, "school")
    await door.open(nurse)
    await door.entry(nurse, "health")
    first = await door.entry(nurse)
    await door.entry(nurse)
    cursor = (await door.get("items?limit=1", school))["next"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    assert raw[12:].decode() == f'"{first["id"]}"'


async def test_a_foreign_or_broken_cursor_is_refused(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    await door.entry(nurse)
    await door.entry(nurse)
    cursor = (await door.get("items?limit=1", nurse))["next"]
    invalid = (400, "invalid-cursor")
    other_subject = await door.ask("GET", f"items?after={cursor}", nurse, subject=str(uuid4()))
    assert problem(other_subject) == invalid
    assert problem(await door.ask("GET", f"items?kind=goal&after={cursor}", nurse)) == invalid
    assert problem(await door.ask("GET", f"items?after={cursor[:-2]}xx", nurse)) == invalid
    assert problem(await door.ask("GET", "items?after=%00%F0", nurse)) == invalid
    assert problem(await door.ask("GET", "items?after=", nurse)) == invalid


@pytest.mark.requirement("F068")
async def test_every_participant_can_add_a_highlight_the_youth_a_guardian_and_an_agency_too(door: Door) -> None:
    await door.open(staff(NURSE))
    guardian = "1c4b7c8e-49c0-4ab8-8a52-0f2f3a1f0f11"
    body = {"category": "school", "text": "Klarte hele uka!"}
    callers = [
        person(door.subject, "school"),
        person(guardian, "school"),
        staff(SCHOOL, "school"),
        machine(POLICE, "school"),
    ]
    for caller in callers:
        made = await door.post("highlights", caller, body)
        assert (made["kind"], made["text"]) == ("highlight", body["text"])
    seen = await door.get("items?kind=highlight", person(door.subject))
    assert [each["by"]["kind"] for each in seen["items"]] == ["person", "person", "staff", "machine"]
    assert (await door.get("items?kind=entry", person(door.subject)))["items"] == []
