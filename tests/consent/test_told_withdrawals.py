"""Withdrawals told to somebody: taken at once, with no witness, confirmed like every other, and telling nobody more."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from chassis.permit import Actor
from consent.storage import ledger
from tests.consent.callers import NURSE, POLICE, SCHOOL, WELFARE, Case, Desk, asked, person, problem, somebody, staff
from tests.consent.conftest import MakeCase
from tests.consent.paper import NURSE_STAFF, PLACE, SAID, at, employ, everything, named, registered_answer, told

pytestmark = pytest.mark.asyncio(loop_scope="session")
_ALONE = [asked(NURSE, "school", "health"), asked(POLICE, "school", actions=("read",))]
CONSTABLE, WELFARER = staff(POLICE), staff(WELFARE)


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def staffed(desk: Desk) -> None:
    await employ(desk)


async def agreed(make_case: MakeCase) -> Case:
    """An adult whose paper consent is in force."""
    case = await make_case(34, guardians=[], cells=_ALONE)
    await registered_answer(case, case.subject)
    await case.desk.confirm()
    return case


async def looks(case: Case, actor: Actor | None = None) -> list[dict[str, Any]]:
    """The list of looks as the subject sees it."""
    reader = actor or person(case.subject)
    answer = await case.desk.ask("GET", f"{case.path}/looks", reader, subject=case.subject, permit=case.permit("looks"))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


@pytest.mark.parametrize("by", [NURSE_STAFF, CONSTABLE, staff(POLICE, role="admin")], ids=["asked", "holds", "role"])
async def test_it_is_taken_from_whoever_is_told_pending_and_then_confirmed(make_case: MakeCase, by: Actor) -> None:
    case = await agreed(make_case)
    answer = await told(case, by, recipient=f"service:{NURSE}")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending"), answer.text
    assert {cell[0] for cell in await case.cells()} == {POLICE}
    where = answer.headers["location"]
    assert "consent.withdrawn.v1" not in await case.events()
    await case.desk.confirm()
    read = await case.desk.ask("GET", where, by, subject=case.subject)
    assert (read.status_code, read.json()["status"]) == (200, "confirmed")
    assert "Det er bekreftet" in read.json()["text"]
    assert (await case.events())[-1] == "consent.withdrawn.v1"
    for other in (WELFARER, staff(SCHOOL), person(str(uuid4()))):
        assert problem(await case.desk.ask("GET", where, other, subject=case.subject)) == (404, "not-found")


async def test_one_call_ends_everything_the_person_agreed_to(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    answer = await told(case, place=PLACE, statement=SAID, given_at=at(10))
    assert answer.status_code == 202
    assert await case.grants() == []
    assert "Ingen tjeneste" in answer.json()["text"]


async def test_one_category_and_a_part_can_be_withdrawn_by_word_of_mouth(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    assert (await told(case, recipient=f"service:{NURSE}", category="health")).status_code == 202
    assert {cell[1] for cell in await case.cells()} == {"school"}
    assert (await told(case, recipient=f"service:{POLICE}", staff="constable-7")).status_code == 202
    assert [grant["except"] for grant in await case.grants() if grant["recipient"].endswith(POLICE)] == [
        ["constable-7"]
    ]
    assert problem(await told(case, staff="constable-7")) == (422, "invalid")


async def test_no_formality_stops_it(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    assert (await told(case, manner="paper", given_at=at(-600))).status_code == 202
    assert await case.grants() == []
    rows = await case.desk.rows(
        "SELECT witness, given_at <= registered_at AS fits FROM given_otherwise WHERE subject::text = :s AND way = :w",
        s=case.subject, w="withdrawal",
    )  # fmt: skip
    assert [tuple(row) for row in rows] == [(None, True)]


async def test_without_the_keys_it_is_taken_all_the_same(make_case: MakeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    case = await agreed(make_case)

    async def away(*_: object) -> bytes:
        raise ConnectionError

    monkeypatch.setattr("chassis.keys.SubjectKeys.seal", away)
    assert (await told(case, statement=SAID)).status_code == 202
    assert await case.grants() == []


@pytest.mark.parametrize(
    "by", [WELFARER, Actor("machine", "m", (NURSE,)), Actor("staff", None, (NURSE,), "professional"), person("x")],
    ids=["a service beside the case", "machine", "unknown staff", "a stranger"],
)  # fmt: skip
async def test_who_has_nothing_to_do_with_the_case_is_turned_down_and_on_record(make_case: MakeCase, by: Actor) -> None:
    case = await agreed(make_case)
    before = await everything(case)
    who = Actor(by.kind, str(uuid4()), assurance="high") if by.id == "x" else by
    refused = await told(case, who)
    assert problem(refused) == (404, "not-found")
    assert await everything(case) == before
    [look] = [one for one in await looks(case) if one["outcome"] == "refused"]
    assert (look["route"], look["reason"]) == ("consent.register-withdrawal", "not-found")


async def test_the_answer_is_the_same_whether_there_was_anything_to_end(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    there = await told(case, CONSTABLE, recipient=f"service:{NURSE}")
    not_there = await told(case, CONSTABLE, recipient=f"service:{WELFARE}")
    twice = await told(case, CONSTABLE, recipient=f"service:{NURSE}")
    of_nobody = await told(case, CONSTABLE, recipient="service:nobody-at-all")

    def shape(answer: Any, service: str) -> tuple[Any, ...]:
        body = answer.json()
        text = body["text"].replace(f"Tjenesten {service}", "X").replace(service, "X")
        return answer.status_code, body.keys(), body["status"], text, sorted(answer.headers)

    shapes = [
        shape(there, NURSE), shape(not_there, WELFARE), shape(twice, NURSE), shape(of_nobody, "nobody-at-all"),
    ]  # fmt: skip
    assert shapes.count(shapes[0]) == 4
    await case.desk.confirm()
    for one in (there, not_there, twice, of_nobody):
        read = await case.desk.ask("GET", one.headers["location"], CONSTABLE, subject=case.subject)
        assert read.json()["status"] == "confirmed"
    assert (await case.events()).count("consent.withdrawn.v1") == len(set(await ended(case)))


async def ended(case: Case) -> list[str]:
    rows = await case.desk.rows(
        "SELECT id::text FROM grants WHERE subject::text = :s AND ended IS NOT NULL", s=case.subject
    )
    return [row[0] for row in rows]


async def test_a_guardian_withdraws_by_word_of_mouth_what_their_yes_was_needed_for(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    assert (await told(case, person=case.guardians[0], recipient=f"service:{NURSE}")).status_code == 202
    left = {cell for cell in await case.cells() if cell[0] == NURSE}
    assert left == {(NURSE, "school", "read"), (NURSE, "school", "contribute")}
    assert problem(await told(case, person=str(uuid4()))) == (404, "not-found")


@pytest.mark.requirement("F178")
async def test_the_person_sees_who_registered_it_in_the_looks_and_in_the_grants_history(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    [grant] = [one["id"] for one in await case.grants() if one["recipient"] == f"service:{POLICE}"]
    await told(case, CONSTABLE, recipient=f"service:{POLICE}", statement=SAID)
    await case.desk.confirm()
    [look] = [one for one in await looks(case) if one["route"] == "consent.register-withdrawal"]
    assert (look["actor"]["id"], look["behalf"], look["manner"]) == (CONSTABLE.id, "subject", "oral")
    assert look["grants"] == [grant]
    assert "registrerte at noen sa fra om å trekke tilbake samtykke" in look["text"]
    where = f"{case.path}/grants/{grant}"
    read = await case.desk.ask("GET", where, person(case.subject), subject=case.subject, permit=case.permit("grants"))
    began, over = read.json()["history"]
    assert (began["what"], began["manner"], began["through"]) == (
        "began", "paper", {"kind": "staff", "id": NURSE_STAFF.id},
    )  # fmt: skip
    assert (over["what"], over["by"], over["manner"], over["status"]) == ("ended", "subject", "oral", "confirmed")
    assert over["through"] == {"kind": "staff", "id": CONSTABLE.id}
    other = await agreed(make_case)
    foreign = await case.desk.ask(
        "GET", f"{other.path}/grants/{grant}", person(other.subject), subject=other.subject,
        permit=other.permit("grants"),
    )  # fmt: skip
    assert problem(foreign) == (404, "not-found")


async def test_a_guardian_sees_the_history_without_who_else_ended_it_and_none_of_what_they_may_not_know(
    make_case: MakeCase,
) -> None:
    case = await (await make_case(8)).everybody_agrees()
    mother, father = case.guardians
    grant = (await case.grants())[0]
    await told(case, person=father, recipient=grant["recipient"])
    permit = case.permit("grants", "school", "health")
    where = f"{case.path}/grants/{grant['id']}"
    hers = (await case.desk.ask("GET", where, person(mother), subject=case.subject, permit=permit)).json()
    his = (await case.desk.ask("GET", where, person(father), subject=case.subject, permit=permit)).json()
    assert hers["history"][1] | {"at": ""} == {
        "what": "ended", "at": "", "status": "pending", "by": None, "manner": None, "through": None,
    }  # fmt: skip
    assert (his["history"][1]["by"], his["history"][1]["manner"]) == ("guardian", "oral")
    nothing = case.permit("grants")
    refused = await case.desk.ask("GET", where, person(mother), subject=case.subject, permit=nothing)
    assert problem(refused) == (404, "not-found")


async def test_the_ledger_holds_for_whom_it_was_under_a_pseudonym(make_case: MakeCase) -> None:
    case = await (await make_case(8)).everybody_agrees()
    father = case.guardians[1]
    await told(case, person=father, recipient=f"service:{POLICE}")
    query = f"SELECT canonical FROM {ledger.name} WHERE subject::text = :s ORDER BY sequence DESC LIMIT 1"
    record = json.loads((await case.desk.rows(query, s=case.subject))[0][0])["record"]
    assert record["manner"] == "oral" and len(record["on_behalf_of"]) == 32
    assert father not in json.dumps(record)
    [look] = [one for one in await looks(case) if one["route"] == "consent.register-withdrawal"]
    assert look["behalf"] == "other"


async def test_it_is_disputed_by_nobody_but_answered_anew(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    await told(case)
    assert await case.cells() == set()
    await case.answer(case.subject, only={"service": POLICE})
    assert {cell[0] for cell in await case.cells()} == {POLICE}
    late = await registered_answer(case, case.subject, only={"service": NURSE}, given_at=at(0.5))
    assert problem(late) == (409, "answer-overtaken")


async def test_a_repeated_key_withdraws_once(make_case: MakeCase) -> None:
    case = await agreed(make_case)
    key = str(uuid4())
    answers = await asyncio.gather(*(told(case, key=key, recipient=f"service:{POLICE}") for _ in range(3)))
    assert len({one.json()["id"] for one in answers}) == 1
    assert problem(await told(case, key=key, recipient=f"service:{NURSE}")) == (422, "idempotency-key-reused")


async def test_a_companion_may_withdraw_for_whom_they_write_and_for_nobody_else(make_case: MakeCase) -> None:
    case, other = await agreed(make_case), await agreed(make_case)
    _, friend = await named(case, person(case.subject), somebody(50))
    for elsewhere in (other, await (await make_case(8)).everybody_agrees()):
        assert problem(await told(elsewhere, person(friend))) == (404, "not-found")
    answer = await told(case, person(friend), recipient=f"service:{POLICE}")
    assert answer.status_code == 202, answer.text
    assert {cell[0] for cell in await case.cells()} == {NURSE}
    [look] = [one for one in await looks(case) if one["route"] == "consent.register-withdrawal"]
    assert (look["actor"]["kind"], look["manner"], look["behalf"]) == ("person", "companion", "subject")
