"""What somebody lets a person see, and the exception for life and health: who may, what it gives, and who is told."""

import json
from typing import Any

import httpx
import pytest

from chassis.permit import Actor
from tests.consent.callers import NURSE, POLICE, SCHOOL, Case, ahead, person, problem, somebody, staff
from tests.consent.conftest import MakeCase
from tests.consent.test_renewals import services

pytestmark = pytest.mark.asyncio(loop_scope="session")
SISTER, LEADER = staff(NURSE), staff(NURSE, role="leader")


async def share(case: Case, by: str, *categories: str, **more: Any) -> httpx.Response:
    body = {"categories": list(categories), "until": ahead(90), **more}
    return await case.desk.ask("POST", f"{case.path}/shares", person(by), body, subject=case.subject)


async def except_(case: Case, actor: Actor = SISTER, **more: Any) -> httpx.Response:
    body = {
        "category": "health", "told": "guardians", "reason": "life", "reference": "AMIS 113-9", "hours": 12,
    } | more  # fmt: skip
    return await case.desk.ask("POST", f"{case.path}/exceptions", actor, body, subject=case.subject)


async def seen(case: Case, who: str) -> set[tuple[str, str]]:
    """Kind and category of every published grant to this person."""
    return {
        ("exception" if grant["purpose"] == "life-and-health" else grant["kind"], category)
        for grant in (await case.desk.state(case.subject))["grants"]
        if grant["recipient"] == f"person:{who}" for category in grant["categories"]
    }  # fmt: skip


@pytest.mark.requirement("F094")
async def test_at_sixteen_guardians_no_longer_see_health_unless_the_youth_agrees_who_may_take_it_back(
    make_case: MakeCase,
) -> None:
    case = await make_case(16)
    mother, father = case.guardians
    assert not {("parental", "health"), ("parental", "police")} & await seen(case, mother)
    done = await share(case, case.subject, "health", person=mother)
    assert (done.status_code, done.json()["status"]) == (202, "pending")
    assert ("consent", "health") in await seen(case, mother)
    assert ("consent", "health") not in await seen(case, father)
    await case.desk.confirm()
    assert (await case.events())[-1] == "consent.granted.v1"
    listed = await services(case, person(case.subject), "grants", "school", "health", "participants")
    assert (listed["services"], listed["items"]) == (0, []), "a person who is let see is no service"
    assert (await share(case, case.subject, "health", person=mother)).json()["id"] == done.json()["id"]
    body = {"recipient": f"person:{mother}"}
    taken = await case.desk.ask("POST", f"{case.path}/withdrawals", person(case.subject), body, subject=case.subject)
    assert taken.status_code == 202, taken.text
    assert mother not in taken.json()["text"] and "ikke lenger se" in taken.json()["text"]
    assert ("consent", "health") not in await seen(case, mother)
    await case.desk.confirm()
    assert (await case.events())[-1] == "consent.withdrawn.v1"


@pytest.mark.requirement("F070")
async def test_next_of_kin_of_an_adult_see_what_the_adult_grants_and_nothing_by_law(make_case: MakeCase) -> None:
    case = await make_case(40, guardians=[])
    sister = somebody(38)
    assert (await share(case, case.subject, "health", "school", named=sister)).status_code == 202
    kin = await case.person(sister["national_id"])
    assert await seen(case, kin) == {("consent", "health"), ("consent", "school")}
    listed = await case.desk.ask(
        "GET", f"{case.path}/grants", person(case.subject), subject=case.subject, permit=case.permit("grants")
    )
    [own] = [one for one in listed.json()["items"] if one["recipient"] == f"person:{kin}"]
    assert (own["name"], own["actions"], own["end"]["body"]) == (None, ["read"], {"recipient": f"person:{kin}"})
    assert listed.json()["services"] == 0
    body = {"recipient": f"person:{kin}", "category": "health"}
    await case.desk.ask("POST", f"{case.path}/withdrawals", person(case.subject), body, subject=case.subject)
    assert await seen(case, kin) == {("consent", "school")}
    await case.desk.ask(
        "POST", f"{case.path}/withdrawals", person(kin), {"recipient": f"person:{kin}"}, subject=case.subject
    )
    assert await seen(case, kin) == {("consent", "school")}


async def test_only_the_subject_shares_and_only_what_the_table_leaves_to_them(make_case: MakeCase) -> None:
    young, youth = await make_case(14), await make_case(16)
    assert problem(await share(young, young.subject, "health", person=young.guardians[0])) == (403, "share-not-yours")
    assert problem(await share(youth, youth.subject, "health", named=somebody(50))) == (403, "share-not-yours")
    assert problem(await share(youth, youth.subject, "health", person=young.guardians[0])) == (403, "share-not-yours")
    assert problem(await share(youth, youth.guardians[0], "health", person=youth.guardians[1])) == (404, "not-found")
    assert problem(await share(youth, youth.subject, "weather", person=youth.guardians[0])) == (422, "category-unknown")
    late = await share(youth, youth.subject, "health", person=youth.guardians[0], until="2020-01-01")
    assert problem(late) == (422, "period-invalid")
    assert problem(await share(youth, youth.subject, "health")) == (422, "invalid")
    assert await seen(youth, youth.guardians[0]) == await seen(youth, youth.guardians[1])


@pytest.mark.requirement("F100")
async def test_an_exception_shows_guardians_one_category_for_some_hours_and_is_on_record_as_one(
    make_case: MakeCase,
) -> None:
    case = await make_case(16)
    mother = case.guardians[0]
    done = await except_(case)
    assert done.status_code == 202, done.text
    assert ("exception", "health") in await seen(case, mother)
    [grant] = [
        one for one in (await case.desk.state(case.subject))["grants"]
        if one["recipient"] == f"person:{mother}" and one["purpose"] == "life-and-health"
    ]  # fmt: skip
    assert grant["until"] - grant["from"] == 12 * 3600
    assert (grant["purpose"], grant["basis"], grant["actions"]) == ("life-and-health", "life-and-health", ["read"])
    await case.desk.confirm()
    assert "consent.sight-changed.v1" in await case.events()
    [[made]] = await case.desk.rows(
        "SELECT payload FROM outbox WHERE aggregateid = :s AND type = 'consent.exception-made.v1'", s=case.subject
    )
    assert json.loads(made) == {"subject": case.subject, "service": f"service:{NURSE}"}
    [[payload]] = await case.desk.rows(
        "SELECT payload FROM outbox WHERE aggregateid = :s AND type LIKE 'consent.sight%'", s=case.subject
    )
    assert f"person:{case.subject}".encode() in bytes(payload)
    rows = await case.desk.rows("SELECT categories, canonical FROM ledger WHERE subject::text = :s", s=case.subject)
    assert [list(row.categories) for row in rows] == [["health"]]
    assert b'"basis":"life-and-health"' in rows[0].canonical and b"AMIS" not in rows[0].canonical
    own = await case.desk.ask("GET", f"{case.path}/exceptions", person(case.subject), subject=case.subject)
    assert [(one["reason"], one["reference"]) for one in own.json()["items"]] == [("life", "AMIS 113-9")]
    led = await case.desk.ask("GET", f"/services/{NURSE}/exceptions", LEADER)
    [mine] = [one for one in led.json()["items"] if one["subject"] == case.subject]
    assert (mine["reason"], mine["reference"], mine["by"]) == ("life", None, SISTER.id)
    for actor in (person(mother), SISTER):
        found = await case.desk.ask("GET", f"{case.path}/exceptions", actor, subject=case.subject)
        assert problem(found) == (404, "not-found")
    for other in (SISTER, staff(SCHOOL, role="leader")):
        assert problem(await case.desk.ask("GET", f"/services/{NURSE}/exceptions", other)) == (404, "not-found")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"reason": "curiosity"}, (422, "reason-unknown")),
        ({"hours": 49}, (422, "exception-too-long")),
        ({"hours": 0}, (422, "invalid")),
        ({"reference": ""}, (422, "invalid")),
        ({"category": "weather"}, (422, "category-unknown")),
        ({"told": "service"}, (403, "exception-not-yours")),
    ],
)
async def test_an_exception_that_the_table_does_not_know_is_refused_and_changes_nothing(
    make_case: MakeCase, more: dict[str, Any], told: tuple[int, str]
) -> None:
    case = await make_case(15)
    before = await case.desk.state(case.subject)
    assert problem(await except_(case, **more)) == told
    assert await case.desk.state(case.subject) == before


async def test_an_exception_is_made_by_professionals_whom_the_table_names(make_case: MakeCase) -> None:
    case = await make_case(15)
    assert problem(await except_(case, LEADER)) == (403, "exception-not-yours")
    assert problem(await except_(case, staff(POLICE))) == (404, "not-found")
    assert problem(await except_(case, person(case.subject))) == (404, "not-found")
    adult = await make_case(30, guardians=[])
    assert problem(await except_(adult)) == (403, "exception-not-yours")
