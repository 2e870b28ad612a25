"""Companions write for a person and see nothing by it; the paper form that they, or staff, bring back."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from gateway.model.paper import written as written_page
from tests.consent.callers import NURSE, POLICE, Case, Desk, ahead, asked, person, problem, staff
from tests.consent.conftest import MakeCase
from tests.consent.paper import (
    NURSE_STAFF,
    at,
    backed,
    cells_of,
    code_on,
    employ,
    everything,
    form,
    named,
    registered_answer,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
_ALONE = [asked(NURSE, "school", "health"), asked(POLICE, "school", actions=("read",))]


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def staffed(desk: Desk) -> None:
    await employ(desk)


async def adult(make_case: MakeCase) -> Case:
    return await make_case(34, guardians=[], cells=_ALONE)


async def written(case: Case, friend: str, code: str, said: str = "yes", **more: Any) -> Any:
    body = {"person": case.subject, "form": code, "cells": await cells_of(case, case.subject, said)} | more
    return await case.desk.ask("POST", f"{case.path}/written-answers", person(friend), body, subject=case.subject)


@pytest.mark.requirement("F077")
async def test_a_companion_answers_what_is_on_the_paper_and_sees_a_receipt(make_case: MakeCase) -> None:
    case = await adult(make_case)
    _, friend = await named(case, person(case.subject))
    code = code_on(await form(case, NURSE_STAFF))
    assert "consent.registered.v1" not in await case.events()
    answer = await written(case, friend, code.lower().replace("-", " "))
    assert answer.status_code == 201, answer.text
    assert (await case.events()).count("consent.registered.v1") == 1
    assert answer.json().keys() == {"id", "at"}
    assert {cell[0] for cell in await case.cells()} == {NURSE, POLICE}
    seen = await case.seen_by(person(case.subject))
    [shown] = seen["registered"]
    assert (shown["manner"], shown["by"]) == ("companion", {"kind": "person", "id": friend})
    assert {one["manner"] for one in seen["mine"]} == {"companion"}
    rows = await case.desk.rows("SELECT DISTINCT assurance FROM answer WHERE request::text = :r", r=case.id)
    assert [row[0] for row in rows] == ["companion"]


@pytest.mark.requirement("F077")
async def test_a_companion_gains_no_sight(make_case: MakeCase) -> None:
    case = await adult(make_case)
    _, friend = await named(case, person(case.subject))
    for path in ("requests", f"requests/{case.id}", "companions"):
        answer = await case.desk.ask("GET", f"{case.path}/{path}", person(friend), subject=case.subject)
        assert answer.status_code == 404 or answer.json()["items"] == []
    assert friend not in str(
        await case.desk.state(case.subject)
    )  # the gateway decides from this: every read is refused
    printed = await form(case, person(friend))
    assert problem(printed) == (404, "not-found")
    mine = await case.desk.ask("GET", "/companionships", person(friend))
    [one] = mine.json()["items"]
    assert (one["subject"], one["person"], one["acts"]) == (case.subject, case.subject, ["answer"])
    assert one.keys() == {"id", "kind", "acts", "named_at", "until", "state", "ended_at", "subject", "person"}


async def test_a_companion_writes_only_for_whom_what_and_as_long_as_they_were_named(make_case: MakeCase) -> None:
    case, other = await adult(make_case), await adult(make_case)
    made, friend = await named(case, person(case.subject))
    code, foreign = code_on(await form(case, NURSE_STAFF)), code_on(await form(other, NURSE_STAFF))
    _, withdrawer = await named(case, person(case.subject), acts=["withdraw"])
    before = await everything(case)
    for who in (withdrawer, str(uuid4())):
        assert problem(await written(case, who, code)) == (404, "not-found")
    assert problem(await written(other, friend, foreign)) == (404, "not-found")
    assert problem(await written(case, friend, foreign)) == (422, "form-unknown")
    assert problem(await written(case, friend, code, person=other.subject)) == (404, "not-found")
    cells = await cells_of(case, case.subject, "yes")
    both = [*cells, {**cells[0], "answer": "no"}]
    assert problem(await written(case, friend, code, cells=both)) == (422, "answers-contradict")
    assert await everything(case) == before
    where = f"{case.path}/companions/{made.json()['id']}/end"
    assert problem(await case.desk.ask("POST", where, person(other.subject), subject=case.subject)) == (
        404, "not-found",
    )  # fmt: skip
    assert (await case.desk.ask("POST", where, person(case.subject), subject=case.subject)).status_code == 200
    assert problem(await written(case, friend, code)) == (404, "not-found")
    assert (await case.desk.ask("GET", "/companionships", person(friend))).json()["items"] == []


async def test_a_paper_speaks_once_and_never_against_what_the_person_said_since(make_case: MakeCase) -> None:
    case = await adult(make_case)
    _, friend = await named(case, person(case.subject))
    code = code_on(await form(case, NURSE_STAFF))
    assert (await written(case, friend, code)).status_code == 201
    await case.withdraw(case.subject, POLICE)
    assert problem(await written(case, friend, code)) == (409, "answer-overtaken")
    assert {cell[0] for cell in await case.cells()} == {NURSE}
    anew = code_on(await form(case, NURSE_STAFF))
    assert (await written(case, friend, anew)).status_code == 201
    assert {cell[0] for cell in await case.cells()} == {NURSE, POLICE}


async def test_staff_register_a_companion_with_a_witness_for_a_person_who_cannot(make_case: MakeCase) -> None:
    case = await adult(make_case)
    before = await everything(case)
    bare, _ = await named(case, NURSE_STAFF)
    unwitnessed, _ = await named(case, NURSE_STAFF, registered=backed(witness=None))
    assert problem(bare) == problem(unwitnessed) == (422, "witness-needed")
    strange, _ = await named(case, staff(POLICE), registered=backed())
    assert problem(strange) == (404, "not-found")
    assert await everything(case) == before
    made, friend = await named(case, NURSE_STAFF, registered=backed(manner="oral", statement="Han ba om det."))
    assert made.status_code == 201, made.text
    listed = await case.desk.ask("GET", f"{case.path}/companions", person(case.subject), subject=case.subject)
    [one] = listed.json()["items"]
    assert (one["called"], one["manner"], one["state"], one["acts"]) == ("Prøve Testvik", "oral", "live", ["answer"])
    assert friend not in listed.text and case.subject not in listed.text
    assert [row[0] for row in await case.desk.rows(
        "SELECT way FROM given_otherwise WHERE subject::text = :s", s=case.subject
    )] == ["naming"]  # fmt: skip


async def test_nobody_writes_both_for_themselves_and_for_another(make_case: MakeCase) -> None:
    case = await make_case(15)
    mother = case.body["guardians"][0]
    before = await everything(case)
    unfit, _ = await named(case, person(case.subject), mother)
    itself, _ = await named(case, person(case.subject), {k: case.body[k] for k in mother})
    assert problem(unfit) == problem(itself) == (422, "companion-unfit")
    for until in (ahead(-1), ahead(4000)):
        ends, _ = await named(case, person(case.subject), until=until)
        assert problem(ends) == (422, "period-invalid")
    stranger, _ = await named(case, person(str(uuid4())))
    assert problem(stranger) == (404, "not-found")
    assert await everything(case) == before


@pytest.mark.requirement("F084")
async def test_the_form_says_all_that_must_be_said_ticks_nothing_and_names_nobody(make_case: MakeCase) -> None:
    case = await make_case(15, language="en")
    printed = await form(case, NURSE_STAFF)
    assert printed.status_code == 200, printed.text
    assert printed.headers["content-type"].startswith("application/vnd.samlogg.paper+json")
    body = printed.json()
    paper, shown = body["paper"], (await case.seen_by(person(case.subject)))
    assert (paper["form"], paper["language"]) == ("print", "en")
    for paragraph in shown["text"]["body"].split("\n\n"):
        assert paragraph in paper["before"]
    assert {one["cell"] for one in body["items"]} == {
        f"{c['service']}/{category}/{action}"
        for c in shown["cells"] for category in c["categories"] for action in c["actions"]
    }  # fmt: skip
    assert {(one["yes"], one["no"]) for one in body["items"]} == {("\u2610", "\u2610")}
    assert any("withdraw at any time" in one for one in paper["after"])
    for private in (case.subject, case.id, "Testvik", case.body["national_id"], *case.guardians):
        assert private not in printed.text
    page = written_page(body, whole=False).content.decode()
    assert page.count("\u2610") == 2 * len(body["items"])
    assert code_on(printed) in page and "<input" not in page and "\u2611" not in page
    codes = {code_on(await form(case, NURSE_STAFF)) for _ in range(3)} | {code_on(printed)}
    assert len(codes) == 4


@pytest.mark.requirement("F085")
async def test_a_form_is_in_the_persons_language_from_its_title_to_its_last_line(make_case: MakeCase) -> None:
    case = await make_case(34, guardians=[], cells=_ALONE, language="ar")
    printed = (await form(case, NURSE_STAFF)).json()
    paper = printed["paper"]
    assert (paper["language"], paper["direction"], paper["title"]) == ("ar", "rtl", "سؤال عن الموافقة")
    assert {one["may"] for one in printed["items"]} == {"القراءة", "الكتابة"}
    last = datetime.fromisoformat(case.body["until"])
    assert any(last.strftime("%d/%m/%Y").lstrip("0") in one for one in paper["before"])
    assert '<html lang="ar" dir="rtl">' in written_page(printed, whole=False).content.decode()


async def test_a_guardians_form_holds_only_what_the_guardian_is_shown(make_case: MakeCase) -> None:
    case = await make_case(
        15, cells=[asked(NURSE, "health", "participants"), asked(POLICE, "police", actions=("read",))]
    )
    for who in case.guardians:
        shown = await case.seen_by(person(who))
        cells = {
            f"{c['service']}/{one}/{action}"
            for c in shown["cells"]
            for one in c["categories"]
            for action in c["actions"]
        }
        assert not any("participants" in cell for cell in cells)
        for printed in (await form(case, NURSE_STAFF, who), await form(case, person(who))):
            assert {one["cell"] for one in printed.json()["items"]} == cells
    other = await adult(make_case)
    before = await everything(case)
    assert problem(await form(case, person(case.guardians[0]), case.subject)) == (404, "not-found")
    assert problem(await form(case, NURSE_STAFF, other.subject)) == (422, "not-asked")
    assert problem(await form(case, staff(POLICE))) == (404, "not-found")
    assert await everything(case) == before


async def test_the_code_finds_the_request_back_for_the_service_that_asked_and_for_nobody_else(
    make_case: MakeCase,
) -> None:
    case = await adult(make_case)
    code = code_on(await form(case, NURSE_STAFF))
    found = await case.desk.ask("GET", f"/forms/{code.lower()}", NURSE_STAFF)
    assert found.json().items() >= {"subject": case.subject, "request": case.id, "person": case.subject}.items()
    for who in (staff(POLICE), person(case.subject), staff(NURSE, role="admin")):
        assert problem(await case.desk.ask("GET", f"/forms/{code}", who)) == (404, "not-found")
    assert problem(await case.desk.ask("GET", "/forms/00000-00000", NURSE_STAFF)) == (404, "not-found")


async def test_a_paper_answer_counts_by_the_text_on_the_form_also_when_another_one_is_in_use(
    make_case: MakeCase, desk: Desk
) -> None:
    case = await adult(make_case)
    code = code_on(await form(case, NURSE_STAFF))
    async with desk.engine.begin() as conn:
        from sqlalchemy import text

        await conn.execute(text("ALTER TABLE paper_form DISABLE TRIGGER only_add"))
        await conn.execute(text("UPDATE paper_form SET text_version = 'older-1' WHERE code = :c"), {"c": code})
        await conn.execute(text("ALTER TABLE paper_form ENABLE TRIGGER only_add"))
    answer = await registered_answer(case, case.subject, form=code.lower(), text_version=None, given_at=at())
    assert answer.status_code == 202, answer.text
    rows = await case.desk.rows("SELECT DISTINCT text_version FROM answer WHERE request::text = :r", r=case.id)
    assert [row[0] for row in rows] == ["older-1"]
    [shown] = (await case.seen_by(person(case.subject)))["registered"]
    assert shown["form"] == code
    other = await adult(make_case)
    assert problem(await registered_answer(other, other.subject, form=code)) == (422, "form-unknown")
