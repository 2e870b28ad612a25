"""Withdrawing a part: one member of staff, what lies before a day, or what comes after one; the rest stays."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from consent.handlers import applying
from consent.handlers.tables import current_law
from tests.consent.callers import NURSE, POLICE, Case, Desk, everybody, problem
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")

TODAY = datetime.now(UTC).date()


async def grants_to(case: Case, service: str) -> list[dict[str, Any]]:
    return [grant for grant in await case.grants() if grant["recipient"] == f"service:{service}"]


async def cells_and(case: Case, service: str, field: str) -> set[tuple[str, str, Any]]:
    return {
        (category, action, tuple(grant[field]) if isinstance(grant[field], list) else grant[field])
        for grant in await grants_to(case, service)
        for category in grant["categories"]
        for action in grant["actions"]
    }


@pytest.mark.requirement("F083")
async def test_one_member_of_staff_is_left_out_and_the_others_of_the_service_go_on(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    before, others = await cells_and(case, POLICE, "except"), await grants_to(case, NURSE)
    old = {grant["id"] for grant in await grants_to(case, POLICE)}
    assert (await case.withdraw(case.subject, POLICE, staff="constable-7")).status_code == 202
    assert await cells_and(case, POLICE, "except") == {(c, a, ("constable-7",)) for c, a, _ in before}
    assert not old & {grant["id"] for grant in await grants_to(case, POLICE)}
    assert await grants_to(case, NURSE) == others


async def test_what_lies_before_a_day_is_taken_back_for_one_category_alone(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    assert (await case.withdraw(case.subject, POLICE, "health", back_to=TODAY.isoformat())).status_code == 202
    found = {category: back for category, _, back in await cells_and(case, POLICE, "back")}
    assert found["school"] is None
    local = datetime.fromtimestamp(found["health"], UTC)
    assert abs(local - datetime.combine(TODAY, datetime.min.time(), UTC)) <= timedelta(hours=2)


async def test_an_earlier_last_day_ends_the_grant_earlier_and_a_later_one_changes_nothing(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    ends = {until for _, _, until in await cells_and(case, POLICE, "until")}
    soon = TODAY + timedelta(days=7)
    assert (await case.withdraw(case.subject, POLICE, until=soon.isoformat())).status_code == 202
    [shorter] = {until for _, _, until in await cells_and(case, POLICE, "until")}
    assert shorter < min(ends)
    late = await case.withdraw(case.subject, POLICE, until=date(TODAY.year + 3, 1, 1).isoformat())
    assert problem(late) == (404, "not-found")
    assert {until for _, _, until in await cells_and(case, POLICE, "until")} == {shorter}


async def test_parts_add_up_and_the_same_part_again_is_the_same_act(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    first = (await case.withdraw(case.subject, POLICE, staff="constable-7")).json()
    await case.withdraw(case.subject, POLICE, staff="constable-8")
    assert {who for _, _, who in await cells_and(case, POLICE, "except")} == {("constable-7", "constable-8")}
    assert (await case.withdraw(case.subject, POLICE, staff="constable-7")).json() == first
    rows = await case.desk.rows("SELECT count(*) FROM narrowing WHERE subject::text = :s", s=case.subject)
    assert rows[0][0] == 2


async def test_a_new_yes_lifts_the_part_that_was_taken_back(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    before = await cells_and(case, POLICE, "except")
    await case.withdraw(case.subject, POLICE, staff="constable-7")
    await case.answer(case.guardians[0])
    assert {who for _, _, who in await cells_and(case, POLICE, "except")} == {("constable-7",)}, "another one's word"
    await case.answer(case.subject)
    assert await cells_and(case, POLICE, "except") == before


async def test_a_guardian_narrows_only_what_their_yes_was_needed_for(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    assert problem(await case.withdraw(case.guardians[0], NURSE, "school", staff="nurse-1")) == (404, "not-found")
    assert (await case.withdraw(case.guardians[0], NURSE, "health", staff="nurse-1")).status_code == 202
    found = {(category, who) for category, _, who in await cells_and(case, NURSE, "except")}
    assert found == {("school", ()), ("health", ("nurse-1",))}


async def test_the_whole_ends_also_what_was_narrowed(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    await case.withdraw(case.subject, POLICE, staff="constable-7")
    await case.withdraw(case.subject, POLICE)
    assert await grants_to(case, POLICE) == []


async def test_the_old_grant_is_told_as_withdrawn_and_the_narrower_one_as_granted(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    told = len(await case.events())
    await case.withdraw(case.subject, POLICE, "school", staff="constable-7")
    assert len(await case.events()) == told
    await case.desk.confirm()
    assert sorted(set((await case.events())[told:])) == ["consent.granted.v1", "consent.withdrawn.v1"]


@pytest.mark.parametrize(
    "part", [{"staff": ""}, {"staff": "Kari Nordmann"}, {"back_to": "yesterday"}, {"until": "2026-13-01"}]
)
async def test_a_part_that_cannot_be_read_changes_nothing(make_case: MakeCase, part: dict[str, str]) -> None:
    case = await (await make_case(15)).everybody_agrees()
    before = await case.grants()
    answer = await case.withdraw(case.subject, POLICE, **part)
    assert problem(answer) == (422, "invalid")
    assert next(iter(part.values())) == "" or next(iter(part.values())) not in answer.text
    assert await case.grants() == before


async def test_a_new_law_table_gives_every_subject_a_new_version_once(make_case: MakeCase, desk: Desk) -> None:
    case, law = await make_case(15), replace(current_law(), mark=str(uuid4())[:24])
    before = (await desk.state(case.subject))["version"]
    async with desk.engine.begin() as conn:
        assert await applying.adopt(conn, law)
    async with desk.engine.begin() as conn:
        assert not await applying.adopt(conn, law)
    await everybody(desk.engine, law)
    await everybody(desk.engine, law)
    [[pending]] = await desk.rows(
        "SELECT count(*) FROM change WHERE kind = 'law' AND subject::text = :s", s=case.subject
    )
    assert pending == 1
    assert (await desk.state(case.subject))["version"] == before + 1
