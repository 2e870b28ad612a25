"""Answers on paper and spoken: registered by the service that asked, with a witness, marked for ever."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from chassis.permit import Actor
from consent import storage
from consent.handlers import granting
from consent.handlers.state import requests_of
from consent.handlers.tables import current_law
from tests.consent.callers import NURSE, POLICE, Case, Desk, asked, person, problem, somebody, staff
from tests.consent.conftest import MakeCase
from tests.consent.paper import (
    LEFT,
    NURSE_STAFF,
    PLACE,
    SAID,
    SCAN,
    WITNESS,
    at,
    cells_of,
    employ,
    everything,
    registered_answer,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
_ALONE = [asked(NURSE, "school", "health"), asked(POLICE, "school", actions=("read",))]


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def staffed(desk: Desk) -> None:
    await employ(desk)


async def adult(make_case: MakeCase) -> Case:
    """Somebody who decides alone."""
    return await make_case(34, guardians=[], cells=_ALONE)


@pytest.mark.requirement("F084")
async def test_an_adults_answer_on_paper_makes_the_same_grants_as_a_digital_one(make_case: MakeCase) -> None:
    paper, digital = await adult(make_case), await adult(make_case)
    answered = await registered_answer(paper, paper.subject)
    assert (answered.status_code, answered.json()["status"]) == (202, "pending"), answered.text
    await digital.answer(digital.subject)
    assert await paper.cells() == await digital.cells() != set()
    assert "consent.granted.v1" not in await paper.events()
    await paper.desk.confirm()
    assert (await paper.seen_by(NURSE_STAFF))["state"] == "in-force"


async def test_a_registered_answer_counts_for_that_person_alone_and_they_are_told_that_there_is_something_to_see(
    make_case: MakeCase,
) -> None:
    case = await make_case(8)
    mother, father = case.guardians
    assert (await registered_answer(case, mother)).status_code == 201
    rows = await case.desk.rows(
        "SELECT payload FROM outbox WHERE aggregateid = :s AND type = 'consent.registered.v1'", s=case.subject
    )
    assert [json.loads(row[0]) for row in rows] == [{"subject": case.subject, "person": mother}]
    assert await case.cells() == set()
    await case.answer(father, only={"service": NURSE})
    assert {cell[0] for cell in await case.cells()} == {NURSE}


async def test_cell_by_cell_and_what_is_left_out_is_not_answered(make_case: MakeCase) -> None:
    case = await adult(make_case)
    await registered_answer(case, case.subject, only={"category": "school"})
    await registered_answer(case, case.subject, "no", only={"category": "health"})
    assert {cell[1] for cell in await case.cells()} == {"school"}
    mine = (await case.seen_by(person(case.subject)))["mine"]
    assert {(one["category"], one["answer"], one["manner"]) for one in mine} == {
        ("school", "yes", "paper"), ("health", "no", "paper"),
    }  # fmt: skip


@pytest.mark.requirement("F084")
async def test_it_is_marked_for_ever_in_the_answer_the_grant_the_request_and_what_the_person_sees(
    make_case: MakeCase,
) -> None:
    case = await adult(make_case)
    made = (await registered_answer(case, case.subject, statement=SAID)).json()
    await case.desk.confirm()
    await case.answer(case.subject, only={"service": POLICE})
    query = "SELECT DISTINCT assurance, given::text FROM answer WHERE request::text = :r ORDER BY 1"
    assert [tuple(row) for row in await case.desk.rows(query, r=case.id)] == [("high", None), ("paper", made["id"])]
    grants = await case.desk.rows("SELECT granted_by FROM grants WHERE subject::text = :s", s=case.subject)
    assert [one["manners"] for row in grants for one in row.granted_by] == [["paper"], ["paper"]]
    seen = await case.seen_by(person(case.subject))
    [shown] = seen["registered"]
    assert shown == {
        "id": made["id"], "person": case.subject, "manner": "paper", "given_at": shown["given_at"],
        "registered_at": shown["registered_at"], "by": {"kind": "staff", "id": NURSE_STAFF.id}, "services": [NURSE],
        "witness": WITNESS, "form": None, "place": PLACE, "statement": SAID, "scan": SCAN,
    }  # fmt: skip
    assert seen["answers"] == [{"person": case.subject, "state": "answered", "manners": ["digital", "paper"]}]
    listed = await case.desk.ask(
        "GET", f"{case.path}/grants", person(case.subject), subject=case.subject, permit=case.permit("grants")
    )
    by_consent = [one for one in listed.json()["items"] if one["kind"] == "consent"]
    assert {(one["evidence"][0]["capacity"], one["evidence"][0]["assurance"]) for one in by_consent} == {
        ("subject", "paper")
    }


async def test_on_the_bus_there_is_a_code_and_nothing_that_was_written_is_readable_anywhere(
    make_case: MakeCase,
) -> None:
    case = await adult(make_case)
    await registered_answer(case, case.subject, statement=SAID, manner="oral", scan=None)
    await registered_answer(case, case.subject, "no", only={"category": "health"}, given_at=at())
    await case.desk.confirm()
    rows = await case.desk.rows("SELECT type, payload FROM outbox WHERE aggregateid = :s", s=case.subject)
    told = {row[0]: json.loads(row[1]) for row in rows}
    assert told["consent.granted.v1"]["manners"] == ["oral"]
    assert told["consent.denied.v1"]["manner"] == "paper"
    plain = " ".join(bytes(row[1]).decode() for row in rows)
    for table in ("given_otherwise", "answer", "change", "outbox", "grants"):
        plain += " ".join(row[0] for row in await case.desk.rows(f"SELECT t::text FROM {table} AS t"))
    assert "manners" in plain  # it is text, and what sealed bytes would hold unsealed is looked for as well
    assert [one for one in ("Kanari", b"Kanari".hex(), SCAN["sha256"]) if one in plain] == []
    assert WITNESS not in str(told)


async def test_one_guardian_is_not_told_how_the_other_answered_and_the_asker_not_what_was_written(
    make_case: MakeCase,
) -> None:
    case = await make_case(8)
    mother, father = case.guardians
    await registered_answer(case, father, statement=SAID)
    hers = await case.seen_by(person(mother))
    assert hers["registered"] == []
    assert {one["person"]: one["manners"] for one in hers["answers"]} == {mother: [], father: None}
    [shown] = (await case.seen_by(NURSE_STAFF))["registered"]
    assert (shown["person"], shown["manner"], shown["witness"]) == (father, "paper", WITNESS)
    assert (shown["place"], shown["statement"], shown["scan"]) == (None, None, None)


_STRANGERS = [
    staff(POLICE), staff(NURSE, role="admin"), staff(NURSE, role="privacy-officer"), Actor("machine", "m", (NURSE,)),
]  # fmt: skip


@pytest.mark.parametrize("who", _STRANGERS, ids=["another service", "admin", "officer", "machine"])
async def test_only_staff_of_the_service_that_asked_register_by_their_role(make_case: MakeCase, who: Actor) -> None:
    case = await adult(make_case)
    before = await everything(case)
    assert problem(await registered_answer(case, case.subject, by=who)) == (404, "not-found")
    assert problem(await registered_answer(case, case.subject, by=person(case.subject))) == (404, "not-found")
    assert await everything(case) == before


async def test_staff_whom_the_person_left_out_register_nothing(make_case: MakeCase) -> None:
    case = await adult(make_case)
    await case.answer(case.subject)
    await case.withdraw(case.subject, NURSE, staff=NURSE_STAFF.id or "")
    assert problem(await registered_answer(case, case.subject)) == (404, "not-found")
    colleague = staff(NURSE, name="a-colleague")
    assert (await registered_answer(case, case.subject, by=colleague, given_at=at())).status_code == 202


_BAD: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"witness": None}, (422, "witness-needed")),
    ({"witness": NURSE_STAFF.id}, (422, "witness-unfit")),
    ({"witness": LEFT}, (422, "witness-unfit")),
    ({"witness": "nobody-here"}, (422, "witness-unfit")),
    ({"scan": None}, (422, "evidence-needed")),
    ({"manner": "oral"}, (422, "evidence-needed")),
    ({"given_at": at(-600)}, (422, "given-time-invalid")),
    ({"given_at": at(60 * 24)}, (422, "given-time-invalid")),
    ({"text_version": "1999-1"}, (409, "text-unknown")),
    ({"text_version": None, "language": None}, (409, "text-unknown")),
    ({"form": "00000-00000"}, (422, "form-unknown")),
    ({"manner": "digital"}, (422, "invalid")),
    ({"place": None}, (422, "invalid")),
    ({"given_at": "0001-01-01T00:00:00+14:00"}, (422, "invalid")),
    ({"scan": {"sha256": "xyz", "reference": "a"}}, (422, "invalid")),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "told"), _BAD, ids=[f"{n} {one[1][1]}" for n, one in enumerate(_BAD)])
async def test_what_carries_no_word_is_refused_by_its_own_name_and_changes_nothing(
    make_case: MakeCase, wrong: dict[str, Any], told: tuple[int, str]
) -> None:
    case = await adult(make_case)
    before = await everything(case)
    refused = await registered_answer(case, case.subject, **wrong)
    assert problem(refused) == told
    assert "Kanari" not in refused.text and case.subject not in refused.text
    assert await everything(case) == before


async def test_a_person_who_is_not_asked_and_a_cell_that_they_are_not_shown_are_refused(make_case: MakeCase) -> None:
    case = await make_case(8)
    mother = case.guardians[0]
    stranger = await adult(make_case)
    cells = await cells_of(case, mother, "yes")
    text = (await case.seen_by(person(mother)))["text"]
    shown = {"text_version": text["version"], "language": text["language"]}
    before = await everything(case)
    for who in (stranger.subject, case.subject, str(uuid4())):  # a child of eight is not asked, and nobody is nobody
        assert problem(await registered_answer(case, who, cells=cells, **shown)) == (422, "not-asked")
    foreign = [{**cells[0], "category": "police"}]
    assert problem(await registered_answer(case, mother, cells=foreign, **shown)) == (422, "cell-unknown")
    assert await everything(case) == before


async def test_two_contradictory_answers_at_once_are_refused_on_paper_and_digitally(make_case: MakeCase) -> None:
    case = await adult(make_case)
    cells = await cells_of(case, case.subject, "yes")
    both = [*cells, {**cells[0], "answer": "no"}]
    before = await everything(case)
    assert problem(await registered_answer(case, case.subject, cells=both)) == (422, "answers-contradict")
    assert problem(await case.answer(case.subject, cells=both)) == (422, "answers-contradict")
    assert problem(await case.answer(case.subject, cells=[*cells, cells[0]])) == (422, "answers-contradict")
    assert await everything(case) == before


async def test_two_who_register_one_paper_at_once_with_opposite_words_make_one_answer(make_case: MakeCase) -> None:
    case = await adult(make_case)
    given, colleague = at(), staff(NURSE, name="a-colleague")
    answers = await asyncio.gather(
        registered_answer(case, case.subject, "yes", given_at=given),
        registered_answer(case, case.subject, "no", by=colleague, given_at=given),
    )
    assert sorted(one.status_code for one in answers) in ([201, 409], [202, 409])
    [refused] = [one for one in answers if one.status_code == 409]
    assert problem(refused) == (409, "answer-overtaken")
    rows = await case.desk.rows("SELECT DISTINCT said FROM answer WHERE request::text = :r", r=case.id)
    assert len(rows) == 1


async def test_a_paper_registered_late_undoes_nothing_that_the_person_said_since(make_case: MakeCase) -> None:
    case = await adult(make_case)
    given = at()
    await case.answer(case.subject, "no", only={"category": "health"})
    before = await everything(case)
    assert problem(await registered_answer(case, case.subject, given_at=given)) == (409, "answer-overtaken")
    assert await everything(case) == before
    elsewhere = await registered_answer(case, case.subject, only={"category": "school"}, given_at=given)
    assert elsewhere.status_code == 202
    assert {cell[1] for cell in await case.cells()} == {"school"}


async def test_a_paper_registered_late_undoes_no_withdrawal_neither_whole_nor_of_a_part(make_case: MakeCase) -> None:
    case = await adult(make_case)
    await case.answer(case.subject)
    given = at()
    await case.withdraw(case.subject, POLICE)
    await case.withdraw(case.subject, NURSE, staff="constable-7")
    left = await case.grants()
    for service in (POLICE, NURSE):
        late = await registered_answer(case, case.subject, only={"service": service}, given_at=given)
        assert problem(late) == (409, "answer-overtaken")
    assert await case.grants() == left


async def test_the_person_answers_anew_what_was_registered(make_case: MakeCase) -> None:
    case = await adult(make_case)
    await registered_answer(case, case.subject)
    assert (await case.answer(case.subject, "no")).status_code == 202
    assert await case.cells() == set()
    mine = (await case.seen_by(person(case.subject)))["mine"]
    assert {(one["answer"], one["manner"]) for one in mine} == {("no", "digital")}


async def test_a_repeated_key_registers_once_and_tells_the_same(make_case: MakeCase) -> None:
    case = await adult(make_case)
    key, given = str(uuid4()), at()
    answers = await asyncio.gather(*(registered_answer(case, case.subject, key=key, given_at=given) for _ in range(3)))
    assert len({one.json()["id"] for one in answers}) == len({one.json()["change"] for one in answers}) == 1
    rows = await case.desk.rows("SELECT count(*) FROM given_otherwise WHERE subject::text = :s", s=case.subject)
    assert rows[0][0] == 1
    other = await registered_answer(case, case.subject, "no", key=key, given_at=given)
    assert problem(other) == (422, "idempotency-key-reused")


@pytest.mark.requirement("F178")
async def test_who_told_whom_what_and_when_is_kept_beside_the_request_and_shown_to_that_person(
    make_case: MakeCase,
) -> None:
    case = await make_case(8)
    mother, father = case.guardians
    text = (await case.seen_by(person(mother)))["text"]
    told = {
        "person": mother, "text_version": text["version"], "language": text["language"],
        "points": ["purpose", "voluntary", "withdraw"], "interpreter": True, "told_at": at(30),
    }  # fmt: skip
    path = f"{case.path}/requests/{case.id}/information"
    await case.desk.confirm()
    made = await case.desk.ask("POST", path, NURSE_STAFF, told, subject=case.subject)
    assert made.status_code == 201, made.text
    [shown] = (await case.seen_by(person(mother)))["told"]
    assert shown.items() >= {
        "person": mother, "points": ["purpose", "voluntary", "withdraw"], "interpreter": True, "service": NURSE,
        "told_by": NURSE_STAFF.id, "text_version": text["version"],
    }.items()  # fmt: skip
    assert (await case.seen_by(person(father)))["told"] == []
    assert len((await case.seen_by(NURSE_STAFF))["told"]) == 1
    assert (await case.seen_by(NURSE_STAFF))["state"] == "waiting"  # being told is no answer
    for wrong, slug in (
        ({"person": case.subject}, "not-asked"), ({"told_at": at(-5)}, "given-time-invalid"),
        ({"points": ["the weather"]}, "invalid"),
    ):  # fmt: skip
        refused = await case.desk.ask("POST", path, NURSE_STAFF, told | wrong, subject=case.subject)
        assert problem(refused) == (422, slug)
    assert problem(await case.desk.ask("POST", path, staff(POLICE), told, subject=case.subject)) == (404, "not-found")
    assert len((await case.seen_by(NURSE_STAFF))["told"]) == 1


async def take_back(case: Case, by: Actor = NURSE_STAFF) -> Any:
    return await case.desk.ask("POST", f"{case.path}/requests/{case.id}/taking-back", by, subject=case.subject)


async def test_an_answer_to_a_request_that_was_taken_back_is_refused_however_it_comes(make_case: MakeCase) -> None:
    case = await make_case(15)
    mother, father = case.guardians
    await case.answer(mother)
    given = at()
    cells = await cells_of(case, father, "yes")
    text = (await case.seen_by(person(father)))["text"]
    shown = {"text_version": text["version"], "language": text["language"]}
    assert problem(await take_back(case, staff(POLICE))) == (404, "not-found")
    assert [(await take_back(case)).json() for _ in range(2)] == [{"id": case.id, "state": "taken-back"}] * 2
    before = await everything(case)
    assert problem(await case.answer(father)) == (409, "request-taken-back")
    late = await registered_answer(case, father, cells=cells, given_at=given, **shown)
    assert problem(late) == (409, "request-taken-back")
    assert await everything(case) == before
    for who in (person(father), person(mother), NURSE_STAFF):
        assert (await case.seen_by(who))["state"] == "taken-back"


async def test_nothing_begins_under_a_request_that_was_taken_back_whatever_makes_it_be_planned_anew(
    make_case: MakeCase,
) -> None:
    case, law, now = await adult(make_case), current_law(), datetime.now(UTC)
    await case.answer(case.subject)
    async with case.desk.engine.connect() as conn:
        [row] = await requests_of(conn, law, case.subject)
        spoken = (await storage.words_about(conn, [case.id]))[case.id]
    assert granting.plan(law, row, spoken, [], [], now).begin
    assert not granting.plan(law, replace(row, taken_back=True), spoken, [], [], now)


async def test_what_is_in_force_is_not_taken_back_by_the_service_that_asked(make_case: MakeCase) -> None:
    case = await (await adult(make_case)).everybody_agrees()
    before = await case.grants()
    assert problem(await take_back(case)) == (409, "request-in-force")
    assert await case.grants() == before
    other = somebody(9)
    assert other["national_id"] not in (await take_back(case)).text
