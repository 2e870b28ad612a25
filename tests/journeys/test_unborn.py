"""A pregnant woman and whom she expects: asked about before birth, born, and asked anew; and one that ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from story.cast import DISTRICT, NURSE_SERVICE, SCHOOL_SERVICE
from story.people import Person, national_id
from story.world import World, read
from tests.journeys.conftest import SECONDS, Demo
from tests.journeys.test_paper_in_prison import Case, case_in, slug, somebody

TODAY = datetime.now(UTC).date()
CELLS = [
    {"service": NURSE_SERVICE, "categories": ["health", "school"], "actions": ["read", "contribute"]},
    {"service": SCHOOL_SERVICE, "categories": ["school"], "actions": ["read"]},
]
ASKS = {
    "level": 1, "why": "Vi vil forberede hjelpen sammen.", "purpose": "follow-up", "cells": CELLS,
    "until": (TODAY + timedelta(days=200)).isoformat(),
}  # fmt: skip


def newborn(family_name: str) -> Person:
    """A child born today."""
    while True:
        number = national_id(TODAY, 500 + secrets.randbelow(499))
        if number is not None:
            return Person(number, "Ny", family_name, TODAY, "nb")


async def is_asked(case: Case, body: dict[str, Any]) -> None:
    """The nurse asks; the case is about this request from now on."""
    made = await case.at["nurse"].post("/requests", {**ASKS, **body}, 201)
    case.request, case.handles["nurse"] = made["id"], made["subject"]


async def finds(case: Case, who: str) -> dict[str, Any]:
    """The case's request as somebody who is asked finds it at their own door."""
    for _ in range(100):
        for subject in (await case.at[who].get("/me/requests"))["items"]:
            for shown in subject["answer"]["items"]:
                if shown["id"] == case.request:
                    case.handles[who] = subject["subject"]
                    return dict(shown)
        await asyncio.sleep(0.1)
    raise AssertionError(f"the {who} is not asked")


async def says_yes(case: Case, who: str) -> None:
    shown = await finds(case, who)
    cells = [
        {"service": cell["service"], "category": category, "action": action, "answer": "yes"}
        for cell in shown["cells"] for category in cell["categories"] for action in cell["actions"]
    ]  # fmt: skip
    body = {"cells": cells, "text_version": shown["text"]["version"], "language": shown["text"]["language"]}
    await case.at[who].post(case.asked(who, "answer"), body, 200, 202)


async def everywhere(case: Case, who: str, wanted: int) -> None:
    """Every replica answers a read of who it is with this, within seconds."""
    for _ in range(150):
        if await case.reads(who) == {wanted}:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await case.reads(who)} instead of {wanted}")


async def like_unknown(case: Case, who: str, *more: str) -> None:
    """What is told of it is what is told of nobody, byte for byte."""
    nobody = secrets.token_urlsafe(32)
    for rest in ("identity", "items", "grants", "looks", "log", *more):
        known = await case.at[who].patiently("GET", case.path(who, rest))
        unknown = await case.at[who].patiently("GET", f"/subjects/{nobody}/{rest}")
        assert (known.status_code, known.content) == (404, unknown.content), rest


@asynccontextmanager
async def expecting(world: World) -> AsyncIterator[tuple[Case, Person]]:
    """The nurse and a pregnant woman, who is at the door."""
    async with case_in(world) as case:
        mother = somebody(29)
        await case.staff("nurse")
        yield case, mother


def due(days: int, mother: Person) -> dict[str, Any]:
    return {"due_date": (TODAY + timedelta(days=days)).isoformat(), "mother": mother.asked_as()}


async def is_expected(case: Case, mother: Person) -> None:
    """She answers for whom she expects and, apart from it, for herself; a log begins before birth."""
    await is_asked(case, due(8, mother))
    await case.citizen("mother", mother)
    await says_yes(case, "mother")
    await case.state("in-force")
    await everywhere(case, "nurse", 200)
    seen = await case.at["nurse"].get(case.path("nurse", "identity"))
    assert (seen["birth_date"], seen["due_date"]) == (None, due(8, mother)["due_date"])
    nurse = case.at["nurse"]
    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school", "decision": "Felles."}
    await nurse.post(case.path("nurse", "log"), opening, 201)
    await nurse.post(case.path("nurse", "entries"), {"category": "health", "text": "Time hos jordmor."}, 201)
    shown = (await case.at["mother"].get(case.path("mother", "items")))["items"]
    assert [one["text"] for one in shown] == ["Time hos jordmor."]


async def is_a_subject_too(case: Case, mother: Person) -> None:
    """A pregnant woman, who becomes a parent, is helped herself: she alone decides, and it is another subject."""
    unborn, request = dict(case.handles), case.request
    await is_asked(case, mother.asked_as())
    assert case.handles["nurse"] != unborn["nurse"]
    assert (await case.state("waiting"))["waiting_for"] == ["subject"]
    await says_yes(case, "mother")
    await case.state("in-force")
    seen = await case.at["nurse"].get(case.path("nurse", "identity"))
    assert (seen["given_name"], seen["birth_date"]) == (mother.given_name, mother.birth_date.isoformat())
    assert (await case.at["nurse"].get(case.path("nurse", "items")))["items"] == [], "of hers, not of the child's"
    case.handles, case.request = unborn, request


async def is_born(case: Case, mother: Person) -> None:
    """Told by the nurse: what she agreed to ends, both parents are asked, and the log goes on."""
    father, child = somebody(31), newborn(mother.family_name)
    body = {
        "child": child.asked_as(), "responsibility": "felles", "guardians": [mother.asked_as(), father.asked_as()],
        "reference": "Fødselsmelding 2026/7",
    }  # fmt: skip
    refused = await case.at["mother"].patiently("POST", case.path("mother", "birth"), body)
    assert slug(refused) == (404, "not-found")
    await case.at["nurse"].post(case.path("nurse", "birth"), body, 201, 202)
    await everywhere(case, "nurse", 404)
    shown = await case.state("waiting")
    assert (shown["waiting_for"], shown["opened_again"]) == (["guardians"], TODAY.isoformat())
    await case.citizen("father", father)
    await says_yes(case, "father")
    assert await case.reads("nurse") == {404}, "one of two"
    await says_yes(case, "mother")
    await case.state("in-force")
    await everywhere(case, "nurse", 200)
    seen = await case.at["nurse"].get(case.path("nurse", "identity"))
    assert (seen["given_name"], seen["birth_date"], seen["due_date"]) == ("Ny", TODAY.isoformat(), None)
    for who in ("nurse", "father"):
        items = (await case.at[who].get(case.path(who, "items")))["items"]
        assert [one["text"] for one in items] == ["Time hos jordmor."], who


async def ends(case: Case, mother: Person) -> None:
    """Everything ends for everybody, and nobody is told more than of somebody who never was."""
    await is_asked(case, due(120, mother))
    await case.citizen("mother", mother)
    await says_yes(case, "mother")
    await case.state("in-force")
    await everywhere(case, "mother", 200)
    told = {"kind": "pregnancy", "value": "ended", "begins": TODAY.isoformat(), "reference": "Journal 2026/9"}
    await case.at["nurse"].post(case.path("nurse", "facts"), told, 201, 202)
    for who, more in (("nurse", ()), ("mother", ("requests", f"requests/{case.request}", "facts"))):
        await everywhere(case, who, 404)
        await like_unknown(case, who, *more)
    await case.state("taken-back")  # who asked knows that there is nothing more to ask
    assert (await case.at["mother"].get("/me/requests"))["items"] == []


async def lived(world: World) -> None:
    async with expecting(world) as (case, mother):
        await is_expected(case, mother)
        await is_a_subject_too(case, mother)
        await is_born(case, mother)
    async with expecting(world) as (case, mother):
        await ends(case, mother)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.requirement("F011")
def test_a_pregnant_woman_answers_for_whom_she_expects_until_birth_and_then_both_parents_do(demo: Demo) -> None:
    asyncio.run(lived(read(demo.world())))
