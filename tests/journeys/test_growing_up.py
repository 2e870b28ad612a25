"""One youth from eleven to nineteen, lived through the doors: at every threshold what is seen is what the table says.

The business clock is moved, by everybody alike and never back: this journey is the last one of its stack. What the
table says is read by the reading of tests/families, which knows nothing of consent.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import secrets
import tomllib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from story.cast import DISTRICT, NURSE_SERVICE, SCHOOL_SERVICE
from story.door import ASSURANCE, STAFF_HIGH, Caller, log_in
from story.narrative import Narrator
from story.people import Person, birth_date, national_id
from story.steps.directory import ADMIN_LOGIN, put_district, redeem
from story.world import World, read
from tests.families.reading import Family, RawFact, Reading, Thing
from tests.journeys.conftest import SECONDS, Demo

LAW = Path(__file__).parents[2] / "services" / "consent" / "consent" / "data" / "law.toml"
SEED = int(os.environ.get("SAMLOGG_SEED", "11"))
CHILD, MOTHER, FATHER, CARER = "child", "mother", "father", "carer"
PEOPLE = (CHILD, MOTHER, FATHER, CARER)
"""CARER: whom child welfare, and later a decision on capacity, names."""
WELFARE_SERVICE = "child-welfare"
RECORDERS = {"responsibility": "nurse", "care": "welfare", "capacity": "head"}
HIRED = {
    "welfare": {
        "id": "7a3c5a86-0d0b-4d38-9c39-1a6f6f0f7c11", "name": "Bodil Barnevernsprøve", "title": "Kontaktperson",
        "role": "professional", "services": [WELFARE_SERVICE],
    },
    "head": {
        "id": "c2f1a9be-6a5d-4c0e-8a57-2f3f4a6f9d22", "name": "Heidi Helseprøve", "title": "Ledende helsesykepleier",
        "role": "leader", "services": [NURSE_SERVICE],
    },
}  # fmt: skip
"""Staff whom the district has not, and who record what the nurse may not."""
SECTOR = {NURSE_SERVICE: "health", SCHOOL_SERVICE: "school"}
SPECIAL = {"school": False, "leisure": False, "health": True, "child-welfare": True}
WANTED = [
    {"service": NURSE_SERVICE, "categories": list(SPECIAL), "actions": ["read", "contribute"]},
    {"service": SCHOOL_SERVICE, "categories": ["school", "health"], "actions": ["read"]},
]
LONGEST = timedelta(days=1_800)
Cell = tuple[str, str, str]


@dataclass
class Asked:
    """A request, and what everybody has said in it, with the day."""

    id: str
    until: date
    cells: list[Cell]
    words: dict[tuple[str, Cell], tuple[str, date]] = field(default_factory=dict)


@dataclass
class Life:
    """The family at the doors, what is recorded of it, and which day it is."""

    world: World
    chance: random.Random
    people: dict[str, Person]
    family: Family
    reading: Reading
    day: date
    at: dict[str, Caller] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    requests: list[Asked] = field(default_factory=list)
    compared: int = 0

    def path(self, who: str, rest: str) -> str:
        return f"/subjects/{self.handles[who]}/{rest}"

    # -- what the table says ------------------------------------------------------------------------------------------

    def counting(self, asked: Asked, person: str, cell: Cell) -> str | None:
        """The person's word about the cell, if it counts today."""
        said, on = asked.words.get((person, cell), (None, self.day))
        stands = said != "yes" or self.reading.stands(self.family, thing(cell), person, on, self.day)
        return said if stands else None

    def open(self) -> list[Asked]:
        return [one for one in self.requests if one.until >= self.day]

    def agreed(self, asked: Asked) -> set[Cell]:
        return {
            cell for cell in asked.cells
            if self.reading.agreed(
                self.family, thing(cell), self.day, lambda who, cell=cell: self.counting(asked, who, cell)  # type: ignore[misc]
            )
        }  # fmt: skip

    def missing(self, asked: Asked) -> set[tuple[str, str]]:
        """Whose word is missing: party and person; `nobody` where it is not known whose."""
        found: set[tuple[str, str]] = set()
        for cell in asked.cells:
            for party in self.reading.deciders(self.family, thing(cell), self.day):
                people = self.reading.people(self.family, party, self.day)
                found |= {(party, who) for who in people if self.counting(asked, who, cell) is None}
                found |= {("nobody", "")} if not people else set()
        return found

    def to_be_seen(self) -> dict[str, set[str]]:
        """Reader to categories."""
        by_law = {
            person: {
                category for category, special in SPECIAL.items()
                if (person, "read") in self.reading.seen(self.family, Thing(category, special), self.day)
            } for person in PEOPLE
        }  # fmt: skip
        services = {"nurse": NURSE_SERVICE, "teacher": SCHOOL_SERVICE}
        for who, service in services.items():
            by_law[who] = {
                cell[1] for one in self.open() for cell in self.agreed(one) if (cell[0], cell[2]) == (service, "read")
            }
        return by_law

    # -- what is seen through the doors -------------------------------------------------------------------------------

    async def seen(self, who: str) -> set[str]:
        """The categories of the items that somebody reads; nothing where there is nothing to be found."""
        caller = self.at[who]
        if who not in self.handles:
            subjects = (await caller.get("/me"))["subjects"]
            if not subjects:
                return set()
            [self.handles[who]] = [one["subject"] for one in subjects]
        replica = self.compared % len(self.world.gateways)
        answer = await caller.patiently("GET", self.path(who, "items"), replica=replica)
        assert answer.status_code in (200, 404), answer.text
        return {one["category"] for one in answer.json()["items"]} if answer.status_code == 200 else set()

    async def compare(self, what: str) -> None:
        """Within some seconds everybody sees what the table says, and the asker whom each request waits for."""
        wanted, waits = self.to_be_seen(), {one.id: {party for party, _ in self.missing(one)} for one in self.open()}
        for _ in range(100):
            found = dict(zip(wanted, await asyncio.gather(*(self.seen(who) for who in wanted)), strict=True))
            shown = {id_: await self.at["nurse"].get(self.path("nurse", f"requests/{id_}")) for id_ in waits}
            told = {id_: set(one["waiting_for"]) for id_, one in shown.items()}
            if (found, told) == (wanted, waits):
                self.compared += len(wanted) + len(waits)
                return
            await asyncio.sleep(0.1)
        facts = [(one.value, one.begins.isoformat()) for one in self.family.facts]
        pytest.fail(f"{self.day}, {what}, {facts}: seen {found}, not {wanted}; waits {told}, not {waits}")

    # -- what is done -------------------------------------------------------------------------------------------------

    async def move(self, day: date) -> None:
        self.day = day
        to = datetime(day.year, day.month, day.day, 11, tzinfo=UTC).isoformat()
        moved = await self.at["admin"].patiently("PUT", "/clock", {"to": to})
        assert moved.status_code in (200, 202), moved.text

    async def ask(self) -> None:
        """The nurse asks: for what is in force anew if something is, and for all of it where nothing is."""
        until = self.day + LONGEST
        before = self.requests[-1] if self.requests else None
        in_force = self.agreed(before) if before is not None else set()
        if before is not None and in_force:
            path = self.path("nurse", f"requests/{before.id}/renewal")
            made = await self.at["nurse"].post(path, {"until": until.isoformat()}, 201)
        else:
            body = {
                **self.people[CHILD].asked_as(), "guardians": [self.people[one].asked_as() for one in (MOTHER, FATHER)],
                "responsibility": "felles", "level": 1, "why": "Vi vil følge opp sammen.", "purpose": "follow-up",
                "cells": WANTED, "until": until.isoformat(),
            }  # fmt: skip
            made = await self.at["nurse"].post("/requests", body, 201)
        self.handles["nurse"] = made["subject"]
        self.requests.append(Asked(made["id"], until, sorted(in_force or cells_of(WANTED))))

    async def answer(self, who: str, asked: Asked, said: str) -> None:
        """Everything that this person is shown and decides, in one answer."""
        mine = [
            cell for cell in asked.cells
            if any(who in self.reading.people(self.family, party, self.day)
                   for party in self.reading.deciders(self.family, thing(cell), self.day))
        ]  # fmt: skip
        caller = self.at[who]
        for _ in range(100):  # a replica may hear of it a moment after the one that was asked before
            items = (await caller.get("/me/requests"))["items"]
            if items:
                break
            await asyncio.sleep(0.1)
        [found] = items
        self.handles[who] = found["subject"]
        [shown] = [one for one in found["answer"]["items"] if one["id"] == asked.id]
        body = {
            "text_version": shown["text"]["version"], "language": shown["text"]["language"],
            "cells": [
                {"service": service, "category": category, "action": action, "answer": said}
                for service, category, action in mine
            ],
        }  # fmt: skip
        await caller.post(self.path(who, f"requests/{asked.id}/answer"), body, 200, 202)
        asked.words |= {(who, cell): (said, self.day) for cell in mine}

    async def those_who_are_waited_for_answer(self, likely: float) -> None:
        for one in self.open():
            for who in sorted({who for _, who in self.missing(one) if who}):
                if self.chance.random() < likely:
                    await self.answer(who, one, "yes" if self.chance.random() < 0.9 else "no")

    async def told(self) -> set[str]:
        """The newest notices that the nurse has had."""
        return {one["id"] for one in (await self.at["nurse"].get("/me/notices?limit=100"))["items"]}


def thing(cell: Cell) -> Thing:
    return Thing(cell[1], SPECIAL[cell[1]], SECTOR[cell[0]])


def cells_of(wanted: Iterable[dict[str, Any]]) -> set[Cell]:
    return {(one["service"], category, action)
            for one in wanted for category in one["categories"] for action in one["actions"]}  # fmt: skip


def birthday(born: date, age: int) -> date:
    return date(born.year + age, born.month, born.day)


def facts(chance: random.Random, born: date) -> tuple[RawFact, ...]:
    """Who holds parental responsibility from some days on, and again later; a care order for a time; and capacity that
    is away for a time after eighteen."""
    found = []
    for kind, values, first, after in (
        ("care", ("child-welfare",), 12, 1_400), ("capacity", ("lacking", "temporarily"), 18, 150),
    ):  # fmt: skip
        begins = birthday(born, first) + timedelta(days=chance.randrange(20, after))
        over = begins + timedelta(days=chance.randrange(60, 190))
        found.append(RawFact(kind, chance.choice(values), begins, over, frozenset({CARER}), None))
    for age in sorted(chance.sample(range(12, 18), chance.randrange(1, 4))):
        begins = birthday(born, age) + timedelta(days=chance.randrange(20, 300))
        value, people = chance.choice(
            [("mor", {MOTHER}), ("far", {FATHER}), ("felles", {MOTHER, FATHER}), ("ukjent", set[str]())]
        )
        ends = begins + timedelta(days=chance.randrange(100, 500)) if chance.random() < 0.6 else None
        found.append(RawFact("responsibility", value, begins, ends, frozenset(people), None))
    return tuple(found)


def somebody(given: str, family_name: str, age: int, since: int, today: date) -> Person:
    while True:
        born = birth_date(age, today, since)
        low = 500 if born.year >= 2000 else 0
        number = national_id(born, low + secrets.randbelow(499))
        if number is not None:
            return Person(number, given, family_name, born, "nb")


@asynccontextmanager
async def life_in(world: World, chance: random.Random) -> AsyncIterator[Life]:
    """It begins today, whatever day that is to the stack."""
    at: dict[str, Caller] = {}
    try:
        for who, login in (("nurse", "demo-nurse"), ("teacher", "demo-teacher"), ("admin", ADMIN_LOGIN)):
            at[who] = await log_in(world, narrator(), who, "staff", login, {"acr": STAFF_HIGH})
        at |= await hired(world, at["admin"])
        today = datetime.fromisoformat((await at["admin"].get("/clock"))["now"]).date()
        name = "Oppvekst" + "".join(chance.choice("aeiou") + chance.choice("lmnrs") for _ in range(4))
        ages = {CHILD: (11, 300), MOTHER: (43, 100), FATHER: (45, 90), CARER: (51, 80)}
        people = {who: somebody("Prøve", name, age, since, today) for who, (age, since) in ages.items()}
        born = people[CHILD].birth_date
        family = Family(CHILD, born, frozenset({MOTHER, FATHER}), facts(chance, born))
        yield Life(world, chance, people, family, Reading(tomllib.loads(LAW.read_text("utf-8")), None), today, at)
    finally:
        for caller in at.values():
            await caller.http.aclose()


async def hired(world: World, admin: Caller) -> dict[str, Caller]:
    """The district with the staff whom it had not, let in."""
    document = tomllib.loads(world.district.read_text())
    document["staff"] += list(HIRED.values())
    codes = {one["staff"]: one["code"] for one in (await put_district(admin, document))["invitations"]}
    at: dict[str, Caller] = {}
    for who, one in HIRED.items():
        at[who] = await log_in(world, narrator(), who, "staff", f"growing-{who}", {"acr": STAFF_HIGH})
        if at[who].session.get("staff") is None:
            await redeem(at[who], codes[str(one["id"])])
    return at


async def record(life: Life) -> None:
    """What is to come of the family, by whoever the table lets record it. Child welfare asks for that day only: what it
    asks for nobody answers."""
    body = {
        **life.people[CHILD].asked_as(), "guardians": [life.people[one].asked_as() for one in (MOTHER, FATHER)],
        "responsibility": "felles", "level": 1, "why": "Vi følger opp vedtaket.", "purpose": "follow-up",
        "cells": [{"service": WELFARE_SERVICE, "categories": ["leisure"], "actions": ["read"]}],
        "until": life.day.isoformat(),
    }  # fmt: skip
    life.handles["welfare"] = (await life.at["welfare"].post("/requests", body, 201))["subject"]
    life.handles["head"] = life.handles["nurse"]  # one agency, one handle
    for fact in life.family.facts:
        said = {
            "kind": fact.kind, "value": fact.value, "begins": fact.begins.isoformat(), "reference": "FREG-1",
            "ends": None if fact.ends is None else fact.ends.isoformat(),
            "people": [life.people[one].asked_as() for one in sorted(fact.people)],
        }  # fmt: skip
        who = RECORDERS[fact.kind]
        await life.at[who].post(life.path(who, "facts"), said, 201, 202)


def narrator() -> Narrator:
    made = Narrator(io.StringIO())
    made.new_trace()
    return made


async def is_eleven(life: Life) -> None:
    """The nurse asks, both guardians agree, the log is opened and filled, and what is to come is recorded."""
    await life.ask()
    await record(life)
    for who in PEOPLE:
        claims = {"pid": life.people[who].national_id, "acr": ASSURANCE["high"]}
        life.at[who] = await log_in(life.world, narrator(), who, "citizen", f"growing-{secrets.token_hex(6)}", claims)
    for who in (MOTHER, FATHER):
        await life.answer(who, life.requests[0], "yes")
    nurse = life.at["nurse"]
    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school", "decision": "Felles."}
    await until_created(nurse, life.path("nurse", "log"), opening)
    for category in SPECIAL:
        await nurse.post(life.path("nurse", "entries"), {"category": category, "text": "En avtale."}, 201)
    life.handles["teacher"] = await known_to(life.at["teacher"], life.people[CHILD].family_name)
    await life.compare("at eleven")


async def until_created(caller: Caller, path: str, body: dict[str, Any]) -> None:
    for _ in range(100):
        made = await caller.patiently("POST", path, body)
        if made.status_code == 201:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(made.text)


async def known_to(caller: Caller, family_name: str) -> str:
    """What the caller's agency calls the one of this name."""
    for _ in range(100):
        for one in (await caller.get("/me"))["subjects"]:
            seen = await caller.patiently("GET", f"/subjects/{one['subject']}/identity")
            if seen.status_code == 200 and seen.json()["family_name"] == family_name:
                return str(one["subject"])
        await asyncio.sleep(0.1)
    raise AssertionError("nobody of this name")


def turning(life: Life) -> list[date]:
    """The days that are lived: each threshold and the day before it, each fact's days, and renewals before an end."""
    born = life.family.born
    days = {birthday(born, age) + timedelta(days=step) for age in (12, 15, 16, 18) for step in (-1, 0)}
    days |= {birthday(born, 19)}
    for fact in life.family.facts:
        days |= {fact.begins, *([] if fact.ends is None else [fact.ends])}
    return sorted(day for day in days if day > life.day)


async def lived(world: World, seed: int) -> None:
    chance = random.Random(seed)
    async with life_in(world, chance) as life:
        await is_eleven(life)
        for day in turning(life):
            before = await life.told()
            await life.move(day)
            await life.compare("on the day")
            if day + timedelta(days=1) == birthday(life.family.born, 15) and any(
                not SPECIAL[cell[1]] for one in life.open() for cell in life.agreed(one)
            ):
                await until_more(life, before)
            if life.requests[-1].until - day < timedelta(days=400):
                await life.ask()
            await life.those_who_are_waited_for_answer(0.8)
            await life.compare("after the answers")
        assert life.day == birthday(life.family.born, 19)
        assert life.compared > 100


async def until_more(life: Life, before: set[str]) -> None:
    """The service that asked is told that the guardians' consent ends on the birthday."""
    for _ in range(100):
        if await life.told() - before:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the nurse was not told that it ends soon")


@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.requirement("F006", "F098")
@pytest.mark.parametrize("seed", [SEED, SEED + 1])
def test_from_eleven_to_nineteen_everybody_sees_what_the_table_says(demo: Demo, seed: int) -> None:
    asyncio.run(lived(read(demo.world()), seed))
