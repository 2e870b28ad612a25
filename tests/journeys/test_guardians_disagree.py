"""Two guardians who disagree: one no is a no, the other learns that and not why, and either may change any cell."""

import asyncio
import json
from typing import Any

import pytest

from story.cast import NURSE_SERVICE, SCHOOL_SERVICE
from story.world import World, read
from tests.journeys.conftest import SECONDS, Demo
from tests.journeys.test_own_say import UNTIL
from tests.journeys.test_paper_in_prison import Case, case_in, newest, somebody

CELLS = [{"service": one, "categories": ["school"], "actions": ["read"]} for one in (NURSE_SERVICE, SCHOOL_SERVICE)]


async def says(case: Case, who: str, **answers: str) -> None:
    """One of the guardians answers for the nurse and for the school."""
    me = case.at[who]
    [mine] = (await me.get("/me/requests"))["items"]
    case.handles[who] = mine["subject"]
    [shown] = mine["answer"]["items"]
    cells = [
        {"service": {"nurse": NURSE_SERVICE, "school": SCHOOL_SERVICE}[name], "category": "school", "action": "read",
         "answer": said}
        for name, said in answers.items()
    ]  # fmt: skip
    body = {"cells": cells, "text_version": shown["text"]["version"], "language": shown["text"]["language"]}
    await me.post(case.asked(who, "answer"), body, 200, 202)


async def taking_part(case: Case, who: str, wanted: set[str]) -> None:
    """Until this guardian's list of services is this one."""
    for _ in range(150):
        found = await case.at[who].get(case.path(who, "services"))
        if {one["service"] for one in found["items"]} == wanted and found["services"] == len(wanted):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{found['items']} instead of {wanted}")


async def shown_to(case: Case, who: str) -> dict[str, Any]:
    """The request as this guardian sees it."""
    found: dict[str, Any] = await case.at[who].get(case.path(who, f"requests/{case.request}"))
    return found


async def disagree(world: World) -> None:
    child, mother, father = somebody(10), somebody(40), somebody(42)
    async with case_in(world) as case:
        case.prisoner = child  # whom `newest` looks for
        nurse = await case.staff("nurse")
        body = {
            **child.asked_as(), "guardians": [mother.asked_as(), father.asked_as()], "responsibility": "felles",
            "level": 1, "why": "Vi vil hjelpe sammen.", "purpose": "follow-up", "cells": CELLS, "until": UNTIL,
        }  # fmt: skip
        made = await nurse.post("/requests", body, 201)
        case.request, case.handles["nurse"] = made["id"], made["subject"]
        for who, person in (("mother", mother), ("father", father)):
            await case.citizen(who, person)
        await says(case, "mother", nurse="yes", school="yes")
        assert await case.reads("nurse") == {404}, "one yes of two is none"
        await says(case, "father", nurse="yes", school="no")
        await case.state("in-force")
        assert await case.reads("nurse") == {200}
        services = {NURSE_SERVICE}
        for who in ("mother", "father"):
            await taking_part(case, who, services)
        seen = await shown_to(case, "mother")
        assert {one["state"] for one in seen["answers"]} == {"answered"}
        assert {one["answer"] for one in seen["mine"]} == {"yes"}
        assert '"no"' not in json.dumps(seen), "that it is not in force is told, not who said what"

        teacher = await case.staff("teacher")
        await says(case, "father", school="yes")
        case.handles["teacher"] = await newest(case, teacher)
        assert await case.reads("teacher") == {200}
        await taking_part(case, "mother", services | {SCHOOL_SERVICE})
        await case.at["mother"].post(
            case.path("mother", "withdrawals"), {"recipient": f"service:{SCHOOL_SERVICE}"}, 200, 202
        )
        await taking_part(case, "father", services)
        assert (await case.reads("teacher"), await case.reads("nurse")) == ({404}, {200})
        assert {one["answer"] for one in (await shown_to(case, "father"))["mine"]} == {"yes"}


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.requirement("F083", "F194")
def test_two_guardians_who_disagree(demo: Demo) -> None:
    asyncio.run(disagree(read(demo.world())))
