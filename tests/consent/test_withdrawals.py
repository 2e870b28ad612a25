"""Withdrawing: final when confirmed, pending until then, in whole or in part, and recorded in the same transaction."""

import asyncio
import json
from collections.abc import AsyncIterator
from time import monotonic
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from consent import storage
from consent.app import create_app
from consent.handlers import changes
from consent.settings import Settings
from tests.consent.callers import NURSE, POLICE, SCHOOL, Case, Desk, a_request, person, problem, settings_for, staff
from tests.consent.conftest import Databases, MakeCase

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_withdrawn_recipient_has_no_grant_left_and_the_others_keep_theirs(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    kept = [grant for grant in await case.grants() if grant["recipient"] == f"service:{NURSE}"]
    answer = await case.withdraw(case.subject, POLICE)
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert answer.headers["location"] == f"{case.path}/withdrawals/{answer.json()['id']}"
    assert await case.grants() == kept


@pytest.mark.requirement("F083")
async def test_one_category_can_be_withdrawn_alone(make_case: MakeCase) -> None:
    case = await make_case(15)
    for who in (*case.guardians, case.subject):
        await case.answer(who)
    before = {grant["id"]: grant for grant in await case.grants()}
    assert ["health", "school"] in [g["categories"] for g in before.values() if g["recipient"] == f"service:{POLICE}"]
    assert (await case.withdraw(case.subject, POLICE, "health")).status_code == 202
    assert {cell for cell in await case.cells() if cell[0] == POLICE} == {(POLICE, "school", "read")}
    after = {grant["id"]: grant for grant in await case.grants()}
    [new] = [grant for id_, grant in after.items() if id_ not in before]
    assert (new["recipient"], new["categories"]) == (f"service:{POLICE}", ["school"])


async def test_a_stopped_ledger_keeps_nobody_from_withdrawing(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    engine = case.desk.engine
    async with engine.begin() as conn:
        await storage.stop_ledger(conn, "for a reason")
    try:
        assert (await case.withdraw(case.subject, POLICE)).status_code == 202
        assert POLICE not in {cell[0] for cell in await case.cells()}
    finally:
        async with engine.begin() as conn:
            await conn.exec_driver_sql("UPDATE ledger_tree SET stopped = NULL")
    async with engine.begin() as conn:
        [waiting] = [one for one in await storage.take_waiting(conn) if one["chain"] == case.subject]
        assert waiting["content"]["route"] == "consent.withdraw"


async def test_a_withdrawal_is_pending_everywhere_until_it_is_confirmed(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    assert "consent.withdrawn.v1" not in await case.events()
    made = (await case.withdraw(case.subject, POLICE)).json()
    where = f"{case.path}/withdrawals/{made['id']}"

    async def listed() -> set[str]:
        answer = await case.desk.ask(
            "GET", f"{case.path}/grants", person(case.subject), subject=case.subject, permit=case.permit("grants")
        )
        return {one["state"] for one in answer.json()["items"] if one["recipient"] == f"service:{POLICE}"}

    again = await case.withdraw(case.subject, POLICE)
    read = await case.desk.ask("GET", where, person(case.subject), subject=case.subject)
    assert (again.status_code, again.json()) == (202, made)
    assert read.json() == made
    assert (await case.seen_by(staff(NURSE)))["state"] == "pending"
    assert await listed() == {"ending"}
    assert "consent.withdrawn.v1" not in await case.events()

    await case.desk.confirm()
    again = await case.withdraw(case.subject, POLICE)
    read = await case.desk.ask("GET", where, person(case.subject), subject=case.subject)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, made["id"], "confirmed")
    assert "Det er bekreftet" in again.json()["text"] and "ikke ferdig" in made["text"]
    assert read.json() == again.json()
    assert await listed() == set()
    assert (await case.events())[-1] == "consent.withdrawn.v1"


async def test_a_part_of_a_withdrawal_asked_for_again_is_the_same_act(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    whole = (await case.withdraw(case.subject, POLICE)).json()
    assert (await case.withdraw(case.subject, POLICE, "health")).json() == whole
    assert problem(await case.withdraw(case.subject, POLICE, "leisure")) == (404, "not-found")


async def test_a_repeated_key_withdraws_once(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    key = str(uuid4())
    answers = await asyncio.gather(*(case.withdraw(case.subject, POLICE, key=key) for _ in range(4)))
    assert {one.json()["id"] for one in answers} == {answers[0].json()["id"]}
    assert problem(await case.withdraw(case.subject, NURSE, key=key)) == (422, "idempotency-key-reused")
    assert (NURSE, "school", "read") in await case.cells()


async def test_a_guardian_whose_yes_was_needed_can_withdraw_what_it_was_needed_for(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    assert (await case.withdraw(case.guardians[0], NURSE)).status_code == 202
    left = {cell for cell in await case.cells() if cell[0] == NURSE}
    assert left == {(NURSE, "school", "read"), (NURSE, "school", "contribute")}


async def test_a_guardian_cannot_withdraw_what_the_youth_alone_decides(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    before = await case.grants()
    assert problem(await case.withdraw(case.guardians[0], NURSE, "school")) == (404, "not-found")
    assert await case.grants() == before


async def test_a_small_child_can_withdraw_though_guardians_gave_the_consent(make_case: MakeCase) -> None:
    case = await (await make_case(8)).everybody_agrees()
    assert (await case.withdraw(case.subject, POLICE)).status_code == 202
    assert {cell[0] for cell in await case.cells()} == {NURSE}
    for guardian in case.guardians:
        await case.answer(guardian)
    assert {cell[0] for cell in await case.cells()} == {NURSE}


async def test_a_yes_that_is_not_in_force_yet_can_be_taken_back(make_case: MakeCase) -> None:
    case = await make_case(15)
    await case.answer(case.subject, only={"category": "health"})
    assert (await case.withdraw(case.subject, NURSE)).status_code == 202
    for guardian in case.guardians:
        await case.answer(guardian)
    assert {cell for cell in await case.cells() if cell[0] == NURSE} == set()
    assert {cell for cell in await case.cells() if cell[0] == POLICE} == {(POLICE, "health", "read")}


async def test_consent_can_be_given_again_after_a_withdrawal(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    before = await case.cells()
    old = {grant["id"] for grant in await case.grants() if grant["recipient"] == f"service:{POLICE}"}
    first = (await case.withdraw(case.subject, POLICE)).json()["id"]
    await case.answer(case.subject)
    assert await case.cells() == before
    assert not old & {grant["id"] for grant in await case.grants()}
    assert (await case.withdraw(case.subject, POLICE)).json()["id"] != first


@pytest.mark.parametrize("age", [15, 8])
async def test_somebody_elses_and_no_withdrawal_have_the_same_bytes(make_case: MakeCase, age: int) -> None:
    case, other = await (await make_case(age)).everybody_agrees(), await make_case(15)
    owner = case.subject if age == 15 else case.guardians[0]
    made = (await case.withdraw(owner, POLICE)).json()["id"]
    nobody, body = str(uuid4()), {"recipient": f"service:{NURSE}"}
    asks = [
        case.withdraw(case.subject, SCHOOL),
        case.withdraw(other.subject, NURSE),
        case.withdraw(nobody, NURSE),
        case.desk.ask("POST", f"/subjects/{nobody}/withdrawals", person(owner), body, subject=nobody),
        case.desk.ask("POST", f"{case.path}/withdrawals", staff(NURSE), body, subject=case.subject),
        case.desk.ask("GET", f"{case.path}/withdrawals/{made}", person(other.subject), subject=case.subject),
        case.desk.ask("GET", f"{case.path}/withdrawals/{made}", staff(NURSE), subject=case.subject),
        case.desk.ask("GET", f"{other.path}/withdrawals/{made}", person(owner), subject=other.subject),
        case.desk.ask("GET", f"{case.path}/withdrawals/{uuid4()}", person(owner), subject=case.subject),
        case.desk.ask("GET", f"{case.path}/withdrawals/x", person(owner), subject=case.subject),
    ]  # fmt: skip
    answers = [await one for one in asks]
    assert {(one.status_code, one.content) for one in answers} == {(404, answers[0].content)}
    assert problem(answers[0]) == (404, "not-found")


async def test_two_withdrawals_at_once_both_hold(make_case: MakeCase) -> None:
    for _ in range(4):
        case = await (await make_case(15)).everybody_agrees()
        answers = await asyncio.gather(
            case.withdraw(case.subject, POLICE, "health"), case.withdraw(case.guardians[0], NURSE, "health"),
            case.withdraw(case.subject, POLICE, "school"), case.withdraw(case.guardians[1], POLICE, "health"),
        )  # fmt: skip
        assert {one.status_code for one in answers} <= {202, 404}
        assert await case.cells() == {(NURSE, "school", "read"), (NURSE, "school", "contribute")}


async def test_a_withdrawal_against_an_answer_leaves_what_the_last_of_them_says(make_case: MakeCase) -> None:
    for _ in range(4):
        case = await (await make_case(15)).everybody_agrees()
        await asyncio.gather(case.withdraw(case.subject, POLICE), case.answer(case.subject))
        latest = await case.desk.rows(
            "SELECT DISTINCT ON (category) category, said FROM answer WHERE person::text = :p AND service = :s"
            " ORDER BY category, seq DESC", p=case.subject, s=POLICE,
        )  # fmt: skip
        agreed = {category for category, said in latest if said == "yes"}
        assert {cell[1] for cell in await case.cells() if cell[0] == POLICE} == agreed


async def test_the_act_is_in_the_ledger_as_soon_as_it_is_decided(make_case: MakeCase) -> None:
    case = await (await make_case(15)).everybody_agrees()
    ended = {grant["id"] for grant in await case.grants() if grant["recipient"] == f"service:{POLICE}"}
    await case.withdraw(case.subject, POLICE)
    await case.withdraw(case.subject, SCHOOL)
    query = "SELECT canonical, actor FROM ledger WHERE subject::text = :s ORDER BY sequence"
    rows = await case.desk.rows(query, s=case.subject)
    done, refused = (json.loads(row[0])["record"] for row in rows)
    assert [row[1] for row in rows] == [case.subject, case.subject]
    assert (done["outcome"], done["route"]) == ("answered", "consent.withdraw")
    assert (set(done["grants"]), done["categories"]) == (ended, ["health", "school"])
    assert (refused["outcome"], refused["reason"]) == ("refused", "not-found")


@pytest_asyncio.fixture(loop_scope="session")
async def patient(databases: Databases, engine: AsyncEngine) -> AsyncIterator[Desk]:
    """A second replica that waits twenty seconds for a confirmation."""
    app = create_app(settings_for(databases.content, databases.keys, confirmation_seconds=20.0), bus=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://consent") as client,
    ):
        yield Desk(client, engine)


async def taken(case: Case) -> None:
    """Until the withdrawal is committed."""
    while not await case.desk.rows(
        "SELECT 1 FROM change WHERE kind = 'withdrawn' AND subject::text = :s", s=case.subject
    ):
        await asyncio.sleep(0.02)


async def test_a_withdrawal_waits_for_its_confirmation_and_says_so(
    make_case: MakeCase, patient: Desk, settings: Settings
) -> None:
    case = await (await make_case(15)).everybody_agrees()
    body = {"recipient": f"service:{POLICE}"}
    asking = asyncio.create_task(
        patient.ask("POST", f"{case.path}/withdrawals", person(case.subject), body, subject=case.subject)
    )
    await taken(case)
    await asyncio.sleep(0.1)
    assert not asking.done()
    await patient.confirm()
    answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (200, "confirmed")


async def test_a_withdrawal_that_waited_for_its_turn_waits_so_much_less_for_its_confirmation(
    make_case: MakeCase, databases: Databases
) -> None:
    """Else the gateway gives up, nobody learns that it was taken, and it is asked again."""
    case = await (await make_case(15)).everybody_agrees()
    app = create_app(settings_for(databases.content, databases.keys, confirmation_seconds=4.0), bus=False)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://consent", timeout=30) as client,
    ):
        body, began = {"recipient": f"service:{POLICE}"}, monotonic()
        async with case.desk.engine.begin() as conn:
            await changes.lock(conn, case.subject)
            asking = asyncio.create_task(
                Desk(client, case.desk.engine).ask(
                    "POST", f"{case.path}/withdrawals", person(case.subject), body, subject=case.subject
                )
            )
            await asyncio.sleep(3.0)
        answer = await asking
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert 4.0 <= monotonic() - began < 6.0


async def test_waiting_ends_by_asking_the_database_when_no_word_comes(make_case: MakeCase, patient: Desk) -> None:
    case = await (await make_case(15)).everybody_agrees()
    body = {"recipient": f"service:{POLICE}"}
    asking = asyncio.create_task(
        patient.ask("POST", f"{case.path}/withdrawals", person(case.subject), body, subject=case.subject)
    )
    await taken(case)
    async with patient.engine.begin() as conn:  # without the NOTIFY
        await conn.exec_driver_sql("UPDATE change SET state = 'confirmed' WHERE state = 'pending'")
    assert (await asyncio.wait_for(asking, 4.0)).status_code == 200


async def test_a_withdrawal_needs_neither_lease_nor_bus(desk: Desk) -> None:
    """The app under test has no Kafka and no leader: it is taken and called pending."""
    case = await Case(desk, a_request(15)).made()
    await case.answer(case.subject)
    assert (await case.withdraw(case.subject, NURSE)).status_code == 202
