"""Each event of a write says which access record the write has; nobody outside is told."""

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from logbook import messages
from logbook.storage import outbox
from tests.logbook.callers import DISTRICT, NURSE, Door, ahead, soon, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def events(engine: AsyncEngine, subject: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and data of the events about the subject, in their order."""
    query = select(outbox.c.type, outbox.c.payload).where(outbox.c.aggregateid == subject).order_by(outbox.c.seq)
    async with engine.connect() as conn:
        return [(row.type, json.loads(row.payload)) for row in await conn.execute(query)]


@pytest.mark.requirement("F204")
async def test_every_write_leaves_its_record_on_its_event_and_in_no_answer(engine: AsyncEngine, door: Door) -> None:
    nurse, sent = staff(NURSE), []

    async def write(rest: str, body: Any = None, *, tag: str | None = None) -> Any:
        record = str(uuid4())
        answer = await door.ask("POST", rest, nurse, body, if_match=tag, record=record)
        assert answer.status_code in (200, 201), answer.text
        assert record not in answer.text + str(answer.headers)
        sent.append(record)
        return answer.json()

    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "decision": "Vi vil hjelpe sammen."}
    await write("log", opening)
    goal = (await write("goals", {"title": "Flere dager", "category": "school"}))["id"]
    planned = {"goal": goal, "title": "Ved porten", "category": "school", "responsible": f"service:{NURSE}"}
    measure = (await write("measures", planned))["id"]
    tag = await door.tag(measure, nurse)
    await write(f"measures/{measure}/start", {"evaluate_on": ahead()}, tag=tag)
    await write("entries", {"category": "school", "text": "Avtalt."})
    meeting = {"title": "Hvordan går det?", "category": "school", "meet_at": soon(), "place": None}
    called = (await write("meetings", meeting))["id"]
    await write(f"meetings/{called}/call-off", tag=await door.tag(called, nurse))
    await write("log/level", {"level": 2, "decision": "Mer hjelp."})
    found = await events(engine, door.subject)
    assert [kind for kind, _ in found] == [
        messages.LOG_OPENED, messages.GOAL_SET, messages.MEASURE_PLANNED, messages.MEASURE_STARTED,
        messages.ENTRY_ADDED, messages.MEETING_PLANNED, messages.MEETING_CALLED_OFF, messages.LEVEL_CHANGED,
    ]  # fmt: skip
    assert [data["record"] for _, data in found] == sent


async def test_a_repeated_write_leaves_no_second_event_and_so_no_second_record(engine: AsyncEngine, door: Door) -> None:
    nurse = staff(NURSE)
    await door.open(nurse)
    body, first, second = {"category": "school", "text": "Avtalt."}, str(uuid4()), str(uuid4())
    for record in (first, second):
        assert (await door.ask("POST", "entries", nurse, body, key="k", record=record)).status_code == 201
    records = [data["record"] for kind, data in await events(engine, door.subject) if kind == messages.ENTRY_ADDED]
    assert records == [first]
