"""Asking: who may, for whom, about what; and that nothing but the request exists before anybody has answered."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from consent.api import bodies, grant_bodies, look_bodies
from tests.consent.callers import (
    NURSE,
    POLICE,
    SCHOOL,
    Case,
    Desk,
    a_number,
    a_request,
    ahead,
    asked,
    born,
    person,
    problem,
    somebody,
    staff,
)
from tests.consent.conftest import MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_request_asks_the_youth_and_both_guardians_and_grants_nothing(make_case: MakeCase) -> None:
    case = await make_case(15)
    shown = await case.seen_by(staff(NURSE))
    assert {one["person"] for one in shown["answers"]} == {case.subject, *case.guardians}
    assert {one["state"] for one in shown["answers"]} == {"waiting"}
    state = await case.desk.state(case.subject)
    assert [grant["kind"] for grant in state["grants"] if grant["kind"] == "consent"] == []
    assert state["requests"] == [
        {"id": case.id, "asker": f"service:{NURSE}", "asked": sorted([case.subject, *case.guardians]), "open": True}
    ]


async def test_a_request_is_pending_until_every_gateway_knows_of_it(make_case: MakeCase) -> None:
    case = await make_case(15)
    assert (await case.seen_by(staff(NURSE)))["status"] == "pending"
    announced = "SELECT type FROM outbox WHERE aggregateid = :subject"
    assert await case.desk.rows(announced, subject=case.subject) == []
    await case.desk.confirm()
    assert (await case.seen_by(staff(NURSE)))["state"] == "waiting"
    assert await case.desk.rows(announced, subject=case.subject) == [("consent.requested.v1",)]


async def test_the_asker_sees_how_far_it_has_come_and_nothing_else(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.desk.confirm()
    await case.answer(case.subject, "no")
    await case.desk.confirm()
    shown = await case.seen_by(staff(NURSE))
    assert not {"why", "text", "mine"} & shown.keys()
    assert sorted(one["state"] for one in shown["answers"]) == ["answered", "waiting", "waiting"]
    assert "no" not in str(shown["answers"])


async def test_somebody_elses_service_does_not_find_the_request(make_case: MakeCase) -> None:
    case = await make_case(15)
    path = f"{case.path}/requests/{case.id}"
    stranger = await case.desk.ask("GET", path, staff(SCHOOL), subject=case.subject)
    nothing = await case.desk.ask("GET", f"{case.path}/requests/{uuid4()}", staff(NURSE), subject=case.subject)
    wrong = await case.desk.ask("GET", f"{case.path}/requests/1", staff(NURSE), subject=case.subject)
    assert problem(stranger) == (404, "not-found")
    assert stranger.content == nothing.content == wrong.content
    listed = await case.desk.ask("GET", f"{case.path}/requests", staff(SCHOOL), subject=case.subject)
    assert listed.json() == {"items": [], "next": None}


@pytest.mark.requirement("F084")
async def test_those_asked_read_why_and_the_text_in_their_own_language(make_case: MakeCase) -> None:
    case = await make_case(15)
    youth, father = await case.seen_by(person(case.subject)), await case.seen_by(person(case.guardians[1]))
    assert youth["why"] == "Mye fravær i høst."
    assert (youth["text"]["language"], father["text"]["language"]) == ("nb", "nn")
    assert f"Tjenesten {NURSE}" in youth["text"]["body"]
    assert youth["mine"] == []


async def test_the_language_asked_for_helps_where_there_is_no_text_in_the_persons_own(make_case: MakeCase) -> None:
    case = await make_case(15, language="fr")
    shown = await case.seen_by(person(case.subject), "de,en;q=0.5")
    assert shown["text"]["language"] == "en"
    assert f"The service {NURSE}" in shown["text"]["body"]


async def test_a_guardian_is_not_shown_what_the_youth_alone_decides_and_may_keep_to_themselves(
    make_case: MakeCase,
) -> None:
    case = await make_case(15, cells=[asked(NURSE, "health", "participants"), asked(POLICE, "police")])
    assert {c for cell in (await case.seen_by(person(case.subject)))["cells"] for c in cell["categories"]} == {
        "health", "participants", "police",
    }  # fmt: skip
    guardian = await case.seen_by(person(case.guardians[0]))
    assert {c for cell in guardian["cells"] for c in cell["categories"]} == {"health", "police"}


async def test_an_adult_is_asked_alone(make_case: MakeCase) -> None:
    case = await make_case(30, guardians=[], responsibility="ukjent")
    assert [one["person"] for one in (await case.seen_by(staff(NURSE)))["answers"]] == [case.subject]


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"responsibility": "ukjent"}, "responsibility-unknown"),
        ({"responsibility": "mor"}, "responsibility-incomplete"),
        ({"guardians": []}, "responsibility-incomplete"),
        ({"purpose": "research"}, "purpose-unknown"),
        ({"until": "2020-01-01"}, "period-invalid"),
        ({"until": ahead(4000)}, "period-invalid"),
        ({"birth_date": ahead(2)}, "birth-date-invalid"),
        ({"cells": [asked("no-such-service", "school")]}, "service-unknown"),
        ({"cells": [asked(NURSE, "no-such-category")]}, "category-unknown"),
        ({"cells": [asked(NURSE, "looks")]}, "category-unknown"),
        ({"national_id": "12345678910"}, "national-id-invalid"),
        ({"national_id": a_number(born(15), synthetic=False)}, "national-id-not-accepted"),
        ({"asker": POLICE}, "asker-unclear"),
    ],
)
async def test_what_is_against_the_rules_changes_nothing(desk: Desk, change: dict[str, Any], slug: str) -> None:
    body = a_request(15, **change)
    counts = "SELECT (SELECT count(*) FROM person), (SELECT count(*) FROM request), (SELECT count(*) FROM change)"
    before = await desk.rows(counts)
    answer = await desk.ask("POST", "/requests", staff(NURSE), body)
    assert problem(answer) == (422, slug)
    assert await desk.rows(counts) == before
    assert body["national_id"] not in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"level": "1"},
        {"level": True},
        {"why": "x" * 2001},
        {"why": ""},
        {"given_name": "x" * 121},
        {"given_name": "a\u0000b"},
        {"birth_date": 1},
        {"birth_date": "2011-3-1"},
        {"until": "soon"},
        {"cells": []},
        {"cells": [asked(NURSE, "school", actions=("delete",))]},
        {"guardians": [somebody(40)] * 7},
        {"national_id": 12345678910},
        {"purpose": "Ola; DROP"},
    ],
)
async def test_a_body_of_the_wrong_form_is_refused_without_an_echo(desk: Desk, change: dict[str, Any]) -> None:
    body = a_request(15, **change)
    answer = await desk.ask("POST", "/requests", staff(NURSE), body)
    assert problem(answer) == (422, "invalid")
    for value in (body["national_id"], body["family_name"], "DROP", "unknown"):
        assert str(value) not in answer.text


async def test_a_guardian_who_is_the_subject_or_named_twice_is_refused(desk: Desk) -> None:
    mother = somebody(43)
    for body in (a_request(15, guardians=[mother, mother]), a_request(15) | {"guardians": [mother, somebody(44)]}):
        if body["guardians"][1] != mother:
            body["guardians"][1]["national_id"] = body["national_id"]
        assert problem(await desk.ask("POST", "/requests", staff(NURSE), body)) == (422, "same-person")


async def test_no_guardians_are_taken_for_an_adult(desk: Desk) -> None:
    answer = await desk.ask("POST", "/requests", staff(NURSE), a_request(18))
    assert problem(answer) == (422, "guardians-not-asked")


@pytest.mark.parametrize("actor", [staff(NURSE, role="leader"), staff(NURSE, role="admin"), person(str(uuid4()))])
async def test_only_professionals_ask(desk: Desk, actor: Any) -> None:
    assert problem(await desk.ask("POST", "/requests", actor, a_request(15))) == (403, "not-allowed")


async def test_staff_of_several_services_say_for_which_they_ask(desk: Desk) -> None:
    both = staff(NURSE, SCHOOL)
    assert problem(await desk.ask("POST", "/requests", both, a_request(15))) == (422, "asker-unclear")
    made = await desk.ask("POST", "/requests", both, a_request(15, asker=SCHOOL))
    assert made.status_code == 201
    [[asker]] = await desk.rows("SELECT asker FROM request WHERE id::text = :id", id=made.json()["id"])
    assert asker == SCHOOL


async def test_a_repeated_request_under_one_key_is_one_request(desk: Desk) -> None:
    body, key = a_request(15), str(uuid4())
    first, *rest = [await desk.ask("POST", "/requests", staff(NURSE), body, key=key) for _ in range(3)]
    assert {(one.status_code, one.content) for one in rest} == {(201, first.content)}
    together = await asyncio.gather(
        *(desk.ask("POST", "/requests", staff(NURSE), a_request(15) | body, key=key + "!") for _ in range(4))
    )
    assert {one.json()["id"] for one in together} == {together[0].json()["id"]}
    another = await desk.ask("POST", "/requests", staff(NURSE), body | {"level": 2}, key=key)
    assert problem(another) == (422, "idempotency-key-reused")
    [[count]] = await desk.rows("SELECT count(*) FROM request WHERE subject::text = :s", s=first.json()["subject"])
    assert count == 2


async def test_what_is_stored_about_people_is_sealed(make_case: MakeCase) -> None:
    case = await make_case(15, why="Et hemmelig ord: kanarifugl")
    body = case.body
    dumps = [
        (await case.desk.rows(f"SELECT string_agg(t::text, '') FROM {table} t"))[0][0]
        for table in ("person", "person_number", "request")
    ]
    for secret in (body["national_id"], body["family_name"], body["given_name"], "kanarifugl"):
        for form in (secret, secret.encode().hex()):
            assert form not in "".join(dumps)


async def test_events_and_state_hold_ids_and_codes_only(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    rows = await case.desk.rows("SELECT payload FROM outbox WHERE aggregateid = :s", s=case.subject)
    said = b"".join(bytes(row[0]) for row in rows).decode() + str(await case.desk.state(case.subject))
    for secret in (case.body["national_id"], case.body["family_name"], case.body["birth_date"], case.body["why"]):
        assert secret not in said


async def test_an_unsigned_request_gets_nowhere(desk: Desk) -> None:
    answer = await desk.client.post("/requests", json=a_request(15))
    assert problem(answer) == (401, "not-signed")


async def test_a_second_asker_neither_changes_the_person_nor_learns_that_they_were_known(make_case: MakeCase) -> None:
    first = await make_case(15)
    desk, body = first.desk, first.body
    older = body | {"birth_date": born(19).isoformat(), "family_name": "Nyttnavn", "responsibility": "felles"}
    made = await desk.ask("POST", "/requests", staff(SCHOOL), older)
    fresh = await desk.ask("POST", "/requests", staff(SCHOOL), a_request(15))
    assert made.status_code == fresh.status_code == 201
    assert made.json()["subject"] == first.subject
    assert {k: type(v) for k, v in made.json().items()} == {k: type(v) for k, v in fresh.json().items()}
    assert len(made.json()["asked_state"]) == len(fresh.json()["asked_state"]) == 3
    identity = await desk.ask(
        "GET", f"{first.path}/identity", person(first.subject), subject=first.subject, permit=first.permit("school")
    )
    assert identity.json() == {k: body[k] for k in ("given_name", "family_name", "birth_date")} | {"due_date": None}


async def test_a_guardian_named_later_must_agree_but_sees_nothing_by_law(make_case: MakeCase) -> None:
    first = await make_case(10, guardians=[somebody(40)], responsibility="mor")
    mother = first.guardians[0]
    newcomer = somebody(44)
    body = first.body | {"guardians": [newcomer], "responsibility": "far"}
    second = await Case(first.desk, body).made()
    father = await second.person(newcomer["national_id"])
    asked_people = {one["person"] for one in (await second.seen_by(staff(NURSE)))["answers"]}
    assert asked_people == {mother, father}
    grants = (await first.desk.state(first.subject))["grants"]
    assert {grant["recipient"] for grant in grants if grant["kind"] == "parental"} == {f"person:{mother}"}


async def test_a_guardian_cannot_tell_from_the_progress_that_there_are_cells_they_are_not_shown(
    make_case: MakeCase,
) -> None:
    hidden = await make_case(15, cells=[asked(NURSE, "health", "participants")])
    plain = await make_case(15, cells=[asked(NURSE, "health")])

    async def shown(case: Case) -> dict[str, Any]:
        seen = await case.seen_by(person(case.guardians[0]))
        states = {one["person"]: one["state"] for one in seen["answers"]}
        return {"state": seen["state"], "status": seen["status"], "cells": seen["cells"], "youth": states[case.subject]}

    for case in (hidden, plain):
        await case.desk.confirm()
        for guardian in case.guardians:
            await case.answer(guardian)
    await hidden.answer(hidden.subject, only={"category": "participants"})
    assert await shown(hidden) == await shown(plain)
    for case in (hidden, plain):
        await case.answer(case.subject, only={"category": "health"})
        await case.desk.confirm()
    await hidden.answer(hidden.subject, "no", only={"category": "participants"})
    await hidden.desk.confirm()
    assert (await shown(hidden))["state"] == "in-force"
    assert await shown(hidden) == await shown(plain)


async def test_every_answer_has_the_published_form(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    youth = person(case.subject)
    made = await case.desk.ask("POST", "/requests", staff(NURSE), a_request(15))
    withdrawn = await case.withdraw(case.subject, POLICE)
    forms: dict[type[BaseModel], Any] = {
        bodies.MadeRequest: made.json(),
        bodies.RequestView: await case.seen_by(youth),
        bodies.AnswerView: (await case.answer(case.subject, only={"service": NURSE})).json(),
        bodies.WithdrawalView: withdrawn.json(),
    }
    lists: dict[str, type[BaseModel]] = {
        "grants": grant_bodies.GrantList,
        "looks": look_bodies.LookList,
        "identity": bodies.IdentityView,
    }
    for path, listing in lists.items():
        permit = case.permit("school", "grants", "looks")
        answer = await case.desk.ask("GET", f"{case.path}/{path}", youth, subject=case.subject, permit=permit)
        forms[listing] = answer.json()
    for form, body in forms.items():
        read = form.model_validate(body)
        assert read.model_dump(mode="json", by_alias=True) == body
    listed = await case.desk.ask("GET", f"{case.path}/requests", staff(NURSE), subject=case.subject)
    bodies.RequestList.model_validate(listed.json())


async def test_what_follows_a_request_goes_on_under_its_trace(make_case: MakeCase) -> None:
    case = await make_case(15)
    [[body]] = await case.desk.rows("SELECT body FROM change WHERE subject::text = :s", s=case.subject)
    assert body["traceparent"].startswith("00-")
    await case.desk.confirm()
    [[headers]] = await case.desk.rows("SELECT headers FROM outbox WHERE aggregateid = :s", s=case.subject)
    assert headers["traceparent"] == body["traceparent"]
