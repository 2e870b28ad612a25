"""What a write made or changed stands beside its look: once each, in order, and cut like the look itself."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from faststream.kafka import KafkaBroker, TestKafkaBroker
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import causes, events, tracing
from chassis.clock import rfc3339
from chassis.delivery import Delivery
from chassis.permit import Actor
from consent import messages, storage
from consent.handlers import checkpoints, ledger
from consent.handlers.ledger import Record
from consent.model.looks import Effect, made
from consent.model.notes import Signer
from consent.settings import Settings
from consent.subscribers import consent_broker
from tests.consent.callers import NAMES, NURSE, WELFARE, Case, asked, person, staff
from tests.consent.conftest import MakeCase
from tests.consent.looking import append, grants, look, looks

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
WRITTEN: dict[str, Any] = {"action": "contribute", "route": "logbook.add-entry"}


@pytest_asyncio.fixture(loop_scope="session")
async def broker(settings: Settings, engine: AsyncEngine) -> Any:
    """The real handlers behind FastStream's in-memory broker, on the real database."""
    made_ = consent_broker(settings, tracing.setup("consent", "test"), Delivery("consent"), engine)
    async with TestKafkaBroker(made_) as running:
        yield running


def happened(subject: str, record: str | None, category: str | None = "school", **more: Any) -> dict[str, Any]:
    """Data of an event of the logbook."""
    log = str(uuid4())
    return {
        "subject": subject, "log": log, "item": log if category is None else str(uuid4()), "category": category,
        "actor": {"kind": "staff", "id": "staff-1", "services": [NURSE]}, "at": rfc3339(NOW), "record": record,
    } | more  # fmt: skip


async def tell(
    broker: KafkaBroker, data: dict[str, Any], kind: str = "entry.added.v1", *, event: str | None = None,
    number: int = 1,
) -> None:  # fmt: skip
    """The event, as the logbook's relay puts it on the bus."""
    sent = events.Event(event or str(uuid4()), kind, "/samlogg/logbook", data["subject"], NOW, data, number)
    headers = {name: value.decode() for name, value in events.headers(sent)}
    await broker.publish(events.value(sent), topic=messages.LOGBOOK, key=sent.key.encode(), headers=headers)


async def family(make_case: MakeCase) -> tuple[Case, dict[str, str]]:
    """The mother was asked about the nurse; child welfare takes part, and she may not know."""
    cells = [asked(NURSE, "school", "health"), asked(WELFARE, "participants")]
    case = await (await make_case(15, cells=cells)).everybody_agrees()
    return case, await grants(case)


async def written(case: Case, grant: str, *categories: str) -> Record:
    """A write of the nurse, in the ledger."""
    record = look(case.subject, staff(NURSE), *categories, grants=(grant,), **WRITTEN)
    await append(case, record)
    return record


async def told(case: Case, actor: Actor, *categories: str, **query: str) -> dict[str, list[dict[str, Any]]]:
    """By look, what the list says that it made."""
    return {one["id"]: one["made"] for one in (await looks(case, actor, *categories, **query))["items"]}


async def kept(engine: AsyncEngine, subject: str) -> Sequence[Any]:
    async with engine.connect() as conn:
        return (await conn.execute(text("SELECT * FROM made WHERE subject = :s"), {"s": subject})).all()


@pytest.mark.requirement("F204")
@pytest.mark.requirement("F176")
async def test_a_write_in_the_list_says_which_item_it_made_and_a_read_that_it_made_none(
    make_case: MakeCase, broker: KafkaBroker
) -> None:
    case, of = await family(make_case)
    write, read = await written(case, of[NURSE], "school"), look(case.subject, staff(NURSE), grants=(of[NURSE],))
    await append(case, read)
    data = happened(case.subject, write.id)
    await tell(broker, data)
    me = person(case.subject)
    assert await told(case, me) == {write.id: [{"what": "entry-added", "item": data["item"]}], read.id: []}
    assert await told(case, me, action="contribute") == {write.id: [{"what": "entry-added", "item": data["item"]}]}


@pytest.mark.requirement("F204")
async def test_whichever_comes_first_the_look_or_what_it_made(make_case: MakeCase, broker: KafkaBroker) -> None:
    case, of = await family(make_case)
    write = look(case.subject, staff(NURSE), "school", grants=(of[NURSE],), **WRITTEN)
    data = happened(case.subject, write.id)
    await tell(broker, data, "goal.set.v1")
    assert await told(case, person(case.subject)) == {}
    await append(case, write)
    assert await told(case, person(case.subject)) == {write.id: [{"what": "goal-set", "item": data["item"]}]}


@pytest.mark.requirement("F204")
async def test_an_event_that_comes_again_adds_nothing(
    make_case: MakeCase, broker: KafkaBroker, engine: AsyncEngine
) -> None:
    case, of = await family(make_case)
    write, event = await written(case, of[NURSE], "school"), str(uuid4())
    data = happened(case.subject, write.id)
    for _ in range(3):
        await tell(broker, data, event=event)
    assert len((await told(case, person(case.subject)))[write.id]) == 1
    async with engine.connect() as conn:
        handled = await conn.execute(text("SELECT count(*) FROM inbox WHERE event = :e"), {"e": event})
        assert handled.scalar() == 1


async def test_the_inbox_row_and_what_was_made_are_one_transaction(
    make_case: MakeCase, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two: neither is there, and the next delivery does both."""
    case, of = await family(make_case)
    write, event = await written(case, of[NURSE], "school"), str(uuid4())
    data = happened(case.subject, write.id)

    async def dies(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(storage, "keep_made", dies)
        with pytest.raises(RuntimeError):
            await tell(broker, data, event=event)
    await tell(broker, data, event=event)
    assert len((await told(case, person(case.subject)))[write.id]) == 1


@pytest.mark.requirement("F204")
async def test_several_events_of_one_write_are_all_told_in_the_order_of_the_log(
    make_case: MakeCase, broker: KafkaBroker
) -> None:
    case, of = await family(make_case)
    write = await written(case, of[NURSE], "school")
    kinds = ["log.opened.v1", "goal.set.v1", "meeting.called-off.v1"]
    for number in (12, 11, 10):  # not in the order of their digits either
        category = None if number == 10 else "school"
        await tell(broker, happened(case.subject, write.id, category), kinds[number - 10], number=number)
    found = (await told(case, person(case.subject)))[write.id]
    assert [one["what"] for one in found] == ["log-opened", "goal-set", "meeting-called-off"]
    assert [one["item"] is None for one in found] == [True, False, False]


@pytest.mark.requirement("F204")
@pytest.mark.requirement("F176")
async def test_what_was_made_is_cut_as_its_look_is(make_case: MakeCase, broker: KafkaBroker) -> None:
    """The mother may see school alone: of a write that touched health too, she is told of the school's item only."""
    case, of = await family(make_case)
    mother, me = person(case.guardians[0]), person(case.subject)
    both = await written(case, of[NURSE], "school", "health")
    secret = look(case.subject, staff(WELFARE), "participants", grants=(of[WELFARE],), **WRITTEN)
    await append(case, secret)
    school, health = happened(case.subject, both.id), happened(case.subject, both.id, "health")
    await tell(broker, school, number=1)
    await tell(broker, health, number=2)
    await tell(broker, happened(case.subject, both.id, None), "log.level-changed.v1", number=3)
    await tell(broker, happened(case.subject, secret.id, "participants"))
    assert await told(case, mother, "school") == {both.id: [{"what": "entry-added", "item": school["item"]}]}
    assert [one["item"] for one in (await told(case, mother, "school", "health"))[both.id]] == [
        school["item"], health["item"], None,
    ]  # fmt: skip
    whole = await told(case, me)
    assert [one["what"] for one in whole[both.id]] == ["entry-added", "entry-added", "log-level-changed"]
    assert len(whole[secret.id]) == 1


async def test_ones_own_write_is_told_whole(make_case: MakeCase, broker: KafkaBroker) -> None:
    case, _ = await family(make_case)
    mother = person(case.guardians[0])
    write = look(case.subject, mother, "health", **WRITTEN)
    await append(case, write)
    await tell(broker, happened(case.subject, write.id, "health"), "highlight.added.v1")
    assert [one["what"] for one in (await told(case, mother, "school"))[write.id]] == ["highlight-added"]


async def test_an_event_about_somebody_else_says_nothing_here(make_case: MakeCase, broker: KafkaBroker) -> None:
    case, of = await family(make_case)
    write = await written(case, of[NURSE], "school")
    await tell(broker, happened(str(uuid4()), write.id))
    assert await told(case, person(case.subject)) == {write.id: []}


@pytest.mark.requirement("F176")
async def test_files_say_what_was_made_but_the_proved_list_is_as_it_was(
    make_case: MakeCase, broker: KafkaBroker
) -> None:
    case, of = await family(make_case)
    write = await written(case, of[NURSE], "school")
    data = happened(case.subject, write.id)
    await tell(broker, data)

    async def export(query: str) -> Any:
        answer = await case.desk.ask(
            "GET", f"{case.path}/looks/export?{query}", person(case.subject), subject=case.subject,
            permit=case.permit("looks"),
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer

    async with case.desk.engine.begin() as conn:
        await checkpoints.sign(conn, Signer("samlogg.test/ledger", b"l" * 32), datetime.now(UTC))
    expected = [{"what": "entry-added", "item": data["item"]}]
    assert [one["made"] for one in (await export("action=contribute")).json()["items"]] == [expected]
    rows = (await export("format=csv")).json()
    assert [one["made"] for one in rows["items"]] == [expected]
    columns = [(one["title"], one["field"]) for one in rows["paper"]["columns"]]
    assert {("made", "made.what"), ("items", "made.item")} <= set(columns)
    proved = (await export("format=json")).json()["paper"]["content"]
    assert write.id in proved
    assert data["item"] not in proved
    assert '"made"' not in proved


async def test_events_from_before_records_were_said_and_types_that_came_later_pass(
    make_case: MakeCase, broker: KafkaBroker, engine: AsyncEngine
) -> None:
    case, of = await family(make_case)
    write = await written(case, of[NURSE], "school")
    before = happened(case.subject, None)
    del before["record"]
    await tell(broker, before)
    await tell(broker, happened(case.subject, write.id), "something.new.v7")
    await tell(broker, happened(case.subject, write.id, novelty={"deep": [1]}))
    assert len(await kept(engine, case.subject)) == 1


async def test_an_event_that_cannot_be_read_is_not_taken_and_its_reason_holds_no_input(
    make_case: MakeCase, broker: KafkaBroker, engine: AsyncEngine
) -> None:
    case, _ = await family(make_case)
    with pytest.raises(ValidationError) as caught:
        await tell(broker, happened(case.subject, "a record", item="HEMMELIG"))
    reason = causes.reason(caught.value)
    assert "HEMMELIG" not in reason
    assert "item" in reason
    assert not await kept(engine, case.subject)


async def test_only_ids_and_codes_are_kept_and_erasure_takes_them(
    make_case: MakeCase, broker: KafkaBroker, engine: AsyncEngine
) -> None:
    case, of = await family(make_case)
    other, _ = await family(make_case)
    write, event = await written(case, of[NURSE], "school"), str(uuid4())
    data = happened(case.subject, write.id, text="HEMMELIG", title="HEMMELIG")
    await tell(broker, data, event=event, number=7)
    await tell(broker, happened(other.subject, str(uuid4())))
    [row] = await kept(engine, case.subject)
    assert dict(row._mapping) == {
        "above": [],
        "event": event, "record": write.id, "subject": row.subject, "item": row.item, "category": "school",
        "type": "entry.added.v1", "number": 7, "at": NOW,
    }  # fmt: skip
    assert (str(row.subject), str(row.item)) == (case.subject, data["item"])
    async with engine.begin() as conn:
        await ledger.erase(conn, NAMES, case.subject)
    assert not await kept(engine, case.subject)
    assert len(await kept(engine, other.subject)) == 1
    await tell(broker, data, event=event)  # what was handled does not bring it back
    assert not await kept(engine, case.subject)


async def test_of_a_cut_look_only_items_of_what_is_left_are_told() -> None:
    effects = [Effect("entry.added.v1", "a", "school"), Effect("log.opened.v1", None, None)]
    whole = [{"what": "entry-added", "item": "a"}, {"what": "log-opened", "item": None}]
    assert made(effects) == whole
    assert made(effects, ["school"], ["school"]) == whole
    assert made(effects, ["school", "health"], ["school"]) == whole[:1]
    assert made(effects, ["school", "health"], ["health"]) == []
    assert made(effects, ["health"], ["health"]) == whole[1:]
    assert made([], ["school"], ["school"]) == []
