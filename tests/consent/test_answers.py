"""Answering: each alone, cell by cell, changeable; in force when all who are needed said yes and it is confirmed."""

import asyncio
import json
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from consent.handlers.tables import current_law
from tests.consent.callers import NURSE, POLICE, Case, asked, person, problem, somebody, staff
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALL = {
    (NURSE, "school", "read"), (NURSE, "school", "contribute"), (NURSE, "health", "read"),
    (NURSE, "health", "contribute"), (POLICE, "school", "read"), (POLICE, "health", "read"),
}  # fmt: skip
GENERAL = {cell for cell in ALL if cell[1] == "school"}


@pytest.mark.requirement("F082")
async def test_special_categories_come_into_force_with_the_last_of_three_and_general_ones_with_the_youth(
    make_case: MakeCase,
) -> None:
    case = await make_case(15)
    mother, father = case.guardians
    await case.answer(mother)
    assert await case.cells() == set()
    await case.answer(case.subject)
    assert await case.cells() == GENERAL
    await case.answer(father)
    assert await case.cells() == ALL


@pytest.mark.requirement("F083")
async def test_each_cell_is_chosen_alone(make_case: MakeCase) -> None:
    case = await make_case(15)
    for who in (case.subject, *case.guardians):
        await case.answer(who)
    await case.answer(case.guardians[0], "no", only={"service": POLICE, "category": "health"})
    assert await case.cells() == ALL - {(POLICE, "health", "read")}
    await case.answer(case.subject, "no", only={"category": "school", "action": "contribute"})
    assert await case.cells() == ALL - {(POLICE, "health", "read"), (NURSE, "school", "contribute")}


async def test_a_small_childs_guardians_must_agree_on_every_service(make_case: MakeCase) -> None:
    case = await make_case(8)
    mother, father = case.guardians
    await case.answer(mother)
    await case.answer(father, only={"service": NURSE})
    assert await case.cells() == {cell for cell in ALL if cell[0] == NURSE}
    unasked = await case.desk.ask("GET", f"{case.path}/requests/{case.id}", person(case.subject), subject=case.subject)
    assert problem(unasked) == (404, "not-found")


async def test_a_changed_mind_ends_a_grant_and_begins_another_with_a_new_id(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    before = {grant["id"]: grant for grant in await case.grants()}
    await case.answer(case.subject, "no", only={"service": NURSE, "category": "health", "action": "contribute"})
    after = {grant["id"]: grant for grant in await case.grants()}
    kept, ended = before.keys() & after.keys(), before.keys() - after.keys()
    assert all(before[id_] == after[id_] for id_ in kept)
    assert ended
    for id_ in ended:
        assert before[id_]["recipient"] == f"service:{NURSE}"
        assert "health" in before[id_]["categories"]
    await case.answer(case.subject, "yes", only={"service": NURSE})
    again = {grant["id"]: grant for grant in await case.grants()}
    assert await case.cells() == ALL
    assert not again.keys() & ended


async def test_more_that_is_agreed_to_leaves_the_grants_there_are_alone(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.answer(case.subject)
    before = await case.grants()
    for guardian in case.guardians:
        await case.answer(guardian)
    after = await case.grants()
    assert await case.cells() == ALL
    assert all(grant in after for grant in before)


async def test_an_answer_is_pending_until_it_is_confirmed_and_then_in_force(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.desk.confirm()
    mother, father = case.guardians
    assert (await case.answer(mother)).json() == {"state": "answered", "change": None, "status": "confirmed"}
    youth = await case.answer(case.subject)
    assert youth.status_code == 202
    assert (youth.json()["state"], youth.json()["status"]) == ("answered", "pending")
    for who in (case.subject, mother):
        assert (await case.seen_by(person(who)))["state"] == "pending"
    await case.desk.confirm()
    assert (await case.seen_by(person(case.subject)))["state"] == "waiting"
    key = str(uuid4())
    assert (await case.answer(father, key=key)).status_code == 202
    assert (await case.seen_by(staff(NURSE)))["state"] == "pending"
    await case.desk.confirm()
    assert (await case.seen_by(staff(NURSE)))["state"] == "in-force"
    replay = await case.answer(father, key=key)
    assert (replay.status_code, replay.json()["state"], replay.json()["status"]) == (200, "in-force", "confirmed")


async def test_events_of_grants_wait_for_the_confirmation_and_come_once(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.desk.confirm()
    await case.answer(case.subject)
    query = "SELECT id, type, payload FROM outbox WHERE aggregateid = :s AND type LIKE 'consent.granted%' ORDER BY seq"
    assert await case.desk.rows(query, s=case.subject) == []
    await case.desk.confirm()
    rows = await case.desk.rows(query, s=case.subject)
    grants = {grant["id"]: grant for grant in await case.grants()}
    told = [json.loads(row[2]) for row in rows]
    assert {one["grant"] for one in told} == grants.keys()
    for one in told:
        assert one["recipient"] == grants[one["grant"]]["recipient"]
        assert one["from"].endswith("Z")
        assert one["until"] is not None
    await case.desk.confirm()
    assert len(await case.desk.rows(query, s=case.subject)) == len(rows)


@pytest.mark.requirement("F081")
@pytest.mark.requirement("F084")
@pytest.mark.requirement("F085")
async def test_every_answer_is_kept_with_its_evidence(make_case: MakeCase) -> None:
    case = await make_case(15)
    father = case.guardians[1]
    await case.answer(father, only={"category": "health"})
    await case.answer(father, "no", only={"category": "health"})
    rows = await case.desk.rows(
        "SELECT said, assurance, text_version, language, law_version, at IS NOT NULL FROM answer"
        " WHERE person::text = :p ORDER BY seq", p=father,
    )  # fmt: skip
    assert [row[0] for row in rows] == ["yes"] * 3 + ["no"] * 3
    assert {tuple(row)[1:] for row in rows} == {("high", "2026-11-2", "nn", current_law().version, True)}


@pytest.mark.requirement("F086")
async def test_a_grant_says_who_gave_it_in_which_capacity_and_on_which_basis(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    rows = await case.desk.rows(
        "SELECT recipient, basis, controller, granted_by, law_version FROM grants WHERE subject::text = :s"
        " AND 'health' = ANY(categories)", s=case.subject,
    )  # fmt: skip
    for row in rows:
        assert (row.basis, row.controller) == ("gdpr-6-1-a+9-2-a", "gamlebyen-health")
        assert row.law_version == current_law().version
        given = {one["person"]: one for one in row.granted_by}
        assert {id_: one["capacity"] for id_, one in given.items()} == {
            case.subject: "subject", case.guardians[0]: "guardian", case.guardians[1]: "guardian",
        }  # fmt: skip
        assert all(one["answers"] for one in given.values())


async def test_answers_and_their_evidence_can_be_neither_changed_nor_deleted(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.answer(case.subject)
    for statement in ("UPDATE answer SET said = 'no'", "DELETE FROM answer", "TRUNCATE answer"):
        with pytest.raises(Exception, match="only ever added"):
            async with case.desk.engine.begin() as conn:
                await conn.exec_driver_sql(statement)


async def test_two_who_answer_at_once_both_count(make_case: MakeCase) -> None:
    case = await make_case(8)
    mother, father = case.guardians
    for round_ in range(6):
        said = "yes" if round_ % 2 == 0 else "no"
        answers = await asyncio.gather(case.answer(mother, said), case.answer(father, said))
        assert {one.status_code for one in answers} <= {200, 202}
        assert await case.cells() == (ALL if said == "yes" else set())
    query = "SELECT version FROM change WHERE subject::text = :s ORDER BY version"
    versions = await case.desk.rows(query, s=case.subject)
    assert [row[0] for row in versions] == list(range(1, len(versions) + 1))
    live = await case.desk.rows("SELECT 1 FROM grants WHERE subject::text = :s AND ended IS NULL", s=case.subject)
    assert live == []


async def test_a_repeated_answer_under_one_key_is_recorded_once(make_case: MakeCase) -> None:
    case = await make_case(15)
    key = str(uuid4())
    first = await case.answer(case.subject, key=key)
    second = await case.answer(case.subject, key=key)
    assert first.json()["change"] == second.json()["change"]
    [[count]] = await case.desk.rows("SELECT count(*) FROM answer WHERE request::text = :r", r=case.id)
    assert count == len(ALL)
    other = await case.answer(case.subject, "no", key=key)
    assert problem(other) == (422, "idempotency-key-reused")


async def test_versions_only_grow_and_the_state_is_whole_each_time(make_case: MakeCase) -> None:
    case = await make_case(15)
    states = [await case.desk.state(case.subject)]
    mother, father = case.guardians
    for who, said in ((case.subject, "yes"), (mother, "yes"), (father, "yes"), (case.subject, "no")):
        await case.answer(who, said)
        states.append(await case.desk.state(case.subject))
    assert all(a["version"] <= b["version"] for a, b in pairwise(states))
    assert all(a["version"] < b["version"] for a, b in pairwise(states) if a["grants"] != b["grants"])
    assert states[0]["grants"] == states[-1]["grants"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"text_version": "2020-1"}, (409, "text-unknown")),
        ({"language": "fr"}, (409, "text-unknown")),
        ({"cells": [{"service": NURSE, "category": "school", "action": "read", "answer": "maybe"}]}, (422, "invalid")),
        ({"cells": []}, (422, "invalid")),
        ({"extra": 1}, (422, "invalid")),
        (
            {"cells": [{"service": POLICE, "category": "school", "action": "contribute", "answer": "yes"}]},
            (422, "cell-unknown"),
        ),
    ],
)
async def test_an_answer_that_does_not_fit_changes_nothing(
    make_case: MakeCase, change: dict[str, Any], expected: tuple[int, str]
) -> None:
    case = await make_case(15)
    assert problem(await case.answer(case.subject, **change)) == expected
    assert await case.desk.rows("SELECT 1 FROM answer WHERE request::text = :r", r=case.id) == []


async def test_a_guardian_cannot_answer_about_what_they_are_not_shown(make_case: MakeCase) -> None:
    case = await make_case(15, cells=[asked(NURSE, "health", "participants")])
    cells = [{"service": NURSE, "category": "participants", "action": "read", "answer": "yes"}]
    assert problem(await case.answer(case.guardians[0], cells=cells)) == (422, "cell-unknown")


async def test_an_answer_needs_the_highest_assurance(make_case: MakeCase) -> None:
    case = await make_case(15)
    assert problem(await case.answer(case.subject, assurance="substantial")) == (403, "assurance-too-low")


async def test_somebody_who_is_not_asked_finds_nothing_to_answer(make_case: MakeCase) -> None:
    case, other = await make_case(15), await make_case(15)
    body = {
        "cells": [{"service": NURSE, "category": "school", "action": "read", "answer": "yes"}],
        "text_version": "2026-11-2", "language": "nb",
    }  # fmt: skip
    for actor in (person(other.subject), staff(NURSE), person(str(uuid4()))):
        answer = await case.desk.ask(
            "POST", f"{case.path}/requests/{case.id}/answer", actor, body, subject=case.subject
        )
        assert problem(answer) == (404, "not-found")


async def test_a_no_is_told_as_denied_without_what_it_was_about(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.answer(case.guardians[0], "no")
    query = "SELECT payload FROM outbox WHERE type = 'consent.denied.v1' AND aggregateid = :s"
    [row] = await case.desk.rows(query, s=case.subject)
    expected = {"request": case.id, "subject": case.subject, "by": case.guardians[0], "manner": "digital"}
    assert json.loads(row[0]) == expected


async def test_two_requests_for_one_service_give_each_its_own_grant(make_case: MakeCase) -> None:
    first = await (await make_case(15)).everybody_agrees()
    cells = [asked(NURSE, "leisure", actions=("read",))]
    more = first.body | {"cells": cells, "guardians": [somebody(43), somebody(44)]}
    second = await Case(first.desk, more).made()
    await second.answer(second.subject)
    assert await second.cells() == ALL | {(NURSE, "leisure", "read")}
    await second.answer(second.subject, "no")
    assert await second.cells() == ALL
