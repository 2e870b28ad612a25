"""A repeated write has one effect; what it shows is today's, under today's permit."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from logbook.storage import idempotency, outbox
from tests.logbook.callers import DISTRICT, NURSE, SCHOOL, Door, ahead, problem, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPENING = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "decision": "Mye fravær."}


async def test_a_repeated_write_gives_the_same_answer_and_has_one_effect(door: Door, engine: AsyncEngine) -> None:
    nurse, key = staff(NURSE), str(uuid4())
    opened = [await door.ask("POST", "log", nurse, OPENING, key="open") for _ in range(3)]
    assert {(each.status_code, each.content) for each in opened} == {(201, opened[0].content)}
    body = {"category": "school", "text": "Avtalt møte."}
    written = [await door.ask("POST", "entries", nurse, body, key=key) for _ in range(3)]
    assert {(each.status_code, each.content, each.headers["etag"]) for each in written} == {
        (201, written[0].content, written[0].headers["etag"])
    }
    assert len((await door.get("items", nurse))["items"]) == 1
    async with engine.connect() as conn:
        types = (await conn.execute(select(outbox.c.type).where(outbox.c.aggregateid == door.subject))).scalars().all()
    assert sorted(types) == ["entry.added.v1", "log.opened.v1"]


async def test_two_at_once_under_one_key_have_one_effect(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    body = {"category": "school", "text": "Avtalt møte."}
    answers = await asyncio.gather(*(door.ask("POST", "entries", nurse, body, key="same") for _ in range(5)))
    assert {(each.status_code, each.json()["id"]) for each in answers} == {(201, answers[0].json()["id"])}
    assert len((await door.get("items", nurse))["items"]) == 1


async def test_a_replay_shows_what_is_there_today(door: Door) -> None:
    school = staff(SCHOOL, "school")
    await door.open(staff(NURSE))
    goal = await door.goal(school)
    body = {
        "goal": goal["id"], "title": "Følge", "category": "school", "responsible": f"service:{SCHOOL}",
        "evaluate_on": ahead(),
    }  # fmt: skip
    first = await door.ask("POST", "measures", school, body, key="plan")
    said = {"outcome": "end", "text": "Ferdig."}
    path, seen = f"measures/{first.json()['id']}/evaluation", first.headers["etag"]
    ended = await door.ask("POST", path, school, said, key="end", if_match=seen)
    assert ended.json()["state"] == "ended"
    replayed = await door.ask("POST", "measures", school, body, key="plan")
    assert (replayed.status_code, replayed.json()["state"]) == (201, "ended")
    assert replayed.headers["etag"] == ended.headers["etag"]
    again = await door.ask("POST", path, school, said, key="end", if_match=seen)
    assert (again.status_code, again.content) == (200, ended.content)
    assert len((await door.get("items?kind=evaluation", school))["items"]) == 1


async def test_a_replay_is_a_read_under_todays_permit(door: Door) -> None:
    """What was written under consent that has ended is not shown again to its writer."""
    school = staff(SCHOOL, "school", "health")
    await door.open(staff(NURSE))
    body = {"category": "health", "text": "Snakket om søvn."}
    assert (await door.ask("POST", "entries", school, body, key="k")).status_code == 201
    later = await door.ask("POST", "entries", school.with_only("school"), body, key="k")
    assert problem(later) == (404, "not-found")
    assert "søvn" not in later.text
    opened = await door.ask("POST", "log", staff(NURSE), OPENING, subject=str(uuid4()), key="open")
    assert opened.status_code == 201


async def test_a_key_that_is_used_for_something_else_is_refused_and_nothing_changes(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    reused = (422, "idempotency-key-reused")
    body = {"category": "school", "text": "Avtalt møte."}
    assert (await door.ask("POST", "entries", nurse, body, key="k")).status_code == 201
    other = await door.ask("POST", "entries", nurse, body | {"text": "Noe annet."}, key="k")
    assert problem(other) == reused
    assert "annet" not in other.text
    first, second = [await door.measure(nurse, (await door.goal(nurse))["id"]) for _ in range(2)]
    tags = [(await door.ask("GET", f"items/{each['id']}", nurse)).headers["etag"] for each in (first, second)]
    said = {"outcome": "end", "text": "Ferdig."}
    for measure, tag in zip((first, second), tags, strict=True):
        path = f"measures/{measure['id']}/evaluation"
        answer = await door.ask("POST", path, nurse, said, key="end", if_match=tag)
        assert answer.status_code == 200 if measure is first else problem(answer) == reused
    assert (await door.get(f"items/{second['id']}", nurse))["state"] == "active"


async def test_a_key_belongs_to_its_actor_and_subject(door: Door) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL)
    await door.open(nurse)
    body = {"category": "school", "text": "Avtalt møte."}
    ids = [(await door.post("entries", caller, body, key="k"))["id"] for caller in (nurse, school)]
    assert len(set(ids)) == 2


async def test_a_refused_write_is_not_remembered(door: Door, engine: AsyncEngine) -> None:
    nurse = staff(NURSE)
    body = {"category": "school", "text": "Avtalt møte."}
    assert problem(await door.ask("POST", "entries", nurse, body, key="early")) == (404, "not-found")
    await door.open(nurse)
    assert (await door.ask("POST", "entries", nurse, body, key="early")).status_code == 201
    async with engine.connect() as conn:
        kept = (await conn.execute(select(idempotency))).all()
    assert "early" not in str(kept)
    assert "Avtalt" not in str(kept)
