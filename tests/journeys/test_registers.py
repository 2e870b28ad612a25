"""Parental responsibility changes in the middle, then the child's address is hidden: played from a register's file."""

from __future__ import annotations

import asyncio
import io
import json
import random
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from story.cast import DISTRICT, NURSE_SERVICE, SCHOOL_SERVICE
from story.door import ASSURANCE, STAFF_HIGH, Caller, log_in
from story.narrative import Narrator
from story.people import Person, birth_date, national_id
from story.world import World, read
from tests.journeys.conftest import SECONDS, Demo

PLACE = "Gamlebyen skole, rom 12"
IN_FORCE = [{"service": NURSE_SERVICE, "categories": ["school", "health"], "actions": ["read", "contribute"]}]
HALF_WAY = [{"service": SCHOOL_SERVICE, "categories": ["school"], "actions": ["read"]}]


def somebody(age: int, name: str) -> Person:
    """A synthetic person whom no other test made."""
    while True:
        born = birth_date(age, datetime.now(UTC).date(), random.randint(30, 300))
        number = national_id(born, secrets.randbelow(499) + (500 if born.year >= 2000 else 0))
        if number is not None:
            return Person(number, "Prøve", name, born, "nb")


def named(one: Person) -> dict[str, Any]:
    return {
        "number": one.national_id, "given_name": one.given_name, "family_name": one.family_name,
        "birth_date": one.birth_date.isoformat(), "language": one.language,
    }  # fmt: skip


@dataclass
class Case:
    """A child of ten, who answers for the child, and who is at the doors."""

    world: World
    file: Path
    child: Person = field(default_factory=lambda: somebody(10, "Registervik"))
    mother: Person = field(default_factory=lambda: somebody(41, "Registervik"))
    father: Person = field(default_factory=lambda: somebody(44, "Fraflyttet"))
    aunt: Person = field(default_factory=lambda: somebody(39, "Tilkommen"))
    at: dict[str, Caller] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    version: int = 0

    def path(self, who: str, rest: str) -> str:
        return f"/subjects/{self.handles[who]}/{rest}"

    async def comes(self, who: str, kind: str, sub: str, claims: dict[str, Any]) -> Caller:
        narrator = Narrator(io.StringIO())
        narrator.new_trace()
        self.at[who] = await log_in(self.world, narrator, who, kind, sub, claims)
        return self.at[who]

    async def citizen(self, who: str, one: Person) -> Caller:
        claims = {"pid": one.national_id, "acr": ASSURANCE["high"]}
        found = await self.comes(who, "citizen", f"register-{secrets.token_hex(6)}", claims)
        for entry in (await found.get("/me"))["subjects"]:
            self.handles[who] = entry["subject"]
        return found

    def asks(self, cells: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            **self.child.asked_as(), "guardians": [self.mother.asked_as(), self.father.asked_as()],
            "responsibility": "felles", "level": 1, "why": "Vi vil hjelpe sammen.", "purpose": "follow-up",
            "cells": cells, "until": (datetime.now(UTC).date() + timedelta(days=300)).isoformat(),
        }  # fmt: skip

    async def says_yes(self, who: str, request: str) -> str:
        """Yes to every cell that is shown; the state that came of it."""
        asked = await self.at[who].get(self.path(who, f"requests/{request}"))
        body = {
            "text_version": asked["text"]["version"], "language": asked["text"]["language"],
            "cells": [
                {"service": cell["service"], "category": category, "action": action, "answer": "yes"}
                for cell in asked["cells"] for category in cell["categories"] for action in cell["actions"]
            ],
        }  # fmt: skip
        said = await self.at[who].post(self.path(who, f"requests/{request}/answer"), body, 200, 202)
        return str(said["state"])

    async def statuses(self, who: str, rest: str) -> set[int]:
        """What every replica says to this read."""
        replicas = range(len(self.world.gateways))
        answers = [await self.at[who].patiently("GET", self.path(who, rest), replica=n) for n in replicas]
        return {one.status_code for one in answers}

    async def until(self, who: str, rest: str, wanted: set[int]) -> None:
        """The read has this answer at every replica, within the time that a change needs to be confirmed."""
        for _ in range(100):
            found = await self.statuses(who, rest)
            if found == wanted:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{who} {rest}: {found}")

    def register(self, type_: str, *lines: str, **says: Any) -> subprocess.CompletedProcess[str]:
        """What the register says of the child from now on, played as an operator plays it."""
        self.version += 1
        known = named(self.child)
        document = {
            "version": self.version, "numbers": [{"number": known.pop("number"), "in_use": True}], **known, **says,
        }  # fmt: skip
        event = {"sequence": secrets.randbelow(2**40), "type": type_, "document": f"d{secrets.token_hex(6)}"}
        events = [*lines, json.dumps({"event": event, "person": document})]
        self.file.write_text("".join(f"{line}\n" for line in events))
        command = [sys.executable, "-m", "samlogg", "--world", str(self.file.parent / "world.json"), "registers"]
        return subprocess.run([*command, str(self.file)], capture_output=True, text=True, timeout=90, check=False)


@asynccontextmanager
async def case_in(world: World, file: Path) -> AsyncIterator[Case]:
    case = Case(world, file)
    try:
        yield case
    finally:
        for caller in case.at.values():
            await caller.http.aclose()


async def one_in_force_and_one_half_way(case: Case) -> None:
    nurse = await case.comes("nurse", "staff", "demo-nurse", {"acr": STAFF_HIGH})
    for cells in (IN_FORCE, HALF_WAY):
        made = await nurse.post("/requests", case.asks(cells), 201)
        case.requests.append(made["id"])
        case.handles["nurse"] = made["subject"]
    for who, one in (("mother", case.mother), ("father", case.father)):
        await case.citizen(who, one)
        await case.says_yes(who, case.requests[0])
    await case.says_yes("mother", case.requests[1])
    await case.until("nurse", "identity", {200})
    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school", "decision": "Fravær."}
    await nurse.post(case.path("nurse", "log"), opening, 201)
    meeting = {
        "title": "Hvordan går det?", "category": "school", "place": PLACE,
        "meet_at": (datetime.now(UTC) + timedelta(days=3)).isoformat(timespec="milliseconds"),
    }  # fmt: skip
    await nurse.post(case.path("nurse", "meetings"), meeting, 201)
    assert await case.statuses("father", "items") == {200}


async def responsibility_changes(case: Case) -> None:
    """The father holds it no longer, the aunt does: his sight ends, she is asked, and the mother's yes still counts."""
    held = {
        "type": "felles",
        "since": datetime.now(UTC).date().isoformat(),
        "holders": [named(case.mother), named(case.aunt)],
    }
    played = case.register("endringIForeldreansvar", "{ not an event", responsibility=held)
    assert (played.returncode, "1 done" in played.stdout) == (1, True), played.stdout + played.stderr
    assert "event-unreadable" in played.stdout
    for who, rest in (("father", "items"), ("father", "log"), ("father", "requests"), ("nurse", "items")):
        await case.until(who, rest, {404})
    assert await case.statuses("mother", "items") == {200}
    aunt = await case.citizen("aunt", case.aunt)
    assert [one["subject"] for one in (await aunt.get("/me"))["subjects"]] == [case.handles["aunt"]]
    nurse = case.at["nurse"]
    for request in case.requests:
        shown = await nurse.get(case.path("nurse", f"requests/{request}"))
        assert (shown["state"], len(shown["answers"])) == ("waiting", 2)
    assert [await case.says_yes("aunt", request) for request in case.requests] == ["in-force", "in-force"]
    await case.until("nurse", "items", {200})
    assert await case.statuses("father", "items") == {404}


async def meeting_seen_by(case: Case, who: str) -> dict[str, Any]:
    found = (await case.at[who].get(case.path(who, "items?kind=meeting")))["items"]
    return dict(found[0])


async def address_is_hidden(case: Case) -> None:
    """First from private parties, then from most services too: everywhere at once, and lifted again."""
    assert (await meeting_seen_by(case, "aunt"))["place"] == PLACE
    assert case.register("endringIAdressebeskyttelse", protection="fortrolig").returncode == 1  # the line put aside
    await case.until("aunt", "looks", {404})
    assert (await meeting_seen_by(case, "nurse"))["place"] == PLACE
    for rest in ("log", "items"):
        for n in range(len(case.world.gateways)):
            seen = await case.at["aunt"].patiently("GET", case.path("aunt", rest), replica=n)
            assert seen.status_code == 200
            assert not any(word in seen.text for word in (PLACE, NURSE_SERVICE, SCHOOL_SERVICE, "gamlebyen"))
    assert await case.statuses("aunt", f"requests/{case.requests[0]}") == {404}
    case.register("endringIAdressebeskyttelse", protection="strengtFortrolig")
    await case.until("aunt", "items", {404})
    assert (await meeting_seen_by(case, "nurse"))["place"] is None
    nurse = case.at["nurse"]
    refused = await nurse.patiently("POST", "/requests", case.asks(IN_FORCE))
    unknown = await nurse.patiently("GET", f"/subjects/{secrets.token_urlsafe(32)[:43]}/items")
    assert told(refused) == told(unknown)
    case.register("endringIAdressebeskyttelse")
    await case.until("aunt", "items", {200})
    assert (await meeting_seen_by(case, "aunt"))["place"] == PLACE


def told(answer: httpx.Response) -> tuple[int, bytes]:
    return answer.status_code, answer.content


async def lived(world: World, file: Path) -> None:
    async with case_in(world, file) as case:
        await one_in_force_and_one_half_way(case)
        await responsibility_changes(case)
        await address_is_hidden(case)


@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.requirement("F082")
def test_parental_responsibility_changes_in_the_middle_and_then_the_address_is_hidden(demo: Demo) -> None:
    asyncio.run(lived(read(demo.world()), demo.state / "events.jsonl"))
