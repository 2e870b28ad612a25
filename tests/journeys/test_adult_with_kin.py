"""An adult who lets next of kin see and whom a companion helps to write: each has what is theirs, and nothing more."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from story.cast import DISTRICT, NURSE_SERVICE, SCHOOL_SERVICE
from story.door import Caller
from story.world import World, read
from tests.journeys.conftest import SECONDS, Demo
from tests.journeys.test_own_say import asked, says_yes
from tests.journeys.test_paper_in_prison import Case, case_in, newest, slug, somebody

UNTIL = (datetime.now(UTC).date() + timedelta(days=90)).isoformat()


async def notices(caller: Caller) -> set[str]:
    return {one["id"] for one in (await caller.get("/me/notices?limit=100"))["items"]}


async def until(case: Case, who: str, wanted: int, path: str = "items") -> None:
    """Every replica answers so, within seconds."""
    for _ in range(150):
        replicas = range(len(case.world.gateways))
        found = {(await case.at[who].patiently("GET", case.path(who, path), replica=n)).status_code for n in replicas}
        if found == {wanted}:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{who}: {found} instead of {wanted}")


async def is_helped(case: Case, adult: Any) -> None:
    """Consent in the adult's own name, a log, and the two who stand by."""
    await asked(case, adult)
    await says_yes(case, "adult", adult)
    await case.state("in-force")
    nurse, me = case.at["nurse"], case.at["adult"]
    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school", "decision": "Ønsket."}
    await nurse.post(case.path("nurse", "log"), opening, 201)
    for category in ("health", "school"):
        await nurse.post(case.path("nurse", "entries"), {"category": category, "text": f"Om {category}."}, 201)
    sister, friend = somebody(49), somebody(58)
    share = {"named": sister.asked_as(), "categories": ["health"], "until": UNTIL}
    await me.post(case.path("adult", "shares"), share, 201, 202)
    naming = {**friend.asked_as(), "acts": ["answer", "withdraw"], "until": UNTIL}
    case.handles["naming"] = (await me.post(case.path("adult", "companions"), naming, 201))["id"]
    kin, helper = await case.citizen("sister", sister), await case.citizen("friend", friend)
    for _ in range(150):
        if known := (await kin.get("/me"))["subjects"]:
            break
        await asyncio.sleep(0.1)
    [case.handles["sister"]] = [one["subject"] for one in known]
    [one] = (await helper.get("/companionships"))["items"]
    case.handles["friend"], case.handles["person"] = one["subject"], one["person"]


async def each_has_their_own(case: Case) -> None:
    """The kin reads what was chosen and writes nothing for the adult; the companion reads nothing at all."""
    kin, helper = case.at["sister"], case.at["friend"]
    assert [one["category"] for one in (await kin.get(case.path("sister", "items")))["items"]] == ["health"]
    for rest in ("identity", "items", "requests", f"requests/{case.request}", "looks", "grants", "log"):
        refused = await helper.patiently("GET", case.path("friend", rest))
        assert slug(refused) == (404, "not-found"), rest
    for rest in ("grants", "looks", "requests", "companions"):
        refused = await kin.patiently("GET", case.path("sister", rest))
        assert refused.status_code == 404 or refused.json()["items"] == [], rest
    told = {"recipient": f"service:{SCHOOL_SERVICE}"}
    for who in ("sister", "friend"):
        refused = await case.at[who].patiently("POST", case.path(who, "withdrawals"), told)
        assert slug(refused) == (404, "not-found"), who
    refused = await kin.patiently("POST", case.path("sister", "registered-withdrawals"), told)
    assert slug(refused) == (404, "not-found")
    refused = await helper.patiently(
        "POST", case.path("friend", "entries"), {"category": "health", "text": "Dette skal ikke inn."}
    )
    assert slug(refused) == (404, "not-found")


async def the_companion_writes(case: Case) -> None:
    """A withdrawal and, from a printed form, an answer: in the adult's name, marked; the adult is told each time."""
    me, helper = case.at["adult"], case.at["friend"]
    teacher = await case.staff("teacher")
    before = await notices(me)
    told = {"person": case.handles["person"], "recipient": f"service:{SCHOOL_SERVICE}", "statement": "Ikke skolen."}
    taken = await helper.patiently("POST", case.path("friend", "registered-withdrawals"), told)
    assert taken.status_code in (200, 202), taken.text
    before = await until_more(me, before)
    await until(case, "sister", 200)
    await until(case, "nurse", 200)
    printed = await case.at["nurse"].patiently("POST", case.asked("nurse", "form"), {})
    [code] = set(re.findall(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b", printed.text))
    cells = [{"service": SCHOOL_SERVICE, "category": "school", "action": "read", "answer": "yes"}]
    await helper.post(
        case.path("friend", "written-answers"), {"person": case.handles["person"], "form": code, "cells": cells}, 201
    )
    await until_more(me, before)
    case.handles["teacher"] = await newest(case, teacher)
    await until(case, "teacher", 200)
    [shown] = (await me.get("/me/requests"))["items"][0]["answer"]["items"]
    assert {one["manner"] for one in shown["registered"]} == {"companion"}
    assert {one["manner"] for one in shown["mine"] if one["service"] == NURSE_SERVICE} == {"digital"}
    assert {one["manner"] for one in shown["mine"] if one["service"] == SCHOOL_SERVICE} == {"companion"}


async def until_more(caller: Caller, before: set[str]) -> set[str]:
    """The person is told that there is something to see."""
    for _ in range(100):
        if (found := await notices(caller)) - before:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("nobody was told")


async def both_end(case: Case) -> None:
    """The adult ends what the kin sees and what the companion writes; what the companion wrote stands."""
    me, helper = case.at["adult"], case.at["friend"]
    grants = (await me.get(case.path("adult", "grants")))["items"]
    [theirs] = [one for one in grants if one["recipient"].startswith("person:") and one["kind"] == "consent"]
    await me.post(theirs["end"]["href"], theirs["end"]["body"], 200, 202)
    await until(case, "sister", 404)
    await me.post(case.path("adult", f"companions/{case.handles['naming']}/end"), {}, 200)
    told = {"person": case.handles["person"], "recipient": f"service:{NURSE_SERVICE}"}
    refused = await helper.patiently("POST", case.path("friend", "registered-withdrawals"), told)
    assert slug(refused) == (404, "not-found")
    assert (await helper.get("/companionships"))["items"] == []
    await until(case, "teacher", 200)
    await until(case, "nurse", 200)


async def lived(world: World) -> None:
    async with case_in(world) as case:
        case.prisoner = somebody(52)  # whose name the teacher looks for
        await is_helped(case, case.prisoner)
        await each_has_their_own(case)
        await the_companion_writes(case)
        await both_end(case)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.requirement("F070", "F077", "F099")
def test_an_adult_has_next_of_kin_who_see_and_a_companion_who_writes(demo: Demo) -> None:
    asyncio.run(lived(read(demo.world())))
