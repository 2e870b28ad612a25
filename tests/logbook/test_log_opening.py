"""Opening the log and changing its level, through the door."""

import asyncio

import pytest
from sqlalchemy import Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from logbook.storage import outbox
from logbook.storage.tables import holder, item, level_change, log
from tests.logbook.callers import DISTRICT, NURSE, POLICE, SCHOOL, Door, machine, person, problem, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPENING = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "decision": "Mye fravær i høst."}


async def count(engine: AsyncEngine, table: Table, subject: str) -> int:
    async with engine.connect() as conn:
        return int((await conn.execute(select(func.count()).where(table.c.subject == subject))).scalar_one())


@pytest.mark.requirement("F004")
@pytest.mark.requirement("F073")
async def test_a_log_opens_with_the_openers_service_as_its_one_holder(door: Door) -> None:
    nurse = staff(NURSE)
    opened = await door.open(nurse)
    assert opened["holder"]["service"] == NURSE
    assert opened["holder"]["staff"] == nurse.actor.id
    assert opened["holder"]["acting"] is True
    seen = await door.get("log", staff(SCHOOL, "school"))
    assert (seen["holder"]["service"], seen["level"], seen["guide"]) == (NURSE, 1, DISTRICT)


@pytest.mark.requirement("F035")
@pytest.mark.requirement("F036")
async def test_no_log_is_made_below_the_level_from_which_the_guide_makes_them(door: Door, engine: AsyncEngine) -> None:
    refused = await door.ask("POST", "log", staff(NURSE), OPENING | {"level": 0})
    assert problem(refused) == (422, "level-too-low")
    assert await count(engine, log, door.subject) == 0


@pytest.mark.requirement("F034")
@pytest.mark.parametrize(
    ("guide", "level", "told"),
    [(DISTRICT, 3, None), (DISTRICT, 4, "unknown-level"), ("three-levels", 2, None),
     ("three-levels", 3, "unknown-level"), ("three-levels", 1, "level-too-low"), ("elsewhere", 1, "unknown-guide")],
)  # fmt: skip
async def test_the_levels_are_those_of_the_districts_guide(
    door: Door, guide: str, level: int, told: str | None
) -> None:
    answer = await door.ask("POST", "log", staff(NURSE), OPENING | {"guide": guide, "level": level})
    assert (None if answer.status_code == 201 else problem(answer)[1]) == told


async def test_only_a_service_opens_a_log(door: Door) -> None:
    assert problem(await door.ask("POST", "log", person(door.subject), OPENING)) == (403, "service-needed")


async def test_a_subject_has_one_open_log_also_when_two_open_it_at_once(door: Door, engine: AsyncEngine) -> None:
    answers = await asyncio.gather(
        *(door.ask("POST", "log", staff(service), OPENING) for service in (NURSE, SCHOOL, POLICE, NURSE))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {problem(answer)[1] for answer in answers if answer.status_code == 409} == {"log-already-open"}
    assert await count(engine, log, door.subject) == 1


@pytest.mark.requirement("F039")
async def test_the_level_goes_up_and_down_and_its_history_tells_who_why_and_when(door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    await door.post("log/level", nurse, {"level": 2, "decision": "Flere må inn."})
    after = await door.post("log/level", nurse, {"level": 1, "decision": "Skolen klarer det alene."})
    assert after["level"] == 1
    assert [step["level"] for step in after["levels"]] == [1, 2, 1]
    assert [step["reason"] for step in after["levels"]] == [
        "Vi vil hjelpe sammen.",
        "Flere må inn.",
        "Skolen klarer det alene.",
    ]
    assert {(step["by"]["id"], step["by"]["service"]) for step in after["levels"]} == {(nurse.actor.id, NURSE)}
    assert [step["at"] for step in after["levels"]] == sorted(step["at"] for step in after["levels"])
    assert {step["guide_version"] for step in after["levels"]} == {4}


async def test_only_people_of_the_holders_service_change_the_level(door: Door) -> None:
    await door.open(staff(NURSE))
    body = {"level": 2, "decision": "Flere må inn."}
    for other in (staff(SCHOOL), machine(NURSE), person(door.subject)):
        assert problem(await door.ask("POST", "log/level", other, body)) == (403, "not-the-holder")
    assert problem(await door.ask("POST", "log/level", staff(NURSE), body | {"level": 1})) == (409, "level-unchanged")
    assert problem(await door.ask("POST", "log/level", staff(NURSE), body | {"level": 7})) == (422, "unknown-level")


async def test_the_reason_of_a_level_is_seen_by_those_who_may_see_all_that_it_may_touch(door: Door) -> None:
    """Who decides with health and school before them may have written of both."""
    await door.open(staff(NURSE, "school", "health", "participants"))
    [wide] = (await door.get("log", staff(SCHOOL, "school", "health")))["levels"]
    assert wide["reason"] == "Vi vil hjelpe sammen."
    assert wide["categories"] == ["health", "school"]
    [narrow] = (await door.get("log", staff(SCHOOL, "school")))["levels"]
    assert "reason" not in narrow
    assert "categories" not in narrow


async def test_a_reason_that_names_its_category_is_seen_by_those_who_have_it(door: Door) -> None:
    await door.open(staff(NURSE, "school", "health"), category="school")
    [seen] = (await door.get("log", staff(SCHOOL, "school")))["levels"]
    assert seen["reason"] == "Vi vil hjelpe sammen."
    refused = await door.ask(
        "POST", "log/level", staff(NURSE, "school"), {"level": 2, "decision": "x", "category": "health"}
    )
    assert problem(refused) == (403, "category-not-granted")


async def test_without_a_permit_there_is_nothing_and_nothing_is_stored(door: Door, engine: AsyncEngine) -> None:
    """A permit to read does not write, and no permit at all finds nothing."""
    only_reads = await door.ask("POST", "log", staff(NURSE), OPENING, action="read")
    assert problem(only_reads) == (404, "not-found")
    bare = await door.client.post(f"/subjects/{door.subject}/log", json=OPENING)
    assert problem(bare) == (401, "not-signed")
    assert await count(engine, log, door.subject) == 0


async def test_somebody_with_several_services_says_for_which_they_act(door: Door) -> None:
    both = staff(NURSE, more=(SCHOOL,))
    assert problem(await door.ask("POST", "log", both, OPENING)) == (403, "service-needed")
    foreign = await door.ask("POST", "log", both, OPENING | {"service": POLICE})
    assert problem(foreign) == (403, "service-needed")
    assert (await door.open(both, service=SCHOOL))["holder"]["service"] == SCHOOL


@pytest.mark.requirement("F073")
async def test_the_database_itself_refuses_a_log_without_a_holder_and_one_with_two(
    door: Door, engine: AsyncEngine
) -> None:
    """Whatever a handler does wrong: a commit that would leave an open log without exactly one holder fails."""
    opened = await door.open(staff(NURSE))
    with pytest.raises(Exception, match="fk_log_one_holder"):
        async with engine.begin() as conn:
            await conn.execute(text("UPDATE holder SET until = now() WHERE log = :log"), {"log": opened["id"]})
    with pytest.raises(Exception, match="uq_holder_log_holds"):
        async with engine.begin() as conn:
            await conn.execute(holder.insert().values(id="second", log=opened["id"], service=SCHOOL, since=func.now()))
    with pytest.raises(Exception, match="fk_log_one_holder"):
        async with engine.begin() as conn:
            await conn.execute(
                log.insert().values(
                    id="alone", subject="nobody", plan_type="stafettlogg", guide=DISTRICT, level=1, number=0,
                    holder="missing", opened_at=func.now(),
                )
            )  # fmt: skip


async def test_a_closed_log_takes_nothing_more_and_makes_room_for_a_new_one(door: Door, engine: AsyncEngine) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    written = await door.entry(nurse)
    async with engine.begin() as conn:
        await conn.execute(log.update().where(log.c.subject == door.subject).values(closed_at=func.now()))
    refused = await door.ask("POST", "entries", nurse, {"category": "school", "text": "for sent"})
    assert problem(refused) == (404, "not-found")
    await door.open(staff(SCHOOL))
    later = await door.entry(nurse)
    found = await door.get("items", nurse)
    assert [each["id"] for each in found["items"]] == [written["id"], later["id"]]


@pytest.mark.requirement("F088")
async def test_words_are_stored_only_under_the_subjects_key(door: Door, engine: AsyncEngine) -> None:
    nurse = staff(NURSE)
    secret = "Hemmeligheten om fraværet"
    await door.open(nurse, decision=secret)
    goal = await door.goal(nurse, title=secret)
    await door.measure(nurse, goal["id"], title=secret)
    await door.entry(nurse, text=secret)
    async with engine.connect() as conn:
        for table in (item, level_change, outbox):
            rows = (await conn.execute(select(table))).all()
            assert rows
            kept = b"".join(value for row in rows for value in row if isinstance(value, bytes))
            assert kept
            assert secret.encode() not in kept
            assert secret not in str(rows)
