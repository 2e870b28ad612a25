"""A subject who is not born: the expectant mother stands for it; birth, an end, and a due date that passes."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import SubjectKeys
from chassis.permit import Actor
from consent.model.registers import BIRTH
from consent.settings import Settings
from consent.storage.registers import not_looked_up
from tests.consent.callers import (
    NURSE,
    POLICE,
    SCHOOL,
    WELFARE,
    Case,
    Desk,
    a_number,
    ahead,
    asked,
    person,
    problem,
    somebody,
    staff,
    today,
)
from tests.consent.register import DEATH, PROTECTION, Register, about, named
from tests.consent.test_days import data_of, day, later, look

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.requirement("F011")]
CELLS = [asked(NURSE, "health"), asked(SCHOOL, "school", actions=("read",))]
MIDWIFE = staff(NURSE)
Expect = Callable[..., Awaitable[Case]]


@pytest_asyncio.fixture(loop_scope="session")
async def register(engine: AsyncEngine, keys: SubjectKeys) -> Register:
    return await Register(engine, keys).start()


@pytest.fixture
def expect(desk: Desk) -> Expect:
    """A request about somebody who is due: `await expect(days=60)`."""

    async def make(days: int = 60, mother: dict[str, Any] | None = None, **more: Any) -> Case:
        woman = mother or somebody(29)
        body = {
            "due_date": ahead(days), "mother": woman, "level": 1, "why": "Vi vil forberede hjelpen sammen.",
            "purpose": "follow-up", "cells": CELLS, "until": ahead(300), "guardians": [],
        } | more  # fmt: skip
        case = await Case(desk, body).made()
        case.guardians = [await case.person(woman["national_id"])]
        return case

    return make


def child(born: date | None = None) -> dict[str, Any]:
    birth = born or today()
    return {
        "national_id": a_number(birth), "given_name": "Ny", "family_name": "Testvik", "birth_date": birth.isoformat(),
        "language": "nb",
    }  # fmt: skip


async def told(case: Case, newborn: dict[str, Any], kind: str, *guardians: dict[str, Any], by: Any = None) -> Any:
    body = {"child": newborn, "responsibility": kind, "guardians": list(guardians), "reference": "Fødselsmelding 7"}
    return await case.desk.ask("POST", f"{case.path}/birth", by or MIDWIFE, body, subject=case.subject)


async def fact(case: Case, value: str, begins: str, by: Any = None) -> httpx.Response:
    body = {"kind": "pregnancy", "value": value, "begins": begins, "reference": "Journal 12"}
    return await case.desk.ask("POST", f"{case.path}/facts", by or MIDWIFE, body, subject=case.subject)


async def by_law(case: Case) -> dict[str, set[str]]:
    """Who sees what by law, by person."""
    found: dict[str, set[str]] = {}
    for grant in (await case.desk.state(case.subject))["grants"]:
        if grant["kind"] != "consent":
            found.setdefault(grant["recipient"].removeprefix("person:"), set()).update(grant["categories"])
    return found


async def log_in(case: Case, number: str) -> str | None:
    found = await case.desk.ask("POST", "/inner/people/match", Actor("gateway", None), {"national_id": number})
    return str(found.json()["person"]) if found.status_code == 200 else None


# -- before birth ------------------------------------------------------------------------------------------------------


async def test_the_expectant_mother_alone_answers_and_sees_and_there_is_a_due_date_instead_of_a_birth_date(
    expect: Expect,
) -> None:
    case = await expect()
    [mother] = case.guardians
    shown = await case.seen_by(MIDWIFE)
    assert (shown["waiting_for"], [one["person"] for one in shown["answers"]]) == (["expectant"], [mother])
    assert [one["asked"] for one in (await case.desk.state(case.subject))["requests"]] == [[mother]]
    await case.everybody_agrees()
    assert await case.cells() == {
        (NURSE, "health", "read"), (NURSE, "health", "contribute"), (SCHOOL, "school", "read"),
    }  # fmt: skip
    seen = await by_law(case)
    assert set(seen) == {mother} and {"health", "school", "participants", "looks", "grants"} <= seen[mother]
    identity = await case.desk.ask(
        "GET", f"{case.path}/identity", MIDWIFE, subject=case.subject, permit=case.permit("health")
    )
    assert identity.json() == {
        "given_name": None, "family_name": "Testvik", "birth_date": None, "due_date": case.body["due_date"],
    }  # fmt: skip
    rows = await case.desk.rows(
        "SELECT granted_by FROM grants WHERE subject::text = :s AND ended IS NULL", s=case.subject
    )
    assert {one["capacity"] for row in rows for one in row.granted_by} == {"expectant"}


async def test_her_no_is_a_no_and_she_takes_back_what_she_agreed_to(expect: Expect) -> None:
    case = await expect()
    [mother] = case.guardians
    await case.answer(mother, "no")
    assert await case.cells() == set()
    await case.answer(mother)
    assert await case.cells()
    await case.withdraw(mother, NURSE)
    assert {cell[0] for cell in await case.cells()} == {SCHOOL}


async def test_nothing_of_the_police_is_shared_about_who_cannot_say_yes(expect: Expect) -> None:
    case = await expect(cells=[asked(POLICE, "police", "school", actions=("read",))])
    assert (await case.seen_by(MIDWIFE))["waiting_for"] == ["expectant", "nobody"]
    await case.answer(case.guardians[0])
    assert await case.cells() == {(POLICE, "school", "read")}


async def test_who_asks_about_the_same_pregnancy_asks_about_the_same_subject_and_changes_nothing(
    expect: Expect,
) -> None:
    case = await (await expect()).everybody_agrees()
    again = {**case.body, "due_date": ahead(100), "cells": [asked(WELFARE, "school", actions=("read",))]}
    found = await case.desk.ask("POST", "/requests", staff(WELFARE), again)
    assert (found.status_code, found.json()["subject"]) == (201, case.subject)
    assert [(one["person"], one["state"]) for one in found.json()["asked_state"]] == [(case.guardians[0], "waiting")]
    [[due]] = await case.desk.rows("SELECT due_date FROM person WHERE id::text = :s", s=case.subject)
    assert due.isoformat() == case.body["due_date"]


async def test_a_minor_thing_wrong_is_told_and_makes_nobody(expect: Expect) -> None:
    desk = (await expect()).desk
    good = {
        "due_date": ahead(60), "mother": somebody(30), "level": 1, "why": "x", "purpose": "follow-up", "cells": CELLS,
        "until": ahead(90),
    }  # fmt: skip
    count = "SELECT count(*) FROM person"
    before = await desk.rows(count)
    for wrong, slug in (
        ({"due_date": ahead(281)}, "due-date-invalid"), ({"due_date": ahead(-29)}, "due-date-invalid"),
        ({"mother": None}, "invalid"), ({"guardians": [somebody(40)]}, "invalid"),
        ({"birth_date": ahead(-400)}, "invalid"), (somebody(3), "invalid"), ({"due_date": None}, "invalid"),
    ):  # fmt: skip
        refused = await desk.ask("POST", "/requests", MIDWIFE, good | wrong)
        assert problem(refused) == (422, slug), wrong
    assert await desk.rows(count) == before


# -- birth, told by a professional -------------------------------------------------------------------------------------


async def test_with_birth_what_the_mother_agreed_to_ends_and_those_who_hold_responsibility_are_asked(
    expect: Expect,
) -> None:
    case = await (await expect(10)).everybody_agrees()
    [mother] = case.guardians
    newborn, father = child(), somebody(31)
    counted = len(await case.events())
    done = await told(case, newborn, "felles", case.body["mother"], father)
    assert (done.status_code, done.json()["status"]) == (202, "pending")
    assert await case.cells() == set()
    assert (await case.seen_by(MIDWIFE))["state"] == "pending"
    assert (await case.events())[counted:] == []
    await case.desk.confirm()
    assert sorted((await case.events())[counted:]) == ["consent.requested.v1", *["consent.withdrawn.v1"] * 2]
    other = await case.person(father["national_id"])
    assert set((await data_of(case, "consent.requested.v1"))[-1]["asked"]) == {mother, other}
    assert await log_in(case, newborn["national_id"]) == case.subject
    seen = await by_law(case)
    assert seen.keys() - {case.subject} == {mother, other} and "health" in seen[mother]
    shown = await case.seen_by(MIDWIFE)
    assert (shown["state"], shown["waiting_for"]) == ("waiting", ["guardians"])
    assert shown["opened_again"] == newborn["birth_date"]
    await case.answer(mother)
    assert await case.cells() == set()
    await case.answer(other)
    assert (NURSE, "health", "read") in await case.cells()


async def test_where_nobody_knows_who_holds_responsibility_nobody_answers_or_sees_until_it_is_recorded(
    expect: Expect,
) -> None:
    case = await (await expect(10)).everybody_agrees()
    await told(case, child(), "ukjent")
    await case.desk.confirm()
    assert await by_law(case) == {case.subject: await _own(case)} and await case.cells() == set()
    assert (await case.seen_by(MIDWIFE))["waiting_for"] == ["nobody"]
    mother = person(case.guardians[0])
    refused = await case.desk.ask("GET", f"{case.path}/requests/{case.id}", mother, subject=case.subject)
    unknown = await case.desk.ask("GET", f"{case.path}/requests/{case.subject}", mother, subject=case.subject)
    assert (refused.status_code, refused.content) == (404, unknown.content)
    body = {
        "kind": "responsibility", "value": "mor", "begins": today().isoformat(), "people": [case.body["mother"]],
        "reference": "FREG-3",
    }  # fmt: skip
    await case.desk.ask("POST", f"{case.path}/facts", MIDWIFE, body, subject=case.subject)
    assert await case.cells() == set(), "what was said before birth counts no more"
    await case.answer(case.guardians[0])
    assert (NURSE, "health", "read") in await case.cells()


async def _own(case: Case) -> set[str]:
    return (await by_law(case))[case.subject]


async def test_a_yes_between_the_birth_and_its_being_told_counts_no_more_either(expect: Expect) -> None:
    case = await (await expect(0)).everybody_agrees()
    await told(case, child(today() - timedelta(days=9)), "mor", case.body["mother"])
    await case.desk.confirm()
    assert await case.cells() == set()
    shown = await case.seen_by(MIDWIFE)
    assert shown["state"] == "waiting" and shown["opened_again"] is not None


async def test_a_number_that_is_known_is_told_nobody_and_the_record_before_birth_ends(
    expect: Expect, desk: Desk
) -> None:
    case = await (await expect(5)).everybody_agrees()
    newborn = child()
    known = await Case(
        desk, {**newborn, "guardians": [somebody(40)], "responsibility": "mor", "level": 1, "why": "x",
               "purpose": "follow-up", "cells": CELLS, "until": ahead(90)},
    ).made()  # fmt: skip
    done = await told(case, newborn, "mor", case.body["mother"])
    assert (done.status_code, set(done.json())) == (202, {"change", "status"})
    await desk.confirm()
    assert await case.cells() == set() and (await by_law(case)).keys() <= {known.subject}
    assert await log_in(case, newborn["national_id"]) == known.subject
    assert set(await by_law(known)) - {known.subject} == set(known.guardians), "who sees the child is as it was"


# -- birth, told by a register -----------------------------------------------------------------------------------------


async def test_a_registers_birth_finds_who_was_expected_by_the_mother(expect: Expect, register: Register) -> None:
    case = await (await expect(10)).everybody_agrees()
    newborn, mother, father = child(), case.body["mother"], somebody(33)
    held = {"type": "felles", "since": today().isoformat(), "holders": [named(mother), named(father)]}
    await register.tell(BIRTH, about(newborn, mother=named(mother), responsibility=held))
    assert await case.cells() == set()
    await case.desk.confirm()
    other = await case.person(father["national_id"])
    assert (await by_law(case)).keys() - {case.subject} == {case.guardians[0], other}
    assert await log_in(case, newborn["national_id"]) == case.subject
    for who in (case.guardians[0], other):
        await case.answer(who)
    assert (NURSE, "health", "read") in await case.cells()
    await register.tell(BIRTH, about(newborn, mother=named(mother), responsibility=held))
    assert (NURSE, "health", "read") in await case.cells(), "the same document twice changes nothing"


async def test_a_registers_birth_that_says_nothing_of_responsibility_leaves_nobody_who_answers(
    expect: Expect, register: Register
) -> None:
    case = await (await expect(10)).everybody_agrees()
    await register.tell(BIRTH, about(child(), mother=named(case.body["mother"])))
    assert await case.cells() == set()
    assert (await by_law(case)).keys() <= {case.subject}
    await case.desk.confirm()
    assert (await case.seen_by(MIDWIFE))["waiting_for"] == ["nobody"]


@pytest.mark.parametrize("days", [-29, 155])
async def test_a_child_who_cannot_be_the_one_expected_is_another(expect: Expect, register: Register, days: int) -> None:
    case = await (await expect(max(days, -28))).everybody_agrees()
    before = await case.cells()
    newborn = child(today())
    if days < 0:
        async with case.desk.engine.begin() as conn:
            await conn.exec_driver_sql(f"UPDATE person SET due_date = due_date - 1 WHERE id = '{case.subject}'")
    refused = await told(case, newborn, "mor", case.body["mother"])
    assert problem(refused) == (422, "birth-impossible")
    await register.tell(BIRTH, about(newborn, mother=named(case.body["mother"])))
    assert await log_in(case, newborn["national_id"]) is None
    if days > 0:
        assert await case.cells() == before
    stranger = about(child(), mother=named(somebody(30)))
    await register.tell(BIRTH, stranger)
    assert (await register.outcomes())[-2:] == ["nobody", "nobody"]


# -- an end, and a due date that passes --------------------------------------------------------------------------------


async def test_when_a_pregnancy_ends_everything_ends_and_nobody_is_told_but_those_whose_sight_it_was(
    expect: Expect,
) -> None:
    case = await (await expect()).everybody_agrees()
    counted = len(await case.events())
    done = await fact(case, "ended", today().isoformat())
    assert done.json()["status"] == "pending"
    assert await case.cells() == set() and await by_law(case) == {}
    assert [one["asked"] for one in (await case.desk.state(case.subject))["requests"]] == [[]]
    assert (await case.events())[counted:] == []
    await case.desk.confirm()
    assert set((await case.events())[counted:]) == {"consent.withdrawn.v1"}
    assert await look(case, day(400)) == [], "time brings nothing about it any more"
    assert (await told(case, child(), "mor", case.body["mother"])).status_code in (404, 422)
    again = await case.desk.ask("POST", "/requests", MIDWIFE, case.body)
    assert again.json()["subject"] != case.subject, "another pregnancy is another subject"


async def test_an_end_told_by_mistake_is_taken_back_and_it_is_asked_for_anew(expect: Expect) -> None:
    case = await (await expect()).everybody_agrees()
    await fact(case, "ended", today().isoformat())
    done = await fact(case, "expected", ahead(50))
    assert done.status_code == 202, done.text
    assert set(await by_law(case)) == set(case.guardians) and await case.cells() == set()
    again = await case.desk.ask("POST", "/requests", MIDWIFE, case.body)
    assert again.json()["subject"] == case.subject


async def test_a_due_date_that_passes_ends_what_was_agreed_to_and_it_waits_until_somebody_tells(
    expect: Expect, settings: Settings
) -> None:
    case = await (await expect(10, until=ahead(200))).everybody_agrees()
    [mother] = case.guardians
    assert {grant["until"] for grant in await case.grants()} != {None}
    await look(case, day(1))
    await look(case, day(10 + 28))
    assert await case.cells(), "four weeks after the due date it still holds"
    warnings = await data_of(case, "consent.ending-soon.v1")
    assert warnings and all(one["people"] == [] and one["reason"] == "others-decide" for one in warnings)
    ended = await look(case, day(10 + 29))
    assert set(ended) == {"consent.withdrawn.v1"}
    async with later(case, settings, 10 + 29) as then:
        shown = await then.seen_by(MIDWIFE)
        assert (shown["state"], shown["waiting_for"]) == ("waiting", ["nobody"])
        done = await fact(then, "expected", ahead(20))
        assert done.status_code == 202, done.text
        assert set(await by_law(then)) == {mother}


async def test_another_due_date_moves_the_day_on_which_it_ends(expect: Expect) -> None:
    case = await (await expect(10, until=ahead(200))).everybody_agrees()
    [before] = {grant["until"] for grant in await case.grants()}
    assert (await fact(case, "expected", ahead(20))).status_code == 202
    [after] = {grant["until"] for grant in await case.grants()}
    assert after - before == 10 * 86_400


# -- who may tell, and who may know ------------------------------------------------------------------------------------


async def test_only_health_personnel_of_a_service_that_asked_tell_of_it(expect: Expect) -> None:
    case = await expect()
    await case.desk.ask("POST", "/requests", staff(WELFARE), case.body)
    for done in (
        await fact(case, "ended", today().isoformat(), by=staff(WELFARE)),
        await told(case, child(), "mor", case.body["mother"], by=staff(WELFARE)),
    ):
        assert problem(done) == (403, "fact-not-yours")
    for by in (staff(SCHOOL), person(case.guardians[0])):
        refused = await told(case, child(), "mor", case.body["mother"], by=by)
        assert problem(refused) == (404, "not-found")
        assert refused.content == (await fact(case, "ended", today().isoformat(), by=by)).content


async def test_what_cannot_be_is_refused_and_changes_nothing(expect: Expect, desk: Desk) -> None:
    case = await (await expect(10)).everybody_agrees()
    before, mother = await desk.state(case.subject), case.body["mother"]
    newborn = child()
    for done, slug in (
        (await fact(case, "born", today().isoformat()), "fact-unfit"),
        (await fact(case, "ended", ahead(1)), "fact-period-invalid"),
        (await fact(case, "ended", ahead(-300)), "fact-period-invalid"),
        (await fact(case, "expected", ahead(290)), "due-date-invalid"),
        (await told(case, child(today() + timedelta(days=1)), "mor", mother), "birth-date-invalid"),
        (await told(case, newborn, "felles", mother), "responsibility-incomplete"),
        (await told(case, newborn, "mor", newborn), "same-person"),
    ):
        assert problem(done) == (422, slug)
    assert await desk.state(case.subject) == before
    born = await Case(desk, {**somebody(5), **{k: case.body[k] for k in ("level", "why", "purpose", "cells", "until")},
                             "guardians": [somebody(30)], "responsibility": "mor"}).made()  # fmt: skip
    assert problem(await fact(born, "ended", today().isoformat())) == (422, "fact-unfit")
    assert problem(await told(born, child(), "mor", mother)) == (422, "fact-unfit")


# -- the mother and a register -----------------------------------------------------------------------------------------


async def test_who_is_not_born_is_hidden_as_the_mother_is_and_so_is_the_child_until_a_register_says_otherwise(
    expect: Expect, register: Register
) -> None:
    case = await (await expect(10)).everybody_agrees()
    await register.tell(PROTECTION, about(case.body["mother"], protection="strengtFortrolig"))
    await case.desk.confirm()
    circle = (await case.desk.state(case.subject))["circle"]
    assert circle is not None and f"service:{NURSE}" not in circle and f"person:{case.guardians[0]}" in circle
    refused = await case.desk.ask("POST", "/requests", staff(SCHOOL), {**case.body, "cells": CELLS[1:]})
    assert problem(refused) == (404, "not-found")
    await told(case, child(), "mor", case.body["mother"])
    await case.desk.confirm()
    assert f"service:{NURSE}" not in (await case.desk.state(case.subject))["circle"]


async def test_when_the_mother_dies_nobody_answers_or_sees(expect: Expect, register: Register) -> None:
    case = await expect()
    await register.tell(DEATH, about(case.body["mother"], death=today().isoformat()))
    assert await by_law(case) == {}
    assert (await case.desk.state(case.subject))["requests"][0]["asked"] == []


# -- an adult who is a parent ------------------------------------------------------------------------------------------


async def test_a_pregnant_woman_and_a_parent_are_subjects_of_their_own_and_decide_alone(
    expect: Expect, desk: Desk
) -> None:
    case = await expect()
    hers = {name: case.body[name] for name in ("level", "why", "purpose", "cells", "until")}
    own = await Case(desk, {**case.body["mother"], **hers, "guardians": []}).made()
    assert own.subject == case.guardians[0] != case.subject
    await own.everybody_agrees()
    assert await own.cells() and await case.cells() == set(), "about herself and about the child are two things"
    assert set(await by_law(own)) == {own.subject}


async def test_the_register_is_asked_about_the_mother_and_not_about_whom_she_expects(
    expect: Expect, engine: AsyncEngine
) -> None:
    case = await expect()
    async with engine.connect() as conn:
        asked_about = await not_looked_up(conn, 100_000)
    assert case.guardians[0] in asked_about
    assert case.subject not in asked_about
