"""The tables that the migrations make, the words in them, and what an erased key leaves."""

from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import KeyGone, SubjectKeys
from logbook import messages
from logbook.storage import metadata, outbox
from logbook.storage.tables import item
from tests.logbook.callers import NURSE, SCHOOL, Door, ahead, person, soon, staff

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_migrations_make_exactly_the_tables_that_the_code_knows(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with engine.connect() as conn:
        assert await conn.run_sync(differences) == []


async def told(engine: AsyncEngine, subject: str) -> list[Any]:
    """What waits in the outbox about this subject, in order."""
    query = select(outbox).where(outbox.c.aggregateid == subject).order_by(outbox.c.seq)
    async with engine.connect() as conn:
        return list((await conn.execute(query)).mappings())


async def test_every_write_tells_the_bus_once_in_order_and_without_content(
    door: Door, engine: AsyncEngine, take_part: Any
) -> None:
    nurse, school, youth = staff(NURSE), staff(SCHOOL, "school"), person(door.subject, "school")
    await take_part(SCHOOL, "school")
    opened = await door.open(nurse, decision="HEMMELIG")
    await door.post("log/level", nurse, {"level": 2, "decision": "HEMMELIG"})
    goal = await door.goal(school, title="HEMMELIG")
    given = await door.measure(
        school, goal["id"], title="HEMMELIG", evaluate_on=None, responsible=f"person:{door.subject}"
    )
    for path, caller, body in (
        ("start", school, {"evaluate_on": ahead()}),
        ("acceptance", youth, None),
        ("evaluation", school, {"outcome": "end", "text": "HEMMELIG"}),
    ):
        seen = (await door.ask("GET", f"items/{given['id']}", caller)).headers["etag"]
        await door.post(f"measures/{given['id']}/{path}", caller, body, if_match=seen)
    entry = await door.entry(nurse, "health", "HEMMELIG")
    highlight = await door.post("highlights", youth, {"category": "school", "text": "HEMMELIG"})
    meeting = await door.meeting(school, title="HEMMELIG", place="HEMMELIG")
    for path, caller, body in (("move", nurse, {"meet_at": soon(9), "place": "HEMMELIG"}), ("call-off", school, None)):
        seen = await door.tag(meeting["id"], caller)
        await door.post(f"meetings/{meeting['id']}/{path}", caller, body, if_match=seen)
    await door.post("log/handover", nurse, {"to_service": SCHOOL})
    await door.post("log/handover/accept", school)
    [evaluation] = (await door.get("items?kind=evaluation", school))["items"]

    rows = await told(engine, door.subject)
    nurse_acts, school_acts = ("staff", f"staff-{NURSE}", [NURSE]), ("staff", f"staff-{SCHOOL}", [SCHOOL])
    youth_acts: tuple[str, str, list[str]] = ("person", door.subject, [])
    expected = [
        ("log.opened.v1", opened["id"], None, nurse_acts), ("log.level-changed.v1", opened["id"], None, nurse_acts),
        ("goal.set.v1", goal["id"], "school", school_acts), ("measure.planned.v1", given["id"], "school", school_acts),
        ("measure.started.v1", given["id"], "school", school_acts),
        ("measure.accepted.v1", given["id"], "school", youth_acts),
        ("measure.evaluated.v1", evaluation["id"], "school", school_acts),
        ("entry.added.v1", entry["id"], "health", nurse_acts),
        ("highlight.added.v1", highlight["id"], "school", youth_acts),
        ("meeting.planned.v1", meeting["id"], "school", school_acts),
        ("meeting.moved.v1", meeting["id"], "school", nurse_acts),
        ("meeting.called-off.v1", meeting["id"], "school", school_acts),
        ("holder.changed.v1", opened["id"], None, school_acts),
    ]  # fmt: skip
    found = []
    for row in rows:
        data = messages.PUBLISHED[messages.TOPIC][row["type"]].model_validate_json(row["payload"])
        assert (data.subject, data.log) == (door.subject, opened["id"])
        found.append((row["type"], data.item, data.category, (data.actor.kind, data.actor.id, data.actor.services)))
    assert found == expected
    versions = [int(row["headers"]["ce_aggregateversion"]) for row in rows]
    assert versions == sorted(set(versions))
    assert {row["aggregatetype"] for row in rows} == {messages.TOPIC}
    assert "HEMMELIG" not in str(rows)
    assert len({row["id"] for row in rows}) == len(rows)


async def test_a_write_that_fails_leaves_no_event_and_no_row(
    door: Door, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the row and its event: neither is there (rule 8)."""
    nurse = staff(NURSE)
    await door.open(nurse)

    async def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr("logbook.handlers.work.announce", dies)
        answer = await door.ask("POST", "entries", nurse, {"category": "school", "text": "borte"}, key="k")
    assert answer.status_code == 500
    assert "borte" not in answer.text
    assert (await door.get("items", nurse))["items"] == []
    assert [row["type"] for row in await told(engine, door.subject)] == ["log.opened.v1"]
    again = await door.ask("POST", "entries", nurse, {"category": "school", "text": "borte"}, key="k")
    assert again.status_code == 201


async def test_sealed_words_cannot_be_moved_to_another_item(door: Door, engine: AsyncEngine, keys: SubjectKeys) -> None:
    """Whoever can write the database cannot show a health text as one of school."""
    nurse = staff(NURSE)
    await door.open(nurse)
    health, school = await door.entry(nurse, "health", "Om søvn."), await door.entry(nurse)
    async with engine.begin() as conn:
        words = await conn.scalar(select(item.c.text).where(item.c.id == health["id"]))
        assert words is not None
        assert await keys.open(door.subject, words, f"item.text/{health['id']}") == "Om søvn."
        with pytest.raises(KeyGone):
            await keys.open(door.subject, words, f"item.text/{school['id']}")
        with pytest.raises(KeyGone):
            await keys.open(str(uuid4()), words, f"item.text/{health['id']}")
        await conn.execute(item.update().where(item.c.id == school["id"]).values(text=words))
    assert (await door.get(f"items/{school['id']}", staff(SCHOOL, "school")))["text"] is None


async def test_with_the_key_destroyed_the_words_are_gone_and_the_rest_still_answers(
    engine: AsyncEngine, settings: Any, keys: SubjectKeys, client: Any
) -> None:
    from logbook import handlers
    from tests.logbook.callers import EVERYTHING

    door, nurse = Door(client), staff(NURSE, *EVERYTHING)
    await door.open(nurse)
    goal, entry, meeting = await door.goal(nurse), await door.entry(nurse), await door.meeting(nurse)
    await keys.destroy(door.subject)
    found, _ = await handlers.read_items(
        engine, keys, nurse.permit(door.subject, "read"), kind=None, due_by=None, after=None, limit=10
    )
    async with engine.connect() as conn:
        view = await handlers.log_view(conn, keys, nurse.permit(door.subject, "read"), found[0].at)
    assert [(each.id, each.title, each.text, each.place) for each in found] == [
        (made["id"], None, None, None) for made in (goal, entry, meeting)
    ]
    assert view is not None
    assert [change.reason for change in view.levels] == [None]
    assert [each.title for each in view.goals] == [None]
    assert view.next_meeting is not None
    assert (view.next_meeting.id, view.next_meeting.title) == (meeting["id"], None)
