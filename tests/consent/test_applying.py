"""Another law table: whom it would touch is told in counts, and applied it ends what does not hold under it."""

import copy
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from consent import storage
from consent.handlers import applying
from consent.handlers.preview import preview
from consent.handlers.state import mark
from consent.handlers.tables import LAW, current_law
from consent.model.horizon import Topics
from consent.model.law import Law
from consent.model.law_file import parse
from tests.consent.callers import NURSE, POLICE, Case, Desk, asked, everybody, staff
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")
DATA = tomllib.loads(LAW.read_text("utf-8"))
CELLS = [asked(NURSE, "school", "health"), asked(POLICE, "school", actions=("read",))]


def changed(change: Callable[[dict[str, dict[str, Any]]], None]) -> Law:
    """The packaged table with a change to some rows, by their names."""
    data = copy.deepcopy(DATA)
    change({row["id"]: row for kind in ("answer", "sight", "record") for row in data[kind]})
    return parse(data)


def both_decide(rows: dict[str, dict[str, Any]]) -> None:
    rows["general-15-18"]["needs"] = ["subject", "guardians"]


def no_sight(rows: dict[str, dict[str, Any]]) -> None:
    rows["parental-general"]["actions"] = []


async def counts(desk: Desk, law: Law) -> dict[str, int]:
    async with desk.engine.connect() as conn:
        return await preview(conn, current_law(), law, datetime.now(UTC))


async def applied(desk: Desk, law: Law) -> None:
    async with desk.engine.begin() as conn:
        assert await applying.adopt(conn, law)
    await everybody(desk.engine, law)


async def back(desk: Desk) -> None:
    async with desk.engine.begin() as conn:
        await applying.adopt(conn, current_law())
    await everybody(desk.engine)


async def test_the_same_table_touches_nobody_and_another_says_how_many_and_never_whom(
    make_case: MakeCase, desk: Desk
) -> None:
    case = await make_case(15, cells=CELLS)
    await case.answer(case.subject)
    await back(desk)
    same = await counts(desk, current_law())
    assert same == {"subjects": same["subjects"], "touched": 0}
    before, version = await counts(desk, changed(both_decide)), (await desk.state(case.subject))["version"]
    other = await make_case(15, cells=CELLS)
    await other.answer(other.subject)
    after = await counts(desk, changed(both_decide))
    risen = {name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name, 0)}
    assert risen == {
        "subjects": 1, "touched": 1, "a consent ends, or goes on within other limits": 1, "others decide": 1,
    }  # fmt: skip
    assert (await desk.state(case.subject))["version"] == version
    sight = await counts(desk, changed(no_sight))
    assert sight["others' sight by law ends"] >= 2
    assert case.subject not in str(after)


async def test_applied_it_ends_the_grants_that_do_not_hold_and_takes_sight_away(
    make_case: MakeCase, desk: Desk
) -> None:
    case = await make_case(15, cells=CELLS)
    await case.answer(case.subject)
    await desk.confirm()
    assert {cell[1] for cell in await case.cells()} == {"school"}

    def both(rows: dict[str, dict[str, Any]]) -> None:
        both_decide(rows)
        no_sight(rows)

    law = changed(both)
    try:
        await applied(desk, law)
        assert await case.cells() == set()
        rows = await desk.rows(
            "SELECT count(*) FROM grants JOIN change ON change.id = ended WHERE grants.subject::text = :s"
            " AND change.kind = 'law'", s=case.subject,
        )  # fmt: skip
        assert rows[0][0] >= 1
        told = len(await case.events())
        await desk.confirm()
        assert set((await case.events())[told:]) == {"consent.withdrawn.v1"}
        async with desk.engine.connect() as conn:
            assert await storage.count_behind(conn) == 0
    finally:
        await back(desk)
    assert {cell[1] for cell in await case.cells()} == {"school"}


async def test_a_withdrawal_between_two_slices_stays_withdrawn(make_case: MakeCase, desk: Desk) -> None:
    case = await (await make_case(15, cells=CELLS)).everybody_agrees()
    await case.withdraw(case.subject, POLICE)
    await back(desk)
    assert {cell[0] for cell in await case.cells()} == {NURSE}
    assert (await case.seen_by(staff(NURSE)))["state"] in ("pending", "in-force")


async def test_somebody_new_is_under_the_newest_law_at_once(make_case: MakeCase, desk: Desk) -> None:
    await back(desk)
    case: Case = await make_case(15)
    [[generation, newest]] = await desk.rows(
        "SELECT subject.law_generation, leader.law_generation FROM subject, leader WHERE subject.id::text = :s",
        s=case.subject,
    )
    assert generation == newest


async def test_nobody_for_whom_gateways_hold_already_what_the_law_yields_gets_a_new_version(
    make_case: MakeCase, desk: Desk, engine: AsyncEngine
) -> None:
    await back(desk)
    touched, other = await make_case(15, cells=CELLS), await make_case(8, cells=CELLS)
    await touched.answer(touched.subject)
    both = (touched, other)
    topics = Topics()

    async def published() -> dict[str, int]:
        states = {one.subject: await desk.state(one.subject) for one in both}
        for offset, (subject, state) in enumerate(states.items()):
            topics.learn("consent.state.v1:0", offset, 1.0, subject, state["version"], mark(state))
        return {subject: state["version"] for subject, state in states.items()}

    def held(found: Mapping[str, Any]) -> bool:
        return topics.holds(found["subject"], found["version"], mark(found))

    async def applied_to(law: Law) -> dict[str, int]:
        before = await published()
        async with engine.begin() as conn:
            await storage.call_for_law(conn)
        await everybody(engine, law, held)
        async with engine.connect() as conn:
            assert await storage.count_behind(conn) == 0
        return {subject: (await desk.state(subject))["version"] - version for subject, version in before.items()}

    try:
        assert await applied_to(current_law()) == {touched.subject: 0, other.subject: 0}
        assert await applied_to(changed(both_decide)) == {touched.subject: 1, other.subject: 0}
        assert await applied_to(changed(no_sight)) == {touched.subject: 1, other.subject: 1}
        await published()
        await touched.withdraw(touched.subject, NURSE)
        assert held(await desk.state(other.subject))
        assert not held(await desk.state(touched.subject)), "a change that gateways have not heard of yet"
    finally:
        await back(desk)


async def test_some_are_taken_at_a_time_and_each_once(make_case: MakeCase, desk: Desk, engine: AsyncEngine) -> None:
    for _ in range(3):
        await make_case(15)
    await back(desk)
    async with engine.begin() as conn:
        await storage.call_for_law(conn)
        law, now = current_law(), datetime.now(UTC)
        first = await applying.some(conn, law, None, 2, now)
        second = await applying.some(conn, law, first[-1], 2, now)
        assert len(first) == 2
        assert len(second) >= 1
        assert not set(first) & set(second)
        assert not set(first) & set(await applying.some(conn, law, None, 2, now))
