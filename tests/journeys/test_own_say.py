"""A fifteen-year-old keeps one category to herself, and an adult lets next of kin see: from the public doors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from story.cast import DISTRICT, NURSE_SERVICE, SCHOOL_SERVICE
from story.door import Caller
from story.world import World, read
from tests.journeys.conftest import SECONDS, Demo
from tests.journeys.test_paper_in_prison import Case, case_in, slug, somebody

UNTIL = (datetime.now(UTC).date() + timedelta(days=200)).isoformat()
CELLS = [
    {"service": NURSE_SERVICE, "categories": ["health", "school"], "actions": ["read", "contribute"]},
    {"service": SCHOOL_SERVICE, "categories": ["school"], "actions": ["read"]},
]


async def asked(case: Case, subject: Any, *guardians: Any) -> None:
    """The nurse asks about somebody."""
    nurse = await case.staff("nurse")
    body = {
        **subject.asked_as(), "guardians": [one.asked_as() for one in guardians],
        "responsibility": "felles" if guardians else "ukjent", "level": 1, "why": "Vi vil hjelpe sammen.",
        "purpose": "follow-up", "cells": CELLS, "until": UNTIL,
    }  # fmt: skip
    made = await nurse.post("/requests", body, 201)
    case.request, case.handles["nurse"] = made["id"], made["subject"]


async def says_yes(case: Case, who: str, person: Any) -> None:
    """One who is asked logs in, and says yes to every cell that they are shown."""
    me = await case.citizen(who, person)
    [mine] = (await me.get("/me/requests"))["items"]
    case.handles[who] = mine["subject"]
    [shown] = mine["answer"]["items"]
    cells = [
        {"service": cell["service"], "category": category, "action": action, "answer": "yes"}
        for cell in shown["cells"] for category in cell["categories"] for action in cell["actions"]
    ]  # fmt: skip
    body = {"cells": cells, "text_version": shown["text"]["version"], "language": shown["text"]["language"]}
    await me.post(case.asked(who, "answer"), body, 200, 202)


async def bytes_of(case: Case, who: str, *paths: str) -> list[tuple[int, str | None, bytes]]:
    """What every replica answers, with its tag."""
    found = []
    for path in paths:
        for replica in range(len(case.world.gateways)):
            answer = await case.at[who].patiently("GET", case.path(who, path), replica=replica)
            found.append((answer.status_code, answer.headers.get("etag"), answer.content))
    return found


async def confirmed(me: Caller, path: str, id_: str, state: str) -> dict[str, Any]:
    """The keeping, once it has come that far at every gateway able to answer."""
    for _ in range(150):
        [one] = [one for one in (await me.get(path))["items"] if one["id"] == id_]
        if one["status"] == "confirmed" and one["state"] == state:
            return dict(one)
        await asyncio.sleep(0.1)
    raise AssertionError(f"{one['status']}, {one['state']}")


async def keeps_to_herself(world: World) -> None:
    async with case_in(world) as case:
        youth, mother, father = somebody(15), somebody(44), somebody(46)
        await asked(case, youth, mother, father)
        for who, person in (("youth", youth), ("mother", mother), ("father", father)):
            await says_yes(case, who, person)
        await case.state("in-force")
        nurse, me = case.at["nurse"], case.at["youth"]
        opening = {
            "plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school", "decision": "Felles uro.",
        }  # fmt: skip
        await nurse.post(case.path("nurse", "log"), opening, 201)
        await nurse.post(case.path("nurse", "entries"), {"category": "school", "text": "Avtalt møte."}, 201)
        told = ("items", "items?limit=1", "log", "grants", "requests")
        before = await bytes_of(case, "mother", *told)
        assert {status for status, _, _ in before} == {200}
        secret = await nurse.post(case.path("nurse", "entries"), {"category": "health", "text": "Fortalt."}, 201)
        assert await bytes_of(case, "mother", *told) != before

        kept = await me.post(case.path("youth", "keepings"), {"category": "health"}, 201, 202)
        await confirmed(me, case.path("youth", "keepings"), kept["id"], "waiting")
        assert await bytes_of(case, "mother", *told) == before
        assert await bytes_of(case, "mother", f"items/{secret['id']}", "keepings") == await bytes_of(
            case, "mother", "items/00000000-0000-4000-8000-000000000000", "withdrawals/none"
        )
        reason = {"reason": "wish-respected", "reference": "Journal 2026/17"}
        [seen] = (await nurse.get(case.path("nurse", "keepings")))["items"]
        await nurse.post(case.path("nurse", f"keepings/{seen['id']}/reason"), reason, 200)
        await confirmed(me, case.path("youth", "keepings"), kept["id"], "kept")
        own = {"category": "health", "text": "Hun sover dårlig."}
        written = await case.at["mother"].post(case.path("mother", "entries"), own, 201)
        shown = (await case.at["mother"].get(case.path("mother", "items")))["items"]
        assert [one["id"] for one in shown if one["category"] == "health"] == [written["id"]]
        looks = (await case.at["mother"].get(case.path("mother", "looks")))["items"]
        assert not [one for one in looks if one["categories"] == ["health"] and one["actor"]["kind"] == "staff"]
        assert len((await me.get(case.path("youth", "items")))["items"]) == 3

        await me.post(case.path("youth", f"keepings/{kept['id']}/lift"), {}, 200, 202)
        await confirmed(me, case.path("youth", "keepings"), kept["id"], "lifted")
        shown = (await case.at["mother"].get(case.path("mother", "items")))["items"]
        assert secret["id"] in [one["id"] for one in shown]


async def lets_a_sister_see(world: World) -> None:
    async with case_in(world) as case:
        adult, sister = somebody(41), somebody(39)
        await asked(case, adult)
        await says_yes(case, "adult", adult)
        await case.state("in-force")
        me, nurse = case.at["adult"], case.at["nurse"]
        opening = {
            "plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school", "decision": "Ønsket.",
        }  # fmt: skip
        await nurse.post(case.path("nurse", "log"), opening, 201)
        await nurse.post(case.path("nurse", "entries"), {"category": "health", "text": "Time på mandag."}, 201)
        share = {"named": sister.asked_as(), "categories": ["health"], "until": UNTIL}
        await me.post(case.path("adult", "shares"), share, 201, 202)
        kin = await case.citizen("sister", sister)
        for _ in range(150):
            known = (await kin.get("/me"))["subjects"]
            if known:
                break
            await asyncio.sleep(0.1)
        [one] = known
        case.handles["sister"] = one["subject"]
        items = (await kin.get(case.path("sister", "items")))["items"]
        assert [item["category"] for item in items] == ["health"]
        for rest in ("grants", "looks", "requests", "keepings", "exceptions"):
            refused = await kin.patiently("GET", case.path("sister", rest))
            assert slug(refused) == (404, "not-found"), rest
        grants = (await me.get(case.path("adult", "grants")))["items"]
        [theirs] = [one for one in grants if one["recipient"].startswith("person:") and one["kind"] == "consent"]
        await me.post(theirs["end"]["href"], theirs["end"]["body"], 200, 202)
        for _ in range(150):
            if (await kin.patiently("GET", case.path("sister", "items"))).status_code == 404:
                break
            await asyncio.sleep(0.1)
        assert {status for status, _, _ in await bytes_of(case, "sister", "items")} == {404}


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.requirement("F093", "F079")
def test_a_fifteen_year_old_keeps_one_category_to_herself(demo: Demo) -> None:
    asyncio.run(keeps_to_herself(read(demo.world())))


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.requirement("F070", "F099")
def test_an_adult_lets_next_of_kin_see_what_the_adult_chooses(demo: Demo) -> None:
    asyncio.run(lets_a_sister_see(read(demo.world())))
