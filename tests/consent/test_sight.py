"""Who sees whom and what by law: identity, grants, looks; matching a log-in to a person."""

import asyncio
from datetime import date
from uuid import uuid4

import pytest

from chassis.keys import KeyGone, SubjectKeys
from chassis.permit import Actor
from consent.handlers.ledger import Record
from consent.handlers.people import Registry
from consent.handlers.tables import current_law
from consent.model.law import birthday
from tests.consent.callers import CATEGORIES, NURSE, POLICE, WELFARE, asked, person, problem, somebody, staff
from tests.consent.conftest import MakeCase
from tests.consent.looking import append, look, looks

pytestmark = pytest.mark.asyncio(loop_scope="session")
LAW = current_law()


async def test_the_subject_sees_every_look_and_every_refusal_with_its_reason(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    seen = look(case.subject, staff(NURSE), "health", grants=("g1",))
    refused = look(case.subject, staff(POLICE), refused="no-grant")
    await append(case, seen, refused)
    items = (await looks(case, person(case.subject)))["items"]
    assert isinstance(items, list)
    assert [item["id"] for item in items] == [refused.id, seen.id]
    assert (items[0]["outcome"], items[0]["reason"]) == ("refused", "no-grant")
    assert (items[1]["categories"], items[1]["grants"], items[1]["actor"]["services"]) == (["health"], ["g1"], [NURSE])
    assert items[1]["held_back"] is None


async def test_a_guardian_sees_looks_at_what_they_see_under_grants_they_were_asked_about(make_case: MakeCase) -> None:
    cells = [asked(NURSE, "school", "health"), asked(WELFARE, "participants")]
    case = await (await make_case(15, cells=cells)).everybody_agrees()
    mother = case.guardians[0]
    [nurse] = [g["id"] for g in await case.grants() if "health" in g["categories"]]
    [secret] = [g["id"] for g in await case.grants() if "participants" in g["categories"]]
    shown = look(case.subject, staff(NURSE), "health", "police", "school", grants=(nurse, secret))
    own = look(case.subject, person(mother), "school", grants=("by-law",))
    await append(
        case, shown, own,
        look(case.subject, staff(WELFARE), "participants", grants=(secret,)),
        look(case.subject, staff(WELFARE), "school", grants=(secret,)),
        look(case.subject, staff(POLICE), refused="no-grant"),
        look(case.subject, person(case.subject), "school"),
        look(case.subject, person(case.guardians[1]), "school"),
    )  # fmt: skip
    found = await looks(case, person(mother), "school", "health")
    items = found["items"]
    assert isinstance(items, list)
    assert {item["id"] for item in items} == {shown.id, own.id}
    [cut] = [item for item in items if item["id"] == shown.id]
    assert cut["categories"] == ["health", "school"]
    assert cut["grants"] == [nurse]
    assert found["next"] is None


async def test_a_look_that_was_held_back_says_so(make_case: MakeCase) -> None:
    case = await make_case(15)
    seen = look(case.subject, staff(NURSE), "school")
    held = [
        Record(str(uuid4()), "held-back", case.subject, None, {"record": seen.id, "reason": reason}, about=seen.id)
        for reason in ("withdrawn", "again")
    ]
    await append(case, seen, *held)
    items = (await looks(case, person(case.subject)))["items"]
    assert isinstance(items, list)
    assert [(item["id"], item["held_back"]) for item in items] == [(seen.id, "withdrawn")]


async def test_pages_of_looks_join_without_gaps_and_cursors_are_ones_own(make_case: MakeCase) -> None:
    case, other = await make_case(15), await make_case(15)
    records = [look(case.subject, staff(NURSE), "school") for _ in range(7)]
    await append(case, *records)
    found: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = await looks(case, person(case.subject), limit="3", **after)
        assert isinstance(page["items"], list)
        found += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = {"after": str(page["next"])}
    assert found == [record.id for record in reversed(records)]
    foreign = await case.desk.ask(
        "GET", f"{other.path}/looks?after={after['after']}", person(other.subject), subject=other.subject,
        permit=other.permit("looks"),
    )  # fmt: skip
    assert problem(foreign) == (400, "invalid-cursor")


async def test_a_grant_list_is_cut_to_what_its_reader_may_know(make_case: MakeCase) -> None:
    cells = [asked(NURSE, "school", "health"), asked(POLICE, "participants")]
    case = await (await make_case(15, cells=cells)).everybody_agrees()

    async def listed(actor: Actor, *categories: str) -> list[dict[str, object]]:
        answer = await case.desk.ask(
            "GET", f"{case.path}/grants", actor, subject=case.subject, permit=case.permit("grants", *categories)
        )
        return list(answer.json()["items"])

    mine = await listed(person(case.subject))
    assert {item["kind"] for item in mine} == {"consent", "self", "parental"}
    agreed = {item["recipient"] for item in mine if item["kind"] == "consent"}
    assert agreed == {f"service:{NURSE}", f"service:{POLICE}"}
    mother = case.guardians[0]
    theirs = await listed(person(mother), "school", "health")
    assert {item["recipient"] for item in theirs} == {f"service:{NURSE}", f"person:{mother}"}
    assert {item["state"] for item in theirs} == {"in-force"}


@pytest.mark.requirement("F194")
async def test_the_list_says_how_many_services_take_part_and_how_to_end_each_in_one_call(make_case: MakeCase) -> None:
    cells = [asked(NURSE, "school", "health"), asked(POLICE, "participants")]
    case = await (await make_case(15, cells=cells)).everybody_agrees()

    async def listed(actor: Actor, *categories: str) -> dict[str, object]:
        permit = case.permit("grants", *categories)
        path = f"{case.path}/grants"
        return dict((await case.desk.ask("GET", path, actor, subject=case.subject, permit=permit)).json())

    mine = await listed(person(case.subject))
    assert mine["services"] == 2
    assert isinstance(mine["items"], list)
    of = {item["recipient"]: item for item in mine["items"] if item["kind"] == "consent"}
    assert {item["name"] for item in of.values()} == {f"Tjenesten {NURSE}", f"Tjenesten {POLICE}"}
    assert {item["end"] for item in mine["items"] if item["kind"] != "consent"} == {None}
    theirs = await listed(person(case.guardians[0]), "school", "health")
    assert theirs["services"] == 1
    end = of[f"service:{NURSE}"]["end"]
    assert end == {
        "method": "POST", "href": f"{case.path}/withdrawals", "body": {"recipient": f"service:{NURSE}"},
    }  # fmt: skip
    done = await case.desk.ask(end["method"], end["href"], person(case.subject), end["body"], subject=case.subject)
    assert done.status_code == 202
    ending = await listed(person(case.subject))
    assert ending["services"] == 1
    assert isinstance(ending["items"], list)
    left = [item for item in ending["items"] if item["recipient"] == f"service:{NURSE}"]
    assert {(item["state"], item["end"]) for item in left} == {("ending", None)}
    await case.desk.confirm()
    assert (await listed(person(case.subject)))["services"] == 1


async def test_a_guardian_whose_yes_was_not_needed_is_offered_no_end(make_case: MakeCase) -> None:
    case = await (await make_case(15, cells=[asked(NURSE, "school")])).everybody_agrees()
    answer = await case.desk.ask(
        "GET", f"{case.path}/grants", person(case.guardians[0]), subject=case.subject,
        permit=case.permit("grants", "school"),
    )  # fmt: skip
    ends = [item["end"] for item in answer.json()["items"] if item["kind"] == "consent"]
    refused = await case.withdraw(case.guardians[0], NURSE)
    assert (ends == [None] * len(ends)) is (refused.status_code == 404)


async def test_grants_by_law_are_in_the_state_and_end_on_birthdays(make_case: MakeCase) -> None:
    case = await make_case(15)
    grants = [g for g in (await case.desk.state(case.subject))["grants"] if g["kind"] != "consent"]
    own = {c for g in grants if g["recipient"] == f"person:{case.subject}" for c in g["categories"]}
    assert own >= {*CATEGORIES, "looks", "grants"}
    for guardian in case.guardians:
        until = {c: g["until"] for g in grants if g["recipient"] == f"person:{guardian}" for c in g["categories"]}
        assert until.keys() & {*CATEGORIES, "looks", "grants"} == {"school", "leisure", "health", "looks", "grants"}
        birth = date.fromisoformat(case.body["birth_date"])
        assert until["health"] == LAW.starts(birthday(birth, 16))
        assert until["school"] == LAW.starts(birthday(birth, 18))


async def test_names_are_shown_only_under_a_permit_to_read(make_case: MakeCase) -> None:
    case = await make_case(15)
    path, actor = f"{case.path}/identity", staff(NURSE)
    shown = await case.desk.ask("GET", path, actor, subject=case.subject, permit=case.permit("school"))
    assert shown.json() == {k: case.body[k] for k in ("given_name", "family_name", "birth_date")} | {"due_date": None}
    assert shown.headers["etag"]
    without = await case.desk.ask("GET", path, actor, subject=case.subject)
    contribute = case.permit("school", action="contribute")
    writing = await case.desk.ask("GET", path, actor, subject=case.subject, permit=contribute)
    assert {(one.status_code, one.content) for one in (without, writing)} == {(404, without.content)}


async def test_lists_need_a_permit(make_case: MakeCase) -> None:
    case = await make_case(15)
    for what in ("grants", "looks"):
        answer = await case.desk.ask("GET", f"{case.path}/{what}", person(case.subject), subject=case.subject)
        assert problem(answer) == (404, "not-found")


async def test_a_log_in_is_matched_by_number_for_the_gateway_alone(make_case: MakeCase) -> None:
    case = await make_case(15)
    body = {"national_id": case.body["national_id"]}
    assert await case.person(body["national_id"]) == case.subject
    for actor in (staff(NURSE), person(case.subject)):
        assert problem(await case.desk.ask("POST", "/inner/people/match", actor, body)) == (403, "not-allowed")
    gateway = Actor("gateway", None)
    unknown = [somebody(20)["national_id"], "12345678910", "02013299997"]
    answers = [await case.desk.ask("POST", "/inner/people/match", gateway, {"national_id": one}) for one in unknown]
    assert {(one.status_code, one.content) for one in answers} == {(404, answers[0].content)}


async def test_there_are_never_two_people_for_one_number(make_case: MakeCase) -> None:
    first = await make_case(15)
    mother, father = somebody(43), somebody(44)
    bodies = []
    for number in range(8):
        pair = [mother, father] if number % 2 else [father, mother]
        bodies.append(first.body | somebody(15) | {"guardians": pair})
    made = await asyncio.gather(*(first.desk.ask("POST", "/requests", staff(NURSE), body) for body in bodies))
    assert {one.status_code for one in made} == {201}
    people = {asked_["person"] for one in made for asked_ in one.json()["asked_state"]}
    guardians = people - {one.json()["subject"] for one in made}
    assert len(guardians) == 2
    again = await asyncio.gather(*(first.desk.ask("POST", "/requests", staff(NURSE), bodies[0]) for _ in range(4)))
    assert {one.json()["subject"] for one in again} == {made[0].json()["subject"]}


async def test_a_person_whose_key_was_destroyed_is_no_longer_found_by_name(
    make_case: MakeCase, keys: SubjectKeys
) -> None:
    case = await make_case(15)
    registry = Registry(keys, b"h" * 32, frozenset({"skatteetaten"}))
    async with case.desk.engine.connect() as conn:
        assert (await registry.identity(conn, case.subject)).family_name == "Testvik"
        await keys.destroy(case.subject)
        with pytest.raises(KeyGone):
            await registry.identity(conn, case.subject)
