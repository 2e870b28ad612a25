"""Renewing what ends, without a gap; and the list of services, with the one call that removes each."""

from typing import Any

import httpx
import pytest

from consent.settings import Settings
from tests.consent.callers import NURSE, POLICE, SCHOOL, Case, ahead, asked, person, problem, staff
from tests.consent.conftest import MakeCase
from tests.consent.test_days import ENDED, WARNED, agreed, data_of, day, later, look

pytestmark = pytest.mark.asyncio(loop_scope="session")
CELLS = [asked(NURSE, "school"), asked(POLICE, "school", "leisure", actions=("read",))]


async def renew(case: Case, until: str, by: Any = None, key: str | None = None, **more: Any) -> httpx.Response:
    return await case.desk.ask(
        "POST", f"{case.path}/requests/{case.id}/renewal", by or staff(NURSE), {"until": until, **more},
        subject=case.subject, key=key,
    )  # fmt: skip


async def renewed(case: Case, until: str, **more: Any) -> Case:
    """The case of the new request, asked for and confirmed."""
    made = await renew(case, until, **more)
    assert made.status_code == 201, made.text
    await case.desk.confirm()
    return Case(case.desk, case.body, made.json()["id"], case.subject, case.guardians)


def periods(grants: list[dict[str, Any]]) -> set[tuple[str, int]]:
    return {(one["recipient"], one["until"]) for one in grants}


async def test_a_renewal_is_one_call_and_the_old_runs_until_its_end_without_a_gap(
    make_case: MakeCase, settings: Settings
) -> None:
    case = await agreed(make_case, 15, cells=CELLS, until=ahead(20))
    old = periods(await case.grants())
    fresh = await renewed(case, ahead(400))
    seen = await fresh.seen_by(staff(NURSE))
    assert (seen["state"], seen["renews"], seen["waiting_for"]) == ("waiting", case.id, ["subject"])
    assert (await fresh.seen_by(person(case.subject)))["why"] == case.body["why"]
    assert (await fresh.seen_by(person(case.subject)))["mine"] == [], "nothing is ticked"
    assert seen["cells"] == (await case.seen_by(staff(NURSE)))["cells"]
    assert periods(await case.grants()) == old
    await fresh.answer(case.subject)
    await fresh.desk.confirm()
    assert old < periods(await case.grants())
    assert (await case.seen_by(staff(NURSE)))["state"] == (await fresh.seen_by(staff(NURSE)))["state"] == "in-force"
    cells = await case.cells()
    assert ENDED in await look(case, day(21))
    async with later(case, settings, 21) as then:
        assert {
            (grant["recipient"].removeprefix("service:"), category, action)
            for grant in (await then.grants()) for category in grant["categories"] for action in grant["actions"]
        } == cells  # fmt: skip
    assert periods(await case.grants()) == periods(await case.grants()) - old


async def test_what_has_been_renewed_is_not_announced_as_ending(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=CELLS, until=ahead(60))
    fresh = await renewed(case, ahead(400))
    await fresh.answer(case.subject, only={"service": POLICE})
    await fresh.desk.confirm()
    assert await look(case, day(55)) == [WARNED]
    [told] = await data_of(case, WARNED)
    assert len(told["grants"]) == 1, "what the nurse has was not renewed"
    [other] = [one for one in await case.grants() if one["id"] == told["grants"][0]]
    assert other["recipient"] == f"service:{NURSE}"


async def test_what_was_taken_back_is_not_asked_for_again(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=CELLS, until=ahead(20))
    await case.withdraw(case.subject, POLICE, "leisure")
    await case.desk.confirm()
    fresh = await renewed(case, ahead(400))
    assert (await fresh.seen_by(staff(NURSE)))["cells"] == [
        {"service": POLICE, "categories": ["school"], "actions": ["read"]},
        {"service": NURSE, "categories": ["school"], "actions": ["contribute", "read"]},
    ]


async def test_a_renewal_repeated_under_its_key_is_one_request(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=CELLS, until=ahead(20))
    first, second = [await renew(case, ahead(400), key="k") for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]


async def test_what_cannot_be_renewed_is_refused_and_changes_nothing(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=CELLS, until=ahead(20))
    version = (await case.desk.state(case.subject))["version"]
    assert problem(await renew(case, ahead(20))) == (422, "period-invalid")
    assert problem(await renew(case, ahead(-1))) == (422, "period-invalid")
    assert problem(await renew(case, ahead(9_000))) == (422, "period-invalid")
    assert problem(await renew(case, "soon"))[0] == 422
    assert problem(await renew(case, ahead(300), why=""))[0] == 422
    assert problem(await renew(case, ahead(300), cells=[]))[0] == 422
    assert problem(await renew(case, ahead(300), by=staff(NURSE, role="leader"))) == (403, "not-allowed")
    assert problem(await renew(case, ahead(300), by=person(case.subject))) == (403, "not-allowed")
    other = await renew(case, ahead(300), by=staff(POLICE))
    unknown = await renew(Case(case.desk, case.body, "00000000-0000-4000-8000-000000000000", case.subject), ahead(300))
    assert problem(other) == problem(unknown) == (404, "not-found")
    assert other.content == unknown.content
    assert (await case.desk.state(case.subject))["version"] == version
    await renewed(case, ahead(400))
    assert problem(await renew(case, ahead(400))) == (409, "already-renewed")


async def test_nothing_is_renewed_of_a_request_that_nothing_is_in_force_of(make_case: MakeCase) -> None:
    case = await make_case(15, cells=CELLS)
    assert problem(await renew(case, ahead(400))) == (409, "nothing-to-renew")
    gone = await agreed(make_case, 15, cells=CELLS)
    for service in (NURSE, POLICE):
        await gone.withdraw(gone.subject, service)
    await gone.desk.confirm()
    assert problem(await renew(gone, ahead(400))) == (409, "nothing-to-renew")


async def test_after_a_renewal_was_taken_back_there_can_be_another(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=CELLS, until=ahead(20))
    fresh = await renewed(case, ahead(400))
    done = await case.desk.ask(
        "POST", f"{case.path}/requests/{fresh.id}/taking-back", staff(NURSE), {}, subject=case.subject
    )
    assert done.status_code == 200, done.text
    assert (await renew(case, ahead(500))).status_code == 201


async def services(case: Case, who: Any, *categories: str) -> dict[str, Any]:
    answer = await case.desk.ask(
        "GET", f"{case.path}/services", who, subject=case.subject, permit=case.permit(*categories)
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.requirement("F194")
async def test_how_many_services_take_part_is_one_look_and_removing_one_is_one_call_away(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=[*CELLS, asked(SCHOOL, "school")], until=ahead(20))
    me = person(case.subject)
    shown = await services(case, me, "grants", "participants", "school", "leisure")
    assert shown["services"] == len(shown["items"]) == 3
    assert [one["service"] for one in shown["items"]] == [SCHOOL, POLICE, NURSE]
    police = shown["items"][1]
    assert police["name"] == f"Tjenesten {POLICE}"
    assert police["categories"] == ["leisure", "school"]
    [may] = police["may"]
    assert (may["categories"], may["actions"], may["state"]) == (["leisure", "school"], ["read"], "in-force")
    assert police["since"] <= police["until"] == may["until"]
    end = police["end"]
    gone = await case.desk.ask(end["method"], end["href"], me, end["body"], subject=case.subject)
    assert gone.status_code in (200, 202), gone.text
    ending = await services(case, me, "grants", "participants")
    assert (ending["services"], len(ending["items"])) == (2, 3)
    assert [one["end"] for one in ending["items"] if one["service"] == POLICE] == [None]
    await case.desk.confirm()
    left = await services(case, me, "grants", "participants")
    assert (left["services"], [one["service"] for one in left["items"]]) == (2, [SCHOOL, NURSE])


async def test_the_list_of_services_is_cut_for_its_reader_and_needs_a_permit(make_case: MakeCase) -> None:
    case = await agreed(make_case, 15, cells=CELLS)
    mother = person(case.guardians[0])
    assert await services(case, mother, "grants", "school") == {"items": [], "next": None, "services": 0}
    assert (await services(case, mother, "grants", "school", "participants"))["services"] == 2
    cut = await services(case, mother, "grants", "leisure", "participants")
    assert {category for one in cut["items"] for category in one["categories"]} == {"leisure"}
    refused = await case.desk.ask("GET", f"{case.path}/services", mother, subject=case.subject)
    assert refused.status_code == 404
