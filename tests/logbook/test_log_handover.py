"""The baton: offered, kept, accepted, never dropped and never held by two."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from logbook.storage import outbox
from logbook.storage.tables import holder
from tests.logbook.callers import NURSE, POLICE, SCHOOL, WELFARE, Door, person, problem, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.requirement("F073")
async def test_the_old_holder_keeps_the_baton_until_the_new_one_accepts(door: Door, take_part: Any) -> None:
    nurse, school = staff(NURSE), staff(SCHOOL)
    await take_part(SCHOOL, "school")
    opened = await door.open(nurse)
    offered = await door.post("log/handover", nurse, {"to_service": SCHOOL})
    assert offered["holder"] == opened["holder"]
    assert offered["handover"]["to_service"] == SCHOOL
    still = await door.post("log/level", nurse, {"level": 2, "decision": "Fortsatt vår."})
    assert still["holder"]["service"] == NURSE

    accepted = await door.post("log/handover/accept", school)
    assert (accepted["holder"]["service"], accepted["holder"]["staff"]) == (SCHOOL, school.actor.id)
    assert "handover" not in accepted
    assert [turn["service"] for turn in accepted["holders"]] == [NURSE, SCHOOL]
    assert accepted["holders"][0]["until"] == accepted["holders"][1]["since"]
    late = await door.ask("POST", "log/level", nurse, {"level": 1, "decision": "Ikke vår lenger."})
    assert problem(late) == (403, "not-the-holder")


@pytest.mark.requirement("F074", "F037")
async def test_the_baton_is_offered_only_to_a_service_with_consent_to_contribute(
    door: Door, take_part: Any, leave: Any
) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    nobody = (409, "not-a-participant")
    assert problem(await door.ask("POST", "log/handover", nurse, {"to_service": SCHOOL})) == nobody
    await take_part(POLICE, "police", actions=("read",))
    assert problem(await door.ask("POST", "log/handover", nurse, {"to_service": POLICE})) == nobody
    await take_part(WELFARE, "participants")
    assert problem(await door.ask("POST", "log/handover", nurse, {"to_service": WELFARE})) == nobody
    grant = await take_part(SCHOOL, "school")
    await door.post("log/handover", nurse, {"to_service": SCHOOL})
    await leave(SCHOOL, grant)
    assert problem(await door.ask("POST", "log/handover", nurse, {"to_service": SCHOOL})) == nobody


async def test_only_the_holder_offers_and_only_the_one_it_was_offered_to_accepts(door: Door, take_part: Any) -> None:
    nurse = staff(NURSE)
    for service in (NURSE, SCHOOL, POLICE):
        await take_part(service, "school")
    await door.open(nurse)
    refused = (403, "not-the-holder")
    assert problem(await door.ask("POST", "log/handover", staff(SCHOOL), {"to_service": SCHOOL})) == refused
    assert problem(await door.ask("POST", "log/handover", person(door.subject), {"to_service": SCHOOL})) == refused
    assert problem(await door.ask("POST", "log/handover/accept", staff(SCHOOL))) == (409, "no-offer")
    await door.post("log/handover", nurse, {"to_service": SCHOOL})
    assert problem(await door.ask("POST", "log/handover/accept", staff(POLICE))) == (409, "no-offer")
    assert problem(await door.ask("POST", "log/handover/accept", nurse)) == (409, "no-offer")
    assert problem(await door.ask("POST", "log/handover/accept", person(door.subject))) == (403, "service-needed")
    await door.post("log/handover/accept", staff(SCHOOL))
    assert problem(await door.ask("POST", "log/handover/accept", staff(SCHOOL))) == (409, "no-offer")


async def test_a_new_offer_takes_the_place_of_the_one_that_waits(door: Door, take_part: Any) -> None:
    nurse = staff(NURSE)
    await take_part(SCHOOL, "school")
    await take_part(POLICE, "school")
    await door.open(nurse)
    await door.post("log/handover", nurse, {"to_service": SCHOOL})
    await door.post("log/handover", nurse, {"to_service": POLICE})
    assert problem(await door.ask("POST", "log/handover/accept", staff(SCHOOL))) == (409, "no-offer")
    assert (await door.post("log/handover/accept", staff(POLICE)))["holder"]["service"] == POLICE


@pytest.mark.requirement("F073")
async def test_when_several_accept_at_once_one_holds_and_no_moment_is_without(
    door: Door, take_part: Any, engine: AsyncEngine
) -> None:
    nurse = staff(NURSE)
    await take_part(SCHOOL, "school")
    opened = await door.open(nurse)
    await door.post("log/handover", nurse, {"to_service": SCHOOL})
    answers = await asyncio.gather(*(door.ask("POST", "log/handover/accept", staff(SCHOOL)) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    async with engine.connect() as conn:
        turns = (await conn.execute(select(holder).where(holder.c.log == opened["id"]).order_by(holder.c.since))).all()
        told = await conn.scalar(
            select(func.count()).where(outbox.c.aggregateid == door.subject, outbox.c.type == "holder.changed.v1")
        )
    assert [(turn.service, turn.until is None) for turn in turns] == [(NURSE, False), (SCHOOL, True)]
    assert told == 1


async def test_a_baton_whose_holder_has_lost_consent_can_be_passed_on_by_those_who_are_left(
    door: Door, take_part: Any, leave: Any
) -> None:
    """It still holds until somebody accepts: the log is never without one."""
    nurse, school = staff(NURSE), staff(SCHOOL)
    grant = await take_part(NURSE, "school", "health", "participants")
    await take_part(SCHOOL, "school", "participants")
    await door.open(nurse)
    await leave(NURSE, grant)
    seen = await door.get("log", school)
    assert (seen["holder"]["service"], seen["holder"]["acting"]) == (NURSE, False)
    offered = await door.post("log/handover", school, {"to_service": SCHOOL})
    assert offered["holder"]["service"] == NURSE
    accepted = await door.post("log/handover/accept", school)
    assert (accepted["holder"]["service"], accepted["holder"]["acting"]) == (SCHOOL, True)


async def test_an_offer_is_told_only_to_those_who_may_know_that_its_service_takes_part(
    door: Door, take_part: Any
) -> None:
    await take_part(WELFARE, "school")
    await door.open(staff(NURSE))
    await door.post("log/handover", staff(NURSE), {"to_service": WELFARE})
    assert "handover" not in await door.get("log", staff(SCHOOL, "school"))
    assert "handover" in await door.get("log", staff(WELFARE, "school"))
    await door.post("log/handover/accept", staff(WELFARE, "school"))
    assert [turn["service"] for turn in (await door.get("log", staff(SCHOOL, "school")))["holders"]] == [WELFARE]
