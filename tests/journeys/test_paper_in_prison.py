"""An adult without phone, eID or freedom consents on paper, withdraws by word of mouth, is helped by a companion."""

from __future__ import annotations

import asyncio
import io
import random
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from story.cast import NURSE_SERVICE, SCHOOL_SERVICE
from story.door import ASSURANCE, STAFF_HIGH, Caller, log_in
from story.narrative import Narrator
from story.people import Person, birth_date, national_id
from story.world import World, read
from tests.journeys.conftest import SECONDS, Demo

WITNESS = "0c2ecbc6-a0eb-45a8-bb4b-bb89b237a3d6"  # the district's coordinator
WANTED = [
    {"service": NURSE_SERVICE, "categories": ["health"], "actions": ["read", "contribute"]},
    {"service": SCHOOL_SERVICE, "categories": ["school"], "actions": ["read"]},
]


def somebody(age: int) -> Person:
    """A synthetic person whom no other test made, and of a name that nobody else has."""
    name = "Prøvesen" + "".join(secrets.choice("aeilmnors") for _ in range(8))
    while True:
        born = birth_date(age, datetime.now(UTC).date(), random.randint(30, 300))
        number = national_id(born, secrets.randbelow(499))
        if number is not None:
            return Person(number, "Prøve", name, born, "nb")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass
class Case:
    """The prisoner, who is at the doors, and what each of them calls the prisoner."""

    world: World
    prisoner: Person = field(default_factory=lambda: somebody(34))
    friend: Person = field(default_factory=lambda: somebody(51))
    at: dict[str, Caller] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    request: str = ""

    def path(self, who: str, rest: str) -> str:
        return f"/subjects/{self.handles[who]}/{rest}"

    def asked(self, who: str, rest: str) -> str:
        return self.path(who, f"requests/{self.request}/{rest}")

    async def citizen(self, who: str, person: Person) -> Caller:
        claims = {"pid": person.national_id, "acr": ASSURANCE["high"]}
        narrator = Narrator(io.StringIO())
        narrator.new_trace()
        self.at[who] = await log_in(self.world, narrator, who, "citizen", f"paper-{secrets.token_hex(6)}", claims)
        return self.at[who]

    async def staff(self, who: str) -> Caller:
        """The story's nurse or teacher, who were let in when it was told."""
        narrator = Narrator(io.StringIO())
        narrator.new_trace()
        self.at[who] = await log_in(self.world, narrator, who, "staff", f"demo-{who}", {"acr": STAFF_HIGH})
        assert self.at[who].session["staff"] is not None
        return self.at[who]

    async def reads(self, who: str) -> set[int]:
        """What every replica says to a read of who this is."""
        replicas = range(len(self.world.gateways))
        answers = [await self.at[who].patiently("GET", self.path(who, "identity"), replica=n) for n in replicas]
        return {one.status_code for one in answers}

    async def state(self, wanted: str) -> dict[str, Any]:
        """The request as the nurse sees it, once it has come that far."""
        for _ in range(150):
            shown: dict[str, Any] = await self.at["nurse"].get(self.path("nurse", f"requests/{self.request}"))
            if shown["state"] == wanted:
                return shown
            await asyncio.sleep(0.1)
        raise AssertionError(f"{shown['state']} instead of {wanted}")


@asynccontextmanager
async def case_in(world: World) -> AsyncIterator[Case]:
    case = Case(world)
    try:
        yield case
    finally:
        for caller in case.at.values():
            await caller.http.aclose()


async def is_asked(case: Case) -> dict[str, Any]:
    """The nurse asks; nobody but staff is at any door. Gives what the code on the printed form finds."""
    nurse = await case.staff("nurse")
    body = {
        **case.prisoner.asked_as(), "level": 1, "why": "Vi vil forberede løslatelsen sammen.", "purpose": "follow-up",
        "cells": WANTED, "until": (datetime.now(UTC).date() + timedelta(days=300)).isoformat(),
    }  # fmt: skip
    made = await nurse.post("/requests", body, 201)
    case.request, case.handles["nurse"] = made["id"], made["subject"]
    printed = await nurse.patiently("POST", case.asked("nurse", "form"), {})
    assert printed.status_code == 200, printed.text
    assert printed.headers["content-type"].startswith("text/html")
    assert printed.text.count("\u2610") == 2 * 3 and case.prisoner.family_name not in printed.text
    assert case.prisoner.national_id not in printed.text and case.handles["nurse"] not in printed.text
    [code] = set(re.findall(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b", printed.text))
    found: dict[str, Any] = await nurse.get(f"/forms/{code}")
    assert (found["subject"], found["person"], found["request"]) == (made["subject"], made["subject"], made["id"])
    return found


async def answers_on_paper(case: Case, form: dict[str, Any]) -> None:
    """Told orally, ticked by hand, witnessed; what lacks the witness is refused and changes nothing."""
    nurse = case.at["nurse"]
    told = {
        "person": form["person"], "text_version": form["text_version"], "language": form["language"],
        "points": ["asks", "purpose", "not_shared", "voluntary", "withdraw"], "interpreter": False, "told_at": now(),
    }  # fmt: skip
    await nurse.post(case.asked("nurse", "information"), told, 201)
    paper = {
        "person": form["person"], "manner": "paper", "form": form["code"], "given_at": now(),
        "place": "Besøksrommet i fengselet", "scan": {"sha256": "ab" * 32, "reference": "arkiv 2026/117"},
        "cells": [
            {"service": cell["service"], "category": category, "action": action, "answer": "yes"}
            for cell in WANTED for category in cell["categories"] for action in cell["actions"]
        ],
    }  # fmt: skip
    unwitnessed = await nurse.patiently("POST", case.asked("nurse", "registered-answer"), paper)
    assert slug(unwitnessed) == (422, "witness-needed")
    assert (await case.state("waiting"))["registered"] == []
    await nurse.post(case.asked("nurse", "registered-answer"), {**paper, "witness": WITNESS}, 201, 202)
    shown = await case.state("in-force")
    assert [one["manner"] for one in shown["registered"]] == ["paper"]
    teacher = await case.staff("teacher")
    case.handles["teacher"] = await newest(case, teacher)
    assert await case.reads("nurse") == await case.reads("teacher") == {200}


async def newest(case: Case, teacher: Caller) -> str:
    """What the teacher's agency calls the prisoner: the one of this name."""
    for _ in range(100):
        for one in (await teacher.get("/me"))["subjects"]:
            seen = await teacher.patiently("GET", f"/subjects/{one['subject']}/identity")
            if seen.status_code == 200 and seen.json()["family_name"] == case.prisoner.family_name:
                return str(one["subject"])
        await asyncio.sleep(0.1)
    raise AssertionError("the teacher knows nobody of this name")


async def withdraws_by_word_of_mouth(case: Case) -> str:
    """Told to the teacher, who did not ask: taken at once, and when it is confirmed nobody reads."""
    teacher = case.at["teacher"]
    taken = await teacher.patiently(
        "POST", case.path("teacher", "registered-withdrawals"), {"statement": "Jeg vil ut."}
    )
    assert taken.status_code in (200, 202), taken.text
    where = case.path("teacher", f"registered-withdrawals/{taken.json()['id']}")
    for _ in range(150):
        if (await teacher.get(where))["status"] == "confirmed":
            break
        await asyncio.sleep(0.1)
    assert (await teacher.get(where))["status"] == "confirmed"
    assert await case.reads("nurse") == await case.reads("teacher") == {404}
    return str(teacher.session["staff"])


async def is_out_and_looks(case: Case, teacher: str) -> None:
    """With an eID at last: all that was registered in this name is there, and who registered it."""
    me = await case.citizen("prisoner", case.prisoner)
    [mine] = (await me.get("/me/requests"))["items"]
    case.handles["prisoner"] = mine["subject"]
    [asked] = mine["answer"]["items"]
    [paper] = asked["registered"]
    assert (paper["manner"], paper["witness"], paper["place"]) == ("paper", WITNESS, "Besøksrommet i fengselet")
    assert {one["manner"] for one in asked["mine"]} == {"oral"} and {one["answer"] for one in asked["mine"]} == {"no"}
    [told] = asked["told"]
    assert told["points"] and told["interpreter"] is False
    for _ in range(100):  # the other looks come by the bus
        looks = (await me.get(case.path("prisoner", "looks")))["items"]
        routes = {one["route"] for one in looks}
        if "consent.register-answer" in routes:
            break
        await asyncio.sleep(0.1)
    assert {"consent.register-answer", "consent.register-information", "consent.print-form"} <= routes
    [withdrawn] = [one for one in looks if one["route"] == "consent.register-withdrawal"]
    assert (withdrawn["manner"], withdrawn["behalf"], withdrawn["actor"]["id"]) == ("oral", "subject", teacher)
    for grant in withdrawn["grants"]:
        began, ended = (await me.get(case.path("prisoner", f"grants/{grant}")))["history"]
        assert (began["manner"], ended["manner"], ended["through"]["id"]) == ("paper", "oral", teacher)


async def is_helped_by_a_companion(case: Case) -> None:
    """A companion writes what is on a new paper, and sees nothing but the receipt."""
    me = case.at["prisoner"]
    until = (datetime.now(UTC).date() + timedelta(days=30)).isoformat()
    await me.post(
        case.path("prisoner", "companions"), {**case.friend.asked_as(), "acts": ["answer"], "until": until}, 201
    )
    friend = await case.citizen("friend", case.friend)
    [one] = (await friend.get("/companionships"))["items"]
    case.handles["friend"] = one["subject"]
    for rest in ("identity", "items", "requests", f"requests/{case.request}", "looks", "grants", "log"):
        refused = await friend.patiently("GET", case.path("friend", rest))
        assert refused.status_code == 404, rest
    printed = await case.at["nurse"].patiently("POST", case.asked("nurse", "form"), {})
    [code] = set(re.findall(r"\b[0-9A-Z]{5}-[0-9A-Z]{5}\b", printed.text))
    cells = [{"service": SCHOOL_SERVICE, "category": "school", "action": "read", "answer": "yes"}]
    written = {"person": one["person"], "form": code.lower(), "cells": cells}
    receipt = await friend.post(case.path("friend", "written-answers"), written, 201)
    assert receipt.keys() == {"id", "at"}
    for _ in range(150):
        if await case.reads("teacher") == {200}:
            break
        await asyncio.sleep(0.1)
    assert (await case.reads("teacher"), await case.reads("nurse"), await case.reads("friend")) == ({200}, {404}, {404})
    [asked] = (await me.get("/me/requests"))["items"][0]["answer"]["items"]
    assert [one["manner"] for one in asked["registered"]] == ["paper", "companion"]


def slug(answer: httpx.Response) -> tuple[int, str]:
    """Status and the end of the problem's type."""
    return answer.status_code, str(answer.json()["type"]).removeprefix("urn:samlogg:problem:")


async def lived(world: World) -> None:
    async with case_in(world) as case:
        form = await is_asked(case)
        await answers_on_paper(case, form)
        teacher = await withdraws_by_word_of_mouth(case)
        await is_out_and_looks(case, teacher)
        await is_helped_by_a_companion(case)


@pytest.mark.timeout(SECONDS + 120)
@pytest.mark.requirement("F077", "F084", "F178")
def test_paper_consent_in_a_prison_and_its_withdrawal_by_word_of_mouth(demo: Demo) -> None:
    asyncio.run(lived(read(demo.world())))
