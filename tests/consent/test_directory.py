"""What consent keeps of the directory: newer states only; unreadable ones close; new categories reach everybody."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events
from consent import storage
from consent.handlers import directory
from consent.handlers.directory import Entry
from consent.subscribers import to_entry
from tests.consent.callers import NURSE, Desk, a_request, asked, everybody, problem, staff
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def category(id_: str, version: int, *, special: Any = False) -> Entry:
    return Entry("category", id_, version, {"version": version, "kind": "category", "id": id_, "special": special})


async def keep(engine: AsyncEngine, *entries: Entry) -> int:
    async with engine.begin() as conn:
        return await directory.keep(conn, entries)


async def known(engine: AsyncEngine) -> dict[str, bool]:
    async with engine.connect() as conn:
        return {id_: found.special for id_, found in (await storage.categories(conn)).items()}


async def test_an_older_state_changes_nothing(engine: AsyncEngine) -> None:
    await keep(engine, category("older", 5, special=True))
    assert await keep(engine, category("older", 4)) == 0
    assert (await known(engine))["older"] is True
    assert await keep(engine, category("older", 5)) == 0
    await keep(engine, category("older", 6), category("older", 5, special=True))
    assert (await known(engine))["older"] is False


async def test_an_unknown_classification_counts_as_special(engine: AsyncEngine) -> None:
    for version, special in enumerate((None, "no", 0, True), start=1):
        await keep(engine, category("unsure", version, special=special))
        assert (await known(engine))["unsure"] is True


async def test_an_unreadable_state_closes_its_key_until_a_readable_one_that_is_not_older(
    engine: AsyncEngine, desk: Desk
) -> None:
    await keep(engine, category("closing", 3))
    await keep(engine, Entry("category", "closing", 0, None))
    assert "closing" not in await known(engine)
    body = a_request(15, cells=[asked(NURSE, "closing")])
    assert problem(await desk.ask("POST", "/requests", staff(NURSE), body)) == (422, "category-unknown")
    await keep(engine, category("closing", 2))
    assert "closing" not in await known(engine)
    await keep(engine, category("closing", 3))
    assert "closing" in await known(engine)


async def test_reading_the_topic_again_from_its_beginning_changes_nothing(engine: AsyncEngine) -> None:
    history = (category("again", 1), Entry("category", "again", 0, None), category("again", 2))
    assert await keep(engine, *history) == 1
    assert await keep(engine, *history) == 0


async def test_a_new_category_gives_every_subject_a_new_state(make_case: MakeCase, engine: AsyncEngine) -> None:
    case = await make_case(15)
    before = await case.desk.state(case.subject)
    await keep(engine, category("brand-new", 1))
    await everybody(engine)
    after = await case.desk.state(case.subject)
    assert after["version"] == before["version"] + 1
    own = {c for g in after["grants"] if g["kind"] == "self" for c in g["categories"]}
    assert "brand-new" in own
    [[kind, state]] = await case.desk.rows(
        "SELECT kind, state FROM change WHERE subject::text = :s AND version = :v", s=case.subject, v=after["version"]
    )
    assert (kind, state) == ("law", "pending")
    await case.desk.confirm()
    await keep(engine, category("brand-new", 2))
    await everybody(engine)
    assert (await case.desk.state(case.subject))["version"] == after["version"]


async def test_a_service_that_is_no_longer_active_can_be_asked_for_nothing(engine: AsyncEngine, desk: Desk) -> None:
    body = {"version": 1, "kind": "service", "id": "closed", "active": False, "agency": "a", "name": {"nb": "x"}}
    await keep(engine, Entry("service", "closed", 1, body))
    answer = await desk.ask("POST", "/requests", staff(NURSE), a_request(15, cells=[asked("closed", "school")]))
    assert problem(answer) == (422, "service-unknown")


def raw(key: str, event: events.Event | None, value: bytes | None = None) -> Any:
    body = value if event is None else events.value(event)
    headers = () if event is None else events.headers(event)
    return ConsumerRecord("directory.state.v1", 0, 7, 0, 0, key.encode(), body, None, 1, 1, headers)


def published(key: str, version: int, *named: str, type_: str = "directory.state.v1") -> Any:
    """A state of the directory; `named` is what its value says kind and id are."""
    data = {"version": version} | dict(zip(("kind", "id"), named, strict=False))
    return raw(key, events.new_event("directory", type_, key, data, NOW))


async def test_records_of_categories_and_services_are_read_and_others_left_alone() -> None:
    found = to_entry(published("category:school", 2, "category", "school"))
    assert found is not None
    assert (found.kind, found.id, found.version) == ("category", "school", 2)
    for key in ("district:1", "!barrier", "", "category:", "category:" + "x" * 65):
        assert to_entry(published(key, 1)) is None


async def test_of_staff_nothing_is_kept_but_whether_they_work_here() -> None:
    data = {
        "version": 2, "kind": "staff", "id": "1", "services": ["x"], "role": "leader", "identity": "9f", "active": True,
    }  # fmt: skip
    event = events.new_event("directory", "directory.state.v1", "staff:1", data, NOW)
    assert to_entry(raw("staff:1", event)) == Entry("staff", "1", 2, {"active": True})
    assert to_entry(raw("staff:1", None, b"{")) == Entry("staff", "1", 0, None)


async def test_a_record_that_cannot_be_read_closes_its_key() -> None:
    bad = [
        raw("category:school", None, b"{"), raw("category:school", None, None), published("category:school", 1),
        published("category:school", -1, "category", "school"),
        published("category:school", 1, "category", "health"),
        published("category:school", 1, "category", "school", type_="directory.state.v2"),
    ]  # fmt: skip
    for record in bad:
        assert to_entry(record) == Entry("category", "school", 0, None)
