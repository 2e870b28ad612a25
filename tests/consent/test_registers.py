"""What a person register's events do: over the wire, on the real database, each within one change to be confirmed."""

import json
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import SubjectKeys
from chassis.permit import Actor
from consent.handlers.following import StandInRefused
from tests.consent.callers import (
    NURSE,
    POLICE,
    SCHOOL,
    WELFARE,
    Case,
    Desk,
    a_number,
    a_request,
    asked,
    born,
    person,
    problem,
    somebody,
    staff,
)
from tests.consent.conftest import MakeCase
from tests.consent.register import (
    DEATH,
    GUARDIANSHIP,
    MERGED,
    NUMBER,
    PROTECTION,
    RESPONSIBILITY,
    SPLIT,
    TODAY,
    Register,
    about,
    named,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
GATEWAY = Actor("gateway", None)
CELLS = [asked(NURSE, "school", "health"), asked(POLICE, "school", actions=("read",))]


@pytest_asyncio.fixture(loop_scope="session")
async def register(engine: AsyncEngine, keys: SubjectKeys) -> Register:
    return await Register(engine, keys).start()


async def log_in(desk: Desk, number: str) -> str | None:
    """Whom a log-in with this number finds."""
    found = await desk.ask("POST", "/inner/people/match", GATEWAY, {"national_id": number})
    assert found.status_code in (200, 404)
    return str(found.json()["person"]) if found.status_code == 200 else None


async def by_law(case: Case) -> dict[str, set[str]]:
    """Who sees what by law, by person."""
    found: dict[str, set[str]] = {}
    for grant in (await case.desk.state(case.subject))["grants"]:
        if grant["kind"] != "consent":
            found.setdefault(grant["recipient"].removeprefix("person:"), set()).update(grant["categories"])
    return found


async def others(case: Case) -> set[str]:
    """Who sees anything by law besides the subject."""
    return (await by_law(case)).keys() - {case.subject}


async def asks(case: Case) -> set[str]:
    """Who is asked, as it is published."""
    return {person for one in (await case.desk.state(case.subject))["requests"] for person in one["asked"]}


async def pending(case: Case) -> int:
    rows = await case.desk.rows(
        "SELECT 1 FROM change WHERE subject::text = :s AND state = 'pending' AND kind = 'register'", s=case.subject
    )
    return len(rows)


# -- a new number ------------------------------------------------------------------------------------------------------


@pytest.mark.requirement("F058")
async def test_a_new_number_finds_the_same_subject_and_the_old_one_nobody(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(15, cells=CELLS)).everybody_agrees()
    before, old, new = await case.cells(), case.body["national_id"], a_number(born(15))
    numbers = [{"number": old, "in_use": False}, {"number": new, "in_use": True}]
    await register.tell(NUMBER, about(case.body, numbers=numbers))
    assert await log_in(case.desk, new) == case.subject
    assert await log_in(case.desk, old) is None
    assert await case.cells() == before
    rows = await case.desk.rows("SELECT hash, number FROM person_number WHERE person::text = :p", p=case.subject)
    assert len(rows) == 2
    assert not any(digits.encode() in row.number + row.hash for row in rows for digits in (old, new))


async def test_who_asks_with_the_old_number_still_asks_about_the_same_person(
    make_case: MakeCase, register: Register
) -> None:
    case = await make_case(15, cells=CELLS)
    numbers = [{"number": case.body["national_id"], "in_use": False}, {"number": a_number(born(15)), "in_use": True}]
    await register.tell(NUMBER, about(case.body, numbers=numbers))
    again = await case.desk.ask("POST", "/requests", staff(NURSE), case.body)
    assert (again.status_code, again.json()["subject"]) == (201, case.subject)


# -- parental responsibility -------------------------------------------------------------------------------------------


@pytest.mark.requirement("F082")
async def test_who_loses_responsibility_loses_sight_and_the_new_one_is_asked(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(10, cells=CELLS)).everybody_agrees()
    mother, father = case.guardians
    uncle = somebody(50)
    assert await case.cells()
    told = len(await case.events())
    held = {"type": "felles", "since": "2026-01-01", "holders": [named(case.body["guardians"][0]), named(uncle)]}
    await register.tell(RESPONSIBILITY, about(case.body, responsibility=held))
    new = await case.person(uncle["national_id"])
    assert await pending(case) == 1
    assert await others(case) == {mother, new}
    assert await case.cells() == set()
    assert await asks(case) == {mother, new}
    assert (await case.events())[told:] == []
    await case.desk.confirm()
    came = (await case.events())[told:]
    assert sorted(set(came)) == ["consent.registered.v1", "consent.requested.v1", "consent.withdrawn.v1"]
    noted = await case.desk.rows(
        "SELECT payload FROM outbox WHERE aggregateid = :s AND type = 'consent.registered.v1'", s=case.subject
    )
    assert {json.loads(row[0])["person"] for row in noted} == {case.subject, mother}, (
        "not who lost it, nor who is asked"
    )
    assert (await case.seen_by(staff(NURSE)))["state"] == "waiting"
    refused = await case.desk.ask(
        "GET", f"{case.path}/requests/{case.id}", person(father), subject=case.subject
    )  # fmt: skip
    assert problem(refused) == (404, "not-found")
    await case.answer(new)
    assert (NURSE, "health", "read") in await case.cells()


async def test_half_answered_the_others_no_is_still_a_no_whoever_is_new(
    make_case: MakeCase, register: Register
) -> None:
    case = await make_case(10, cells=CELLS)
    await case.answer(case.guardians[0], "no")
    uncle = somebody(50)
    held = {"type": "felles", "since": "2026-01-01", "holders": [named(case.body["guardians"][0]), named(uncle)]}
    await register.tell(RESPONSIBILITY, about(case.body, responsibility=held))
    await case.answer(await case.person(uncle["national_id"]))
    assert await case.cells() == set()


async def test_an_older_document_after_a_newer_changes_nothing(make_case: MakeCase, register: Register) -> None:
    case = await make_case(10, cells=CELLS)
    mother, father = case.guardians
    alone = {"type": "mor", "since": "2026-01-01", "holders": [named(case.body["guardians"][0])]}
    both = {"type": "felles", "since": "2025-01-01", "holders": [named(one) for one in case.body["guardians"]]}
    await register.tell(RESPONSIBILITY, about(case.body, version=5, responsibility=alone))
    await register.tell(RESPONSIBILITY, about(case.body, version=4, responsibility=both))
    assert mother in await by_law(case)
    assert father not in await by_law(case)
    assert (await register.outcomes())[-2:] == ["done", "nothing"]


async def test_the_same_event_twice_is_one(make_case: MakeCase, register: Register) -> None:
    case = await make_case(10, cells=CELLS)
    document = about(case.body, protection="fortrolig")
    await register.tell(PROTECTION, document)
    first = len(register.lines)
    await register.tell(PROTECTION, document, sequence=first)
    await register.tell(PROTECTION, document)
    assert (await register.outcomes())[-2:] == ["done", "nothing"]
    assert await pending(case) == 1


# -- guardianship of an adult ------------------------------------------------------------------------------------------


async def adult_case(make_case: MakeCase) -> Case:
    return await make_case(40, guardians=[], cells=[*CELLS, asked(WELFARE, "leisure", actions=("read",))])


async def without_capacity(case: Case, sister: dict[str, Any]) -> None:
    body = {
        "kind": "capacity",
        "value": "lacking",
        "begins": "2026-01-01",
        "people": [sister],
        "reference": "SFOA-2026/1",
    }
    wanted = {**case.body, "cells": [asked(WELFARE, "leisure", actions=("read",))]}
    leader = staff(WELFARE, role="leader")
    assert (await case.desk.ask("POST", "/requests", staff(WELFARE), wanted)).status_code == 201
    done = await case.desk.ask("POST", f"{case.path}/facts", leader, body, subject=case.subject)
    assert done.status_code == 202, done.text


@pytest.mark.requirement("F099")
async def test_a_guardian_of_an_adult_decides_only_by_a_mandate_for_personal_matters_and_sees_nothing_by_law(
    make_case: MakeCase, register: Register
) -> None:
    case, verge, sister = await adult_case(make_case), somebody(60), somebody(42)
    own = case.subject
    await register.tell(
        GUARDIANSHIP, about(case.body, guardianship=[{"person": named(verge), "mandate": ["personal"]}])
    )
    assert await asks(case) == {own}  # an adult with capacity decides alone
    await without_capacity(case, sister)
    guardian, named_one = await case.person(verge["national_id"]), await case.person(sister["national_id"])
    assert await asks(case) == {own, named_one, guardian}
    await register.tell(
        GUARDIANSHIP, about(case.body, version=2, guardianship=[{"person": named(verge), "mandate": ["economic"]}])
    )
    assert await asks(case) == {own, named_one}
    assert (await by_law(case)).keys() == {own}


# -- death -------------------------------------------------------------------------------------------------------------


async def test_when_the_subject_dies_every_grant_and_request_ends_and_nobody_sees_or_asks(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(15, cells=CELLS)).everybody_agrees()
    await register.tell(DEATH, about(case.body, death=TODAY.isoformat()))
    assert await pending(case) == 1
    state = await case.desk.state(case.subject)
    assert (state["grants"], state["requests"]) == ([], [])
    assert await log_in(case.desk, case.body["national_id"]) is None
    unknown = await case.desk.ask("GET", f"{case.path}/facts", staff(SCHOOL), subject=case.subject)
    refused = await case.desk.ask("POST", "/requests", staff(NURSE), case.body)
    assert (refused.status_code, refused.content) == (404, unknown.content)


async def test_a_dead_guardian_sees_and_is_asked_nothing_more_and_what_needs_their_yes_waits(
    make_case: MakeCase, register: Register
) -> None:
    case = await make_case(10, cells=CELLS)
    mother = case.guardians[0]
    await case.answer(mother)
    await register.tell(DEATH, about(case.body["guardians"][1], death=TODAY.isoformat()))
    assert await pending(case) == 1
    assert await others(case) == {mother}
    assert await asks(case) == {mother}
    await case.desk.confirm()
    assert (await case.seen_by(staff(NURSE)))["state"] == "waiting"
    assert await case.cells() == set()
    alone = {"type": "mor", "since": TODAY.isoformat(), "holders": [named(case.body["guardians"][0])]}
    await register.tell(RESPONSIBILITY, about(case.body, responsibility=alone))
    assert (NURSE, "health", "read") in await case.cells()


async def test_a_death_put_right_gives_back_the_own_sight_and_no_grant(make_case: MakeCase, register: Register) -> None:
    case = await (await make_case(15, cells=CELLS)).everybody_agrees()
    await register.tell(DEATH, about(case.body, version=1, death=TODAY.isoformat()))
    await register.tell(DEATH, about(case.body, version=2))
    assert case.subject in await by_law(case)
    assert await case.cells() == set()
    assert await log_in(case.desk, case.body["national_id"]) == case.subject


# -- address protection ------------------------------------------------------------------------------------------------


async def test_a_confidential_address_hides_where_from_guardians_who_are_not_hidden_too(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(10, cells=CELLS)).everybody_agrees()
    mother, father = case.guardians
    assert (await case.desk.state(case.subject))["circle"] is None
    await register.tell(PROTECTION, about(case.body["guardians"][0], protection="fortrolig"))
    await register.tell(PROTECTION, about(case.body, protection="fortrolig"))
    state = await case.desk.state(case.subject)
    assert set(state["circle"]) == {
        f"person:{case.subject}", f"person:{mother}", f"service:{NURSE}", f"service:{POLICE}",
    }  # fmt: skip
    seen = await by_law(case)
    assert {"school", "looks", "grants", "participants"} <= seen[mother]
    assert {"school", "health"} <= seen[father]
    assert not {"looks", "grants", "participants"} & seen[father]
    assert father not in await asks(case)
    assert await case.cells()  # what both agreed to before stands
    withdrawn = await case.withdraw(father, NURSE)
    assert withdrawn.status_code in (200, 202)  # as easy as it was given
    assert {cell[0] for cell in await case.cells()} == {POLICE}


async def test_under_strict_protection_only_the_circle_is_told_where_and_others_see_nothing_by_law(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(10, cells=[*CELLS, asked(WELFARE, "school", actions=("read",))])).everybody_agrees()
    before = await case.cells()
    await register.tell(PROTECTION, about(case.body, protection="strengtFortrolig"))
    assert await pending(case) == 1
    state = await case.desk.state(case.subject)
    assert set(state["circle"]) == {f"person:{case.subject}", f"service:{WELFARE}"}
    assert await others(case) == set()
    assert await asks(case) == set()
    assert await case.cells() == before
    await register.tell(PROTECTION, about(case.body, version=2))
    assert (await case.desk.state(case.subject))["circle"] is None
    assert set(case.guardians) == await others(case)
    await case.desk.confirm()
    assert (await case.events()).count("consent.requested.v1") == 2  # asked again, once they may be


async def test_a_request_about_somebody_strictly_protected_from_outside_is_told_like_somebody_unknown(
    make_case: MakeCase, register: Register
) -> None:
    case = await make_case(15, cells=CELLS)
    await register.tell(PROTECTION, about(case.body, protection="strengtFortrolig"))
    unknown = await case.desk.ask(
        "GET", f"/subjects/{case.guardians[0]}/facts", staff(SCHOOL), subject=case.guardians[0]
    )
    before = await case.desk.rows("SELECT count(*) FROM request")
    refused = await case.desk.ask("POST", "/requests", staff(SCHOOL), {**case.body, "cells": CELLS})
    assert problem(refused) == (404, "not-found")
    assert (refused.status_code, refused.content) == (unknown.status_code, unknown.content)
    assert await case.desk.rows("SELECT count(*) FROM request") == before
    on_record = await case.desk.rows(
        "SELECT outcome FROM ledger WHERE subject::text = :s AND services = ARRAY[:a]", s=case.subject, a=SCHOOL
    )
    assert [row.outcome for row in on_record] == ["refused"]
    inside = await case.desk.ask("POST", "/requests", staff(WELFARE), {**case.body, "cells": CELLS})
    assert (inside.status_code, inside.json()["subject"]) == (201, case.subject)


async def test_a_guardians_own_protection_says_nothing_of_a_child_that_has_none(
    make_case: MakeCase, register: Register
) -> None:
    case = await make_case(10, cells=CELLS)
    await register.tell(PROTECTION, about(case.body["guardians"][0], protection="strengtFortrolig"))
    assert (await case.desk.state(case.subject))["circle"] is None
    assert set(case.guardians) == await others(case)


# -- merged and split --------------------------------------------------------------------------------------------------


def merged(kept: dict[str, Any], gone: dict[str, Any]) -> dict[str, Any]:
    numbers = [{"number": kept["national_id"], "in_use": True}, {"number": gone["national_id"], "in_use": False}]
    return about(kept, numbers=numbers)


async def test_a_merge_widens_nobodys_sight_and_the_record_merged_away_is_its_own_persons_alone(
    make_case: MakeCase, register: Register
) -> None:
    stays = await (await make_case(15, cells=[asked(NURSE, "school", actions=("read",))])).everybody_agrees()
    goes = await (await make_case(15, cells=CELLS)).everybody_agrees()
    before = await stays.cells()
    await register.tell(MERGED, merged(stays.body, goes.body))
    assert await pending(goes) == 1
    assert await stays.cells() == before
    assert await goes.cells() == set()
    assert (await by_law(goes)).keys() == {stays.subject}
    assert await asks(goes) == set()
    assert (await by_law(stays)).keys() == {stays.subject, *stays.guardians}
    assert await log_in(stays.desk, stays.body["national_id"]) == stays.subject
    assert await log_in(stays.desk, goes.body["national_id"]) is None
    again = await goes.desk.ask("POST", "/requests", staff(NURSE), goes.body)
    assert again.json()["subject"] == stays.subject  # told as the same


async def test_a_guardian_whose_records_are_merged_is_asked_anew_and_two_who_are_one_are_nobody(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(10, cells=CELLS)).everybody_agrees()
    other = await make_case(10, cells=CELLS)
    mother, father = case.body["guardians"]
    await register.tell(MERGED, merged(other.body["guardians"][0], mother))
    assert await case.cells() == set()
    assert await asks(case) == {other.guardians[0], case.guardians[1]}
    assert await others(case) == {other.guardians[0], case.guardians[1]}
    await register.tell(MERGED, {**merged(other.body["guardians"][0], father), "version": 2})
    assert await others(case) == set()
    assert await asks(case) == set()


async def test_a_split_record_is_closed_and_both_begin_anew(make_case: MakeCase, register: Register) -> None:
    case = await (await make_case(15, cells=CELLS)).everybody_agrees()
    second = a_number(born(15))
    await register.tell(
        NUMBER,
        about(
            case.body,
            numbers=[{"number": case.body["national_id"], "in_use": True}, {"number": second, "in_use": False}],
        ),
    )
    one, two = about(case.body, version=2), about({**case.body, "national_id": second}, version=2)
    both = [{"number": case.body["national_id"], "in_use": True}, {"number": second, "in_use": True}]
    await register.tell(SPLIT, about(case.body, version=2, numbers=both, parts=[one, two]))
    state = await case.desk.state(case.subject)
    assert (state["grants"], state["requests"]) == ([], [])
    first_id, second_id = await log_in(case.desk, case.body["national_id"]), await log_in(case.desk, second)
    assert None not in (first_id, second_id)
    assert len({case.subject, first_id, second_id}) == 3
    anew = await case.desk.ask("POST", "/requests", staff(NURSE), case.body)
    assert anew.json()["subject"] == first_id


async def test_what_a_split_record_answered_for_others_no_longer_counts(
    make_case: MakeCase, register: Register
) -> None:
    case = await (await make_case(10, cells=CELLS)).everybody_agrees()
    mother = case.body["guardians"][0]
    second = somebody(43)
    parts = [about(mother, version=2), about(second, version=2)]
    numbers = [number for part in parts for number in part["numbers"]]
    await register.tell(SPLIT, about(mother, version=2, numbers=numbers, parts=parts))
    assert await case.cells() == set()
    assert await others(case) == {case.guardians[1]}
    assert await asks(case) == {case.guardians[1]}


async def test_a_record_merged_twice_is_read_by_the_one_that_stays(make_case: MakeCase, register: Register) -> None:
    first, second, third = [await make_case(15, cells=CELLS) for _ in range(3)]
    await register.tell(MERGED, merged(second.body, first.body))
    numbers = [
        {"number": one.body["national_id"], "in_use": one is third} for one in (first, second, third)
    ]  # fmt: skip
    await register.tell(MERGED, about(third.body, version=2, numbers=numbers))
    assert (await by_law(first)).keys() == (await by_law(second)).keys() == {third.subject}


# -- what was said before somebody was known here ----------------------------------------------------------------------


async def test_what_the_register_said_before_somebody_was_known_here_is_looked_up(
    desk: Desk, register: Register
) -> None:
    body = a_request(10, cells=CELLS)
    alone = {"type": "mor", "since": "2026-01-01", "holders": [named(body["guardians"][0])]}
    await register.tell(
        PROTECTION, about(body, protection="fortrolig", responsibility=alone)
    )  # fmt: skip
    assert (await register.outcomes())[-1] == "nobody"
    case = await Case(desk, body).made()
    assert (await desk.state(case.subject))["circle"] is None
    await register.follow()
    assert (await desk.state(case.subject))["circle"] is not None
    assert await others(case) == {case.guardians[0]}


async def test_a_guardian_known_before_is_looked_up_again_when_they_are_asked_about_themselves(
    make_case: MakeCase, register: Register
) -> None:
    case, verge, sister = await make_case(10, cells=CELLS), somebody(60), somebody(42)
    mother = {**case.body, **case.body["guardians"][0], "guardians": []}
    document = about(mother, protection="fortrolig", guardianship=[{"person": named(verge), "mandate": ["personal"]}])
    await register.tell(PROTECTION, document)
    own = await Case(case.desk, mother).made()
    await without_capacity(own, sister)
    await register.follow()
    assert await asks(own) == {own.subject}  # hidden: nobody who is not hidden too is asked
    await register.tell(PROTECTION, {**document, "version": 2, "protection": "ugradert"})
    assert await own.person(verge["national_id"]) in await asks(own)


# -- what cannot be read -----------------------------------------------------------------------------------------------


async def dead(desk: Desk) -> list[tuple[int, str]]:
    rows = await desk.rows("SELECT place, reason FROM register_dead WHERE settled_at IS NULL ORDER BY place")
    return [(row.place, row.reason) for row in rows]


async def test_what_cannot_be_read_is_put_aside_with_its_place_and_the_rest_goes_on(
    make_case: MakeCase, register: Register, caplog: pytest.LogCaptureFixture
) -> None:
    case = await make_case(10, cells=CELLS)
    number = case.body["national_id"]
    before, first = await dead(case.desk), len(register.lines) + 1
    register.line("{ this is not JSON " + number)
    register.says(PROTECTION, about(case.body, protection="hemmelig"))
    register.line('{"event": {"sequence": 900001, "type": "personErDoed", "document": "nowhere"}}')
    register.says(DEATH, about({**case.body, "national_id": "12345678910"}, death=TODAY.isoformat()))
    held = {"type": "felles", "since": "2026-01-01", "holders": [named(case.body["guardians"][0])]}
    register.says(RESPONSIBILITY, about(case.body, responsibility=held))
    register.says(
        RESPONSIBILITY, about(case.body, responsibility={**held, "type": "mor", "holders": [named(case.body)]})
    )
    register.says(PROTECTION, about(case.body, protection="fortrolig"))
    await register.follow()
    found = (await dead(case.desk))[len(before) :]
    assert found == [
        (first, "event-unreadable"), (first + 1, "document-unreadable"), (first + 2, "document-missing"),
        (first + 3, "national-id-invalid"), (first + 4, "holders-do-not-fit"), (first + 5, "answers-for-themselves"),
    ]  # fmt: skip
    assert (await case.desk.state(case.subject))["circle"] is not None
    assert number not in caplog.text + str([vars(one) for one in caplog.records])


async def test_what_was_put_aside_is_handled_when_it_is_tried_again(make_case: MakeCase, register: Register) -> None:
    case = await make_case(10, cells=CELLS)
    register.says(PROTECTION, about(case.body, protection="hemmelig"))
    await register.follow()
    [place] = [place for place, _ in await dead(case.desk) if place == len(register.lines)]
    register.lines[place - 1] = register.lines[place - 1].replace("hemmelig", "strengtFortrolig")
    await register.follow()
    assert place in {one for one, _ in await dead(case.desk)}
    async with case.desk.engine.begin() as conn:
        await conn.exec_driver_sql(f"UPDATE register_dead SET again = true WHERE place = {place}")
    await register.follow()
    assert place not in {one for one, _ in await dead(case.desk)}
    assert (await case.desk.state(case.subject))["circle"] == [f"person:{case.subject}"]


async def test_nobody_whom_we_know_and_types_that_are_not_ours_change_nothing(desk: Desk, register: Register) -> None:
    before = await desk.rows("SELECT count(*) FROM person")
    await register.tell(PROTECTION, about(somebody(10), protection="strengtFortrolig"))
    await register.tell("endringINavn", about(somebody(10)))
    assert (await register.outcomes())[-2:] == ["nobody", "passed-over"]
    assert await desk.rows("SELECT count(*) FROM person") == before


async def test_a_stand_in_is_refused_where_people_are_real(register: Register) -> None:
    register.synthetic = False
    with pytest.raises(StandInRefused):
        await register.follow()


async def test_the_registers_birth_date_takes_the_place_of_what_the_asker_said(
    make_case: MakeCase, register: Register
) -> None:
    case = await make_case(16, cells=CELLS)
    assert (await by_law(case)).keys() == {case.subject, *case.guardians}
    await register.tell(PROTECTION, about(case.body, birth_date=born(20).isoformat()))
    assert (await by_law(case)).keys() == {case.subject}
