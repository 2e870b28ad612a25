"""Canaries: words, numbers and addresses that exist nowhere else, and a family that is made of them at every door."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import httpx

from story import agencies, school
from story.agencies import police_client_key
from story.cast import DISTRICT, NURSE_SERVICE, POLICE_AGENCY, Story
from story.door import log_in, machine
from story.main import hang_up
from story.narrative import Narrator
from story.people import Family, Person, birth_date, national_id
from story.steps import consent as steps
from story.steps.consent import WANTED, answer, citizen
from story.steps.directory import load_and_attach
from story.steps.log import add, police_heard
from story.steps.mail import mail_for
from story.steps.withdrawal import withdraw
from story.world import World
from tests.journeys.bad_luck import Asked, everything_bad
from tests.journeys.searching import CORE


@dataclass
class Canaries:
    """What was planted: the canary, and the door that it went through."""

    planted: dict[str, str] = field(default_factory=dict)

    def word(self, where: str) -> str:
        """A word that means nothing and is found nowhere by chance."""
        made = CORE + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(12))
        self.planted[made] = where
        return made

    def address(self, where: str) -> str:
        """An e-mail address."""
        return f"{self.word(where)}@mail.example"

    def number(self, where: str, born: date) -> str:
        """A valid synthetic national id."""
        while True:
            low = 500 if born.year >= 2000 else 0
            made = national_id(born, low + secrets.randbelow(499))
            if made is not None and made not in self.planted:
                self.planted[made] = where
                return made

    def person(self, who: str, age: int, language: str) -> Person:
        """Somebody whose name and number are canaries."""
        born = birth_date(age, datetime.now(UTC).date(), 100)
        given, surname = self.word(f"the {who}'s given name"), self.word(f"the {who}'s family name")
        return Person(self.number(f"the {who}'s national id", born), given, surname, born, language)


class NobodysHand:
    """The story's control where nothing is killed."""

    def kill(self, part: str, signal: int) -> None:
        """Not here."""
        raise AssertionError("nothing is killed in this story")

    def wait_ready(self, part: str) -> None:
        """Nothing was killed."""

    def check(self) -> None:
        """Whoever started the stack watches it."""


async def plant(world: World, canaries: Canaries, doors: Mapping[str, str]) -> list[str]:
    """The whole chain with a family of canaries, and everything bad at every door.

    doors: the services' own, past the gateway. Returns what was answered otherwise than with a refusal, and where a
    canary came back in one: it must be empty.
    """
    family = Family(
        canaries.person("youth", 15, "nb"), canaries.person("mother", 43, "nb"), canaries.person("father", 45, "nn")
    )
    narrator = Narrator(io.StringIO())
    narrator.new_trace()
    story = Story(world, NobodysHand(), narrator, family, datetime.now(UTC).date())
    world.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with cast(story):
        await consent(story, canaries)
        await fill(story, canaries)
        story.handles["police"] = await police_heard(story)
        story.callers["police"] = await machine(
            world, narrator, "the police's program", POLICE_AGENCY, police_client_key(world)
        )
        await story["police"].get(story.subject("police", "items"))
        found: list[str] = []
        for asked in everything_bad(story, canaries, doors):
            found += await try_out(story, asked, canaries)
        found += await bad_logins(story, canaries)
        await withdraw(story)
        for who in ("youth", "mother", "father"):
            await mail_for(world.mailbox, story.addresses[who])
        return found


@asynccontextmanager
async def cast(story: Story) -> AsyncIterator[None]:
    """Staff, agencies and the school's ear."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(hang_up, story)
        await load_and_attach(story)
        story.feed = await stack.enter_async_context(school.listening(story.school))
        story.feed_known = await story.feed.caught_up()
        story.police_before = {event["handle"] for event in (await agencies.held(story.world))["events"]}
        yield


async def consent(story: Story, canaries: Canaries) -> None:
    """A request with a canary for its reason; three answers; three addresses."""
    family = story.family
    body = {
        **family.youth.asked_as(), "guardians": [family.mother.asked_as(), family.father.asked_as()],
        "responsibility": "felles", "level": 1, "why": f"Fordi {canaries.word('why')} er borte.",
        "purpose": "follow-up", "cells": list(WANTED), "until": (story.today + timedelta(days=300)).isoformat(),
    }  # fmt: skip
    made = await story["nurse"].post("/requests", body, 201)
    story.request, story.handles["nurse"] = made["id"], made["subject"]
    for who, person in (("youth", family.youth), ("mother", family.mother), ("father", family.father)):
        story.callers[who] = await citizen(story, who, person)
        with patch.object(steps, "contact", contact(canaries, person.language)):  # the first mail goes where it says
            state = await answer(story, who)
    assert state == "in-force"


def contact(canaries: Canaries, language: str) -> Callable[[Story, str], Awaitable[None]]:
    """The story's step that leaves an address, with a canary for the address."""

    async def leave(story: Story, who: str) -> None:
        story.addresses[who] = canaries.address(f"the {who}'s e-mail address")
        left = {"email": story.addresses[who], "language": language}
        assert (await story[who].patiently("PUT", "/me/contact", left)).is_success

    return leave


async def fill(story: Story, canaries: Canaries) -> None:
    """A log in which every free text is a canary."""
    nurse = story["nurse"]
    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school"}
    await nurse.post(story.subject("nurse", "log"), {**opening, "decision": canaries.word("a decision")}, 201)
    goal = await add(story, "nurse", "goals", {"category": "school", "title": canaries.word("a goal")})
    measure = {
        "goal": goal, "title": canaries.word("a measure"), "category": "school",
        "responsible": f"service:{NURSE_SERVICE}", "evaluate_on": (story.today + timedelta(days=28)).isoformat(),
    }  # fmt: skip
    planned = await add(story, "nurse", "measures", measure, "measure")
    level = {"level": 2, "decision": canaries.word("a change of level"), "category": "school"}
    await nurse.post(story.subject("nurse", "log/level"), level)
    for category in ("school", "health"):
        text = canaries.word(f"an entry about {category}")
        await add(story, "nurse", "entries", {"category": category, "text": text}, category)
    await add(story, "youth", "highlights", {"category": "school", "text": canaries.word("a highlight")})
    meeting = {"title": canaries.word("what a meeting is for"), "place": canaries.word("where a meeting is")}
    at = f"{story.today + timedelta(days=7)}T12:00:00Z"
    await add(story, "nurse", "meetings", {**meeting, "category": "school", "meet_at": at})
    path = story.subject("nurse", f"measures/{planned}")
    shown = await nurse.patiently("GET", story.subject("nurse", f"items/{planned}"))
    verdict = {"outcome": "end", "text": canaries.word("an evaluation")}
    headers = {"If-Match": shown.headers["ETag"]}
    done = await nurse.patiently("POST", f"{path}/evaluation", verdict, headers=headers)
    assert done.status_code in {200, 201, 409}, done.status_code


async def try_out(story: Story, asked: Asked, canaries: Canaries) -> list[str]:
    """Ask, and say what of the answer is wrong: not a refusal, or an echo."""
    caller = story[asked.who]
    headers = {"traceparent": story.narrator.traceparent(), "X-CSRF-Token": caller.csrf, **asked.headers}
    if caller.bearer:
        headers.setdefault("Authorization", f"Bearer {caller.bearer}")
    address = asked.address or caller.gateways[0]
    content = asked.body if isinstance(asked.body, bytes | None) else json.dumps(asked.body).encode()
    if content is not None:
        headers.setdefault("Content-Type", "application/json")
    async with httpx.AsyncClient(timeout=15, cookies=caller.http.cookies) as http:
        came = await http.request(asked.method, f"{address}{asked.path}", content=content, headers=headers)
    return wrong(asked.what, came, canaries, asked.answers)


def wrong(what: str, came: httpx.Response, canaries: Canaries, answers: tuple[int, ...]) -> list[str]:
    """What is wrong with an answer to bad input."""
    found = [] if came.status_code in answers else [f"{what}: answered with {came.status_code}"]
    text = f"{came.headers.multi_items()} {came.text}".lower()
    echoed = sorted({where for canary, where in canaries.planted.items() if canary in text})
    return [*found, *(f"{what}: its answer holds {where}" for where in echoed if came.status_code >= 400)]


async def bad_logins(story: Story, canaries: Canaries) -> list[str]:
    """Names at the provider, and everything that a browser can bring to the doors of log-in."""
    claims: Mapping[str, Any] = {
        "acr": "high", "name": canaries.word("the name claim of a login"),
        "email": canaries.address("the e-mail claim of a login"),
    }  # fmt: skip
    stranger = await log_in(
        story.world, story.narrator, "a stranger", "staff", canaries.word("the subject of a login"), claims
    )
    await stranger.post("/invitations/redeem", {"code": canaries.word("an invitation's code")}, 400, 403, 404, 422)
    await stranger.http.aclose()
    found: list[str] = []
    queries = (
        ("/login", {"as": canaries.word("the kind of a login")}),
        ("/login", {"as": "citizen", "next": canaries.word("a foreign `next`")}),
        ("/callback", {"code": canaries.word("a code"), "state": canaries.word("a state")}),
        ("/callback", {"error": "access_denied", "error_description": canaries.word("a provider's error")}),
    )
    async with httpx.AsyncClient(timeout=15) as http:
        for path, query in queries:
            came = await http.get(f"{story.world.gateways[0]}{path}", params=query)
            found += wrong(f"{path} with {sorted(query)}", came, canaries, (400, 401, 403, 404, 422))
    return found
