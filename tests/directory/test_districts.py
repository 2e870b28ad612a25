"""Loading a district through its door: what changes, what does not, and what anybody may read of it."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.permit import Actor
from directory import storage
from tests.directory.conftest import NURSE, Door

ANYBODY = Actor("person", None)
PATH = "/districts/gamlebyen"


async def _versions(engine: AsyncEngine) -> dict[tuple[str, str], int]:
    async with engine.connect() as conn:
        rows = await conn.execute(select(storage.entity.c.kind, storage.entity.c.id, storage.entity.c.version))
        return {(row.kind, row.id): row.version for row in rows}


async def test_loading_a_district_again_changes_nothing_and_says_so(
    door: Door, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        first = await admin.put(PATH, json=document)
        assert first.status_code == 200
        loaded = first.json()
        count = sum(len(document[name]) for name in ("categories", "agencies", "services", "staff"))
        assert loaded["changed"] == count + 2, "each entry, the district, and its guide"
        assert {one["staff"] for one in loaded["invitations"]} == {member["id"] for member in document["staff"]}
        before = await _versions(engine)
        again = await admin.put(PATH, json=document)
        assert again.json() == {"changed": 0, "invitations": [], "ended": [], "status": "pending"}
    assert await _versions(engine) == before


async def test_only_what_is_different_is_written(door: Door, engine: AsyncEngine, document: dict[str, Any]) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        before = await _versions(engine)
        document["services"][0]["area"] = "Solvik"
        document["guide"]["reviewed"] = "2026-09-01"
        assert (await admin.put(PATH, json=document)).json()["changed"] == 2
        assert (await admin.get("/guides/gamlebyen")).json()["version"] == 2
    after = await _versions(engine)
    assert {key for key in after if after[key] != before[key]} == {("service", document["services"][0]["id"])}


async def test_what_the_document_no_longer_lists_is_switched_off(
    door: Door, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        gone = next(one for one in document["services"] if one["id"] == "leisure-club")
        document["services"].remove(gone)
        assert (await admin.put(PATH, json=document)).json()["changed"] == 1
        assert (await admin.get("/services/leisure-club")).status_code == 404
        document["services"].append(gone)
        assert (await admin.put(PATH, json=document)).json()["changed"] == 1
        assert (await admin.get("/services/leisure-club")).status_code == 200
    assert (await _versions(engine))["service", "leisure-club"] == 3


async def test_somebody_who_was_deactivated_is_not_brought_back_by_the_next_load(
    door: Door, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        assert (await admin.post(f"/staff/{NURSE}/deactivation")).status_code == 202
        again = (await admin.put(PATH, json=document)).json()
        assert (again["changed"], again["invitations"], again["ended"]) == (0, [], [NURSE])
        assert (await admin.get(f"/staff/{NURSE}")).json()["active"] is False


async def test_a_document_that_breaks_a_rule_changes_nothing_and_echoes_nothing(
    door: Door, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    document["services"][0]["contacts"][0]["value"] = "kari.nordmann@gamlebyen.example"
    async with await door.admin() as admin:
        before = await _versions(engine)
        answer = await admin.put(PATH, json=document)
        malformed = await admin.put(PATH, json={**document, "kari-nordmann": 1})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:samlogg:problem:refused")
    assert answer.json()["errors"] == [{"where": "services/0/contacts/0", "what": "personal-email"}]
    assert malformed.status_code == 422
    assert "nordmann" not in answer.text + malformed.text
    assert await _versions(engine) == before


async def test_an_editor_who_names_an_older_state_is_told_so(door: Door, document: dict[str, Any]) -> None:
    async with await door.admin() as admin:
        assert (await admin.put(PATH, json=document, headers={"If-Match": '"x"'})).status_code == 412
        await admin.put(PATH, json=document)
        tag = (await admin.get(PATH)).headers["ETag"]
        document["services"][0]["area"] = "Solvik"
        assert (await admin.put(PATH, json=document, headers={"If-Match": tag})).status_code == 200
        assert (await admin.put(PATH, json=document, headers={"If-Match": tag})).status_code == 412


async def test_a_district_cannot_change_what_another_keeps_but_may_repeat_it(
    door: Door, document: dict[str, Any]
) -> None:
    other = {**document, "staff": [], "services": [], "guide": None}
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        assert (await admin.put("/districts/nyebyen", json=other)).json()["changed"] == 1
        other["categories"] = [{**one, "special": True} for one in document["categories"]]
        refused = await admin.put("/districts/nyebyen", json=other)
        assert refused.json()["errors"][0]["what"] == "kept-by-another-district"
        other["categories"], other["agencies"] = document["categories"], [{**document["agencies"][0], "id": "thief"}]
        refused = await admin.put("/districts/nyebyen", json=other)
        assert {"where": "agencies/0/orgnr", "what": "taken"} in refused.json()["errors"]


async def test_an_administrator_of_one_district_cannot_load_another(door: Door, document: dict[str, Any]) -> None:
    async with await door.admin() as admin:
        loaded = (await admin.put(PATH, json=document)).json()
    local = next(member["id"] for member in document["staff"] if member["role"] == "admin")
    code = next(one["code"] for one in loaded["invitations"] if one["staff"] == local)
    async with door.as_(Actor("staff", None, assurance="high", login="ab" * 32)) as client:
        assert (await client.post("/invitations/redeem", json={"code": code})).json()["staff"] == local
    async with door.as_(Actor("staff", local, (), "admin", None, "high")) as client:
        assert (await client.put(PATH, json=document)).status_code == 200
        assert (await client.put("/districts/nyebyen", json=document)).status_code == 403


@pytest.mark.requirement("F025", "F029")
async def test_anybody_finds_the_service_that_helps_at_an_age_in_a_district(
    door: Door, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
    async with door.as_(ANYBODY) as client:
        found = (await client.get("/services", params={"district": "gamlebyen", "age": 15, "q": "oppfølging"})).json()
        assert {one["id"] for one in found["items"]} == {
            "follow-up-team", "follow-up-team-10-15", "police-prevention",
        }  # fmt: skip
        team = next(one for one in found["items"] if one["id"] == "follow-up-team")
        assert team["agency"] == "gamlebyen-district" and team["agency_names"]["nb"] == "Bydel Gamlebyen"
        assert team["ages"] == {"from": 15, "to": 17} and team["area"] == "Gamlebyen" and team["status"] == "attached"
        assert team["responsibility"]["nb"] and team["contacts"] and team["stale"] is False
        nobody = await client.get("/services", params={"district": "nyebyen"})
        assert nobody.json() == {"items": [], "next": None}
        one = await client.get("/services/general-practice")
        assert one.json()["status"] == "declined"


@pytest.mark.requirement("F026")
async def test_no_public_answer_names_an_employee(door: Door, document: dict[str, Any]) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
    names = [part for member in document["staff"] for part in (member["name"], member["id"])]
    async with door.as_(ANYBODY) as client:
        for path in (PATH, "/services", "/services/school-health", "/guides/gamlebyen"):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert not [name for name in names if name in answer.text]


async def test_services_come_in_pages_whose_cursor_belongs_to_the_question(
    door: Door, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
    seen: list[str] = []
    async with door.as_(ANYBODY) as client:
        question: dict[str, Any] = {"district": "gamlebyen", "limit": 5}
        while True:
            page = (await client.get("/services", params=question)).json()
            seen += [one["id"] for one in page["items"]]
            if page["next"] is None:
                break
            question["after"] = page["next"]
        foreign = await client.get("/services", params={**question, "district": "nyebyen"})
        broken = await client.get("/services", params={"after": "æøå"})
    assert seen == sorted(one["id"] for one in document["services"])
    assert foreign.json()["type"] == broken.json()["type"] == "urn:samlogg:problem:invalid-cursor"


@pytest.mark.requirement("F045")
async def test_the_guide_is_read_without_logging_in_and_older_versions_stay(
    door: Door, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        document["guide"]["override"]["drop_levels"] = [3]
        document["guide"]["override"]["levels"] = []
        await admin.put(PATH, json=document)
    async with door.as_(ANYBODY) as client:
        now, before = await client.get("/guides/gamlebyen"), await client.get("/guides/gamlebyen?version=1")
        missing = await client.get("/guides/gamlebyen?version=3")
        district = (await client.get(PATH)).json()
    assert [level["level"] for level in now.json()["levels"]] == [0, 1, 2] == district["levels"]
    assert [level["level"] for level in before.json()["levels"]] == [0, 1, 2, 3]
    assert now.json()["version"] == 2 and missing.status_code == 404
    assert now.headers["ETag"] != before.headers["ETag"]


@pytest.mark.requirement("F177", "F046")
async def test_a_guide_and_a_service_whose_review_is_overdue_are_flagged(door: Door, document: dict[str, Any]) -> None:
    document["guide"]["reviewed"] = document["services"][0]["reviewed"] = "2020-01-01"
    document["guide"]["review_due"] = document["services"][0]["review_due"] = "2021-01-01"
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        assert (await admin.get("/guides/gamlebyen")).json()["stale"] is True
        services = (await admin.get("/services")).json()["items"]
    assert [one["id"] for one in services if one["stale"]] == [document["services"][0]["id"]]


@pytest.mark.requirement("F041")
async def test_a_guide_tells_version_owner_and_dates_of_review(door: Door, document: dict[str, Any]) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
        guide = (await admin.get("/guides/gamlebyen")).json()
    assert guide["version"] == 1 and guide["owner"] == "gamlebyen-district"
    assert (guide["reviewed"], guide["review_due"]) == ("2026-08-15", "2027-08-15")


async def test_nobody_but_the_gateway_is_answered(door: Door) -> None:
    async with door.as_(None) as client:
        for method, path in (("GET", "/services"), ("GET", PATH), ("PUT", PATH)):
            assert (await client.request(method, path, json={})).status_code in (401, 422)
        assert (await client.get("/services")).status_code == 401


async def test_what_only_administrators_may_do_is_refused_to_everybody_else(
    door: Door, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    async with await door.admin() as admin:
        await admin.put(PATH, json=document)
    async with engine.connect() as conn:
        before = await conn.scalar(select(func.max(storage.entity.c.seq)))
    pretenders = [
        ANYBODY, Actor("staff", NURSE, ("school-health",), "professional", None, "high"),
        Actor("staff", NURSE, ("school-health",), "admin", None, "high"),
        Actor("machine", "x", (), "admin", "police-district", "high"),
    ]  # fmt: skip
    for actor in pretenders:
        async with door.as_(actor) as client:
            answers = [
                await client.put(PATH, json=document), await client.post(f"/staff/{NURSE}/deactivation"),
                await client.post(f"/staff/{NURSE}/invitation"), await client.get(f"/staff/{NURSE}"),
            ]  # fmt: skip
        assert {answer.status_code for answer in answers} == {403}
    async with engine.connect() as conn:
        assert await conn.scalar(select(func.max(storage.entity.c.seq))) == before
