"""What is recorded of a subject: who may, what it ends at once, and what it never tells."""

from typing import Any

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from tests.consent.callers import NURSE, POLICE, WELFARE, Case, ahead, asked, person, problem, somebody, staff
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")
WORKER, LEADER = staff(WELFARE), staff(WELFARE, role="leader")
CELLS = [asked(NURSE, "school", "health"), asked(POLICE, "school", "health", actions=("read",))]


async def record(
    case: Case, kind: str, value: str, *people: dict[str, Any], by: Any = None, confirm: bool = True, **more: Any
) -> httpx.Response:
    body = {
        "kind": kind, "value": value, "begins": "2026-01-01", "people": list(people), "reference": "BHN-2026-114",
    } | more  # fmt: skip
    done = await case.desk.ask("POST", f"{case.path}/facts", by or WORKER, body, subject=case.subject)
    if confirm:
        await case.desk.confirm()
    return done


async def welfare_case(make_case: MakeCase, age: int = 15, **more: Any) -> Case:
    """A case that child welfare has asked about: its services are those of the nurse and the police."""
    case = await make_case(age, cells=CELLS, **more)
    more_asked = {**case.body, "cells": [asked(WELFARE, "leisure", actions=("read",))]}
    done = await case.desk.ask("POST", "/requests", WORKER, more_asked)
    assert done.status_code == 201, done.text
    await case.desk.confirm()
    return case


async def by_law(case: Case) -> dict[str, set[str]]:
    """Who sees what by law now, by person."""
    found: dict[str, set[str]] = {}
    for grant in (await case.desk.state(case.subject))["grants"]:
        if grant["kind"] == "parental":
            found.setdefault(grant["recipient"].removeprefix("person:"), set()).update(grant["categories"])
    return found


async def test_a_father_who_no_longer_holds_responsibility_loses_sight_with_the_next_state_and_decides_nothing(
    make_case: MakeCase,
) -> None:
    case = await welfare_case(make_case, 10)
    mother, father = case.guardians
    assert set(await by_law(case)) == {mother, father}
    await case.answer(mother)
    assert await case.cells() == set()
    done = await record(case, "responsibility", "mor", case.body["guardians"][0])
    assert done.status_code == 202
    assert set(await by_law(case)) == {mother}
    assert (NURSE, "health", "read") in await case.cells()
    assert [(one["person"], one["state"]) for one in (await case.seen_by(staff(NURSE)))["answers"]] == [
        (mother, "answered")
    ]


async def test_a_fact_ends_the_grants_that_do_not_hold_under_it(make_case: MakeCase) -> None:
    case = await (await welfare_case(make_case, 10)).everybody_agrees()
    before = await case.cells()
    assert before
    uncle = somebody(50)
    done = await record(case, "responsibility", "felles", case.body["guardians"][0], uncle, confirm=False)
    assert done.json()["status"] == "pending"
    assert await case.cells() == set()
    assert (await case.seen_by(staff(NURSE)))["state"] == "pending"
    told = len(await case.events())
    await case.desk.confirm()
    assert set((await case.events())[told:]) == {"consent.withdrawn.v1", "consent.requested.v1"}  # the uncle is asked
    assert (await case.seen_by(staff(NURSE)))["state"] == "waiting"
    await case.answer(await case.person(uncle["national_id"]))
    assert {cell for cell in before if cell[0] != WELFARE} <= await case.cells()


async def test_where_nobody_knows_who_holds_responsibility_nothing_is_granted_and_it_waits(
    make_case: MakeCase,
) -> None:
    case = await (await welfare_case(make_case, 10)).everybody_agrees()
    await record(case, "responsibility", "ukjent")
    assert await case.cells() == set()
    assert await by_law(case) == {}
    seen = await case.seen_by(staff(NURSE))
    assert (seen["state"], seen["answers"]) == ("waiting", [])


async def test_after_a_care_order_child_welfare_answers_and_the_parents_neither_answer_nor_see(
    make_case: MakeCase,
) -> None:
    case = await (await welfare_case(make_case, 10)).everybody_agrees()
    carer = somebody(40)
    await record(case, "care", "child-welfare", carer)
    named = await case.person(carer["national_id"])
    assert await case.cells() == set()
    seen = await by_law(case)
    assert set(seen) == {named}
    assert {"school", "leisure", "looks", "grants"} <= seen[named]
    assert not {"health", "police", "participants"} & seen[named]
    await case.answer(named)
    await case.desk.confirm()
    assert (NURSE, "health", "read") in await case.cells()
    rows = await case.desk.rows(
        "SELECT granted_by FROM grants WHERE subject::text = :s AND ended IS NULL", s=case.subject
    )
    assert {one["capacity"] for row in rows for one in row.granted_by} == {"representative"}


@pytest.mark.requirement("F096")
async def test_a_decision_makes_a_child_under_fifteen_a_party_and_is_kept_with_its_reference(
    make_case: MakeCase,
) -> None:
    case = await (await welfare_case(make_case, 11)).everybody_agrees()
    mother = case.guardians[0]
    assert "health" in (await by_law(case))[mother]
    done = await record(case, "party", "decision", what="health")
    assert done.status_code == 202
    seen = (await by_law(case))[mother]
    assert {"school", "leisure", "police", "participants", "looks", "grants"} <= seen
    assert "health" not in seen
    assert {cell[1] for cell in await case.cells()} == {"school"}
    await case.answer(case.subject, only={"category": "health"})
    assert (NURSE, "health", "read") in await case.cells()
    own = [g for g in (await case.desk.state(case.subject))["grants"] if g["kind"] == "self" and "health" in
           g["categories"]]  # fmt: skip
    assert {tuple(g["actions"]) for g in own} == {("read",), ("read", "contribute")}
    shown = await case.desk.ask("GET", f"{case.path}/facts", WORKER, subject=case.subject)
    [fact] = shown.json()["items"]
    assert (fact["reference"], fact["what"], fact["source"]) == ("BHN-2026-114", "health", f"asker:{WELFARE}")
    [[stored]] = await case.desk.rows("SELECT reference FROM law_fact WHERE subject::text = :s", s=case.subject)
    assert b"BHN" not in stored


async def test_for_an_adult_without_capacity_whom_the_decision_names_answers_and_their_own_no_stops(
    make_case: MakeCase,
) -> None:
    case = await welfare_case(make_case, 30, guardians=[])
    await case.answer(case.subject)
    assert (NURSE, "health", "read") in await case.cells()
    helper = somebody(55)
    await record(case, "capacity", "lacking", helper, by=LEADER)
    assert await case.cells() == set()
    named = await case.person(helper["national_id"])
    await case.answer(named)
    assert (NURSE, "health", "read") in await case.cells()
    await case.answer(case.subject, "no", only={"category": "health"})
    assert (NURSE, "health", "read") not in await case.cells()
    assert (NURSE, "school", "read") in await case.cells()


async def test_a_fact_holds_from_its_first_day_until_its_last_and_the_grants_know_it(make_case: MakeCase) -> None:
    case = await (await welfare_case(make_case, 10)).everybody_agrees()
    mother, father = case.guardians
    done = await record(case, "responsibility", "mor", case.body["guardians"][0], begins=ahead(30))
    assert done.status_code == 202
    ends = {g["recipient"]: g["until"] for g in (await case.desk.state(case.subject))["grants"]
            if g["kind"] == "parental" and "school" in g["categories"]}  # fmt: skip
    assert ends[f"person:{father}"] < ends[f"person:{mother}"]
    assert {g["until"] for g in await case.grants()} == {ends[f"person:{father}"]}


async def test_a_later_fact_puts_an_earlier_one_right(make_case: MakeCase) -> None:
    case = await (await welfare_case(make_case, 10)).everybody_agrees()
    before, seen = await case.cells(), await by_law(case)
    await record(case, "care", "child-welfare", somebody(40))
    await record(case, "care", "parents")
    assert (await case.cells(), await by_law(case)) == (before, seen)


async def test_only_the_table_says_whose_staff_records_what(make_case: MakeCase) -> None:
    case = await welfare_case(make_case, 10)
    nurse = staff(NURSE)
    assert problem(await record(case, "care", "child-welfare", somebody(40), by=nurse)) == (403, "fact-not-yours")
    assert problem(await record(case, "capacity", "able", by=WORKER)) == (403, "fact-not-yours")
    assert problem(await record(case, "care", "parents", by=staff(POLICE))) == (404, "not-found")
    assert problem(await record(case, "care", "parents", by=person(case.guardians[0]))) == (404, "not-found")
    assert problem(await record(case, "care", "parents", by=staff(WELFARE, role="admin"))) == (403, "fact-not-yours")
    assert await case.desk.rows("SELECT 1 FROM law_fact WHERE subject::text = :s", s=case.subject) == []


async def test_a_fact_is_read_by_the_subject_and_by_staff_who_may_record_its_kind(make_case: MakeCase) -> None:
    case = await welfare_case(make_case, 15)
    await record(case, "care", "child-welfare", somebody(40))
    await record(case, "responsibility", "ukjent", by=staff(NURSE))

    async def kinds(actor: Any) -> list[str]:
        found = await case.desk.ask("GET", f"{case.path}/facts", actor, subject=case.subject)
        return [one["kind"] for one in found.json()["items"]]

    assert await kinds(person(case.subject)) == ["care", "responsibility"]
    assert await kinds(WORKER) == ["care", "responsibility"]
    assert await kinds(staff(NURSE)) == ["responsibility"]
    for actor in (person(case.guardians[0]), staff(POLICE)):
        found = await case.desk.ask("GET", f"{case.path}/facts", actor, subject=case.subject)
        assert problem(found) == (404, "not-found")


@pytest.mark.parametrize(
    ("kind", "value", "people", "more", "told"),
    [
        ("responsibility", "felles", 1, {}, (422, "fact-unfit")),
        ("responsibility", "ukjent", 1, {}, (422, "fact-unfit")),
        ("responsibility", "aunt", 1, {}, (422, "fact-unfit")),
        ("care", "child-welfare", 0, {}, (422, "fact-unfit")),
        ("care", "parents", 1, {}, (422, "fact-unfit")),
        ("care", "felles", 2, {}, (422, "fact-unfit")),
        ("care", "parents", 0, {"what": "health"}, (422, "fact-unfit")),
        ("party", "decision", 0, {"what": "weather"}, (422, "category-unknown")),
        ("care", "parents", 0, {"ends": "2026-01-01"}, (422, "fact-period-invalid")),
        ("care", "parents", 0, {"begins": "2026-02-30"}, (422, "invalid")),
        ("care", "parents", 0, {"reference": "  \n"}, (422, "invalid")),
        ("weather", "rain", 0, {}, (422, "invalid")),
    ],
)
async def test_what_does_not_fit_together_is_refused_and_changes_nothing(
    make_case: MakeCase, kind: str, value: str, people: int, more: dict[str, Any], told: tuple[int, str]
) -> None:
    case = await welfare_case(make_case, 10)
    before = await case.desk.state(case.subject)
    done = await record(case, kind, value, *(somebody(40) for _ in range(people)), **more)
    assert problem(done) == told
    assert await case.desk.state(case.subject) == before


async def test_nobody_answers_for_themselves_by_a_decision(make_case: MakeCase) -> None:
    case = await welfare_case(make_case, 10)
    own = {name: case.body[name] for name in ("national_id", "given_name", "family_name", "birth_date", "language")}
    assert problem(await record(case, "care", "child-welfare", own)) == (422, "same-person")


async def test_recorded_facts_can_be_neither_changed_nor_deleted(make_case: MakeCase) -> None:
    case = await welfare_case(make_case, 10)
    await record(case, "responsibility", "ukjent")
    for query in ("UPDATE law_fact SET value = 'felles'", "DELETE FROM law_fact", "TRUNCATE law_fact"):
        with pytest.raises(DBAPIError):
            await case.desk.rows(query)


async def test_repeated_under_its_key_a_fact_is_recorded_once(make_case: MakeCase) -> None:
    case = await welfare_case(make_case, 10)
    body = {"kind": "responsibility", "value": "ukjent", "begins": "2026-01-01", "reference": "DSF 1"}
    path, key = f"{case.path}/facts", "abcdefgh-1"
    first = await case.desk.ask("POST", path, WORKER, body, subject=case.subject, key=key)
    again = await case.desk.ask("POST", path, WORKER, body, subject=case.subject, key=key)
    assert first.json() == again.json()
    assert len(await case.desk.rows("SELECT 1 FROM law_fact WHERE subject::text = :s", s=case.subject)) == 1
