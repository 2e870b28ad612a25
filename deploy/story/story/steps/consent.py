"""Step 2: the school nurse asks; the youth and both guardians answer; before that nothing exists."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import httpx

from story.cast import DISTRICT, NURSE_SERVICE, POLICE_SERVICE, SCHOOL_SERVICE, Story
from story.door import ASSURANCE, Caller, log_in
from story.narrative import expect, expect_true
from story.people import Person

WANTED = (
    {"service": NURSE_SERVICE, "categories": ["school", "health", "participants"], "actions": ["read", "contribute"]},
    {"service": SCHOOL_SERVICE, "categories": ["school"], "actions": ["read", "contribute"]},
    {"service": POLICE_SERVICE, "categories": ["school", "health"], "actions": ["read"]},
)


async def ask_and_answer(story: Story) -> None:
    """From a request to consent that is in force, with the reads that must be refused in between."""
    await ask(story)
    await nothing_before_consent(story)
    persons = {
        "youth": story.family.youth,
        "mother": story.family.mother,
        "father": story.family.father,
    }
    for who, person in persons.items():
        story.callers[who] = await citizen(story, who, person)
    states = [await answer(story, who) for who in persons]
    expect("the request after the last answer", "in-force", states[-1])
    await low_assurance_sees_nothing(story)
    seen = await story["nurse"].get(story.subject("nurse", f"requests/{story.request}"))
    expect("how far the nurse sees that it has come", "in-force", seen["state"])
    story.say("All three have answered; the consent is in force at every gateway.")


async def ask(story: Story) -> None:
    """The nurse names services, categories and why; the only thing that exists then is the request."""
    nurse, family = story["nurse"], story.family
    before = nurse.calls
    body = {
        **family.youth.asked_as(),
        "guardians": [family.mother.asked_as(), family.father.asked_as()],
        "responsibility": "felles",
        "level": 1,
        "why": "Mye fravær i høst. Vi vil hjelpe sammen.",
        "purpose": "follow-up",
        "cells": list(WANTED),
        "until": (story.today + timedelta(days=300)).isoformat(),
    }
    made = await nurse.post("/requests", body, 201)
    story.request, story.handles["nurse"] = made["id"], made["subject"]
    story.nurse_calls += nurse.calls - before
    expect("how many are asked", 3, len(made["asked_state"]))
    story.say(
        "The school nurse logs in (assurance high) and asks for consent at level 1:",
        *(f"  {cell['service']}: {', '.join(cell['categories'])} ({', '.join(cell['actions'])})" for cell in WANTED),
    )


async def nothing_before_consent(story: Story) -> None:
    """No log, no names, no items: the same bytes as for somebody who does not exist."""
    nurse = story["nurse"]
    nobody = secrets.token_urlsafe(len(story.handles["nurse"]))[: len(story.handles["nurse"])]
    for rest in ("items", "log", "identity", "grants", "looks"):
        known = await nurse.patiently("GET", story.subject("nurse", rest))
        unknown = await nurse.patiently("GET", f"/subjects/{nobody}/{rest}")
        expect(f"a read of {rest} before consent", 404, known.status_code)
        expect(f"that refusal beside `not found` of {rest}", public(unknown), public(known))
    opening = {"plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "decision": "for tidlig"}
    early = await nurse.patiently("POST", story.subject("nurse", "log"), opening)
    expect("opening a log before consent", 404, early.status_code)
    story.say("Before anybody has answered: no log, and every read is refused with the bytes of `not found`.")


def public(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """What of an answer must not tell two cases apart: status, headers but the date, and body."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, headers, answer.content


async def citizen(story: Story, who: str, person: Person, assurance: str = "high") -> Caller:
    """A citizen's session; the national id comes from the provider and goes no further than to find the person."""
    name = f"the {who}"
    claims = {"pid": person.national_id, "acr": ASSURANCE[assurance]}
    return await log_in(story.world, story.narrator, name, "citizen", f"demo-{secrets.token_hex(6)}", claims, assurance)


async def low_assurance_sees_nothing(story: Story) -> None:
    """A log-in that is less sure of who it is reaches no content, with the youth's own handle neither."""
    unsure = await citizen(story, "youth", story.family.youth, "substantial")
    for path in ("/me", story.subject("youth", "items"), story.subject("youth", f"requests/{story.request}")):
        refused = await unsure.patiently("GET", path)
        expect("a read with substantial assurance", 403, refused.status_code)
    await unsure.http.aclose()


async def answer(story: Story, who: str) -> str:
    """One person reads what is asked in their language and answers each cell; returns the state that came of it."""
    caller = story[who]
    await contact(story, who)
    before = caller.calls
    [mine] = [one for one in (await caller.get("/me/requests"))["items"] if one["answer"]["items"]]
    story.handles[who] = mine["subject"]
    [asked] = [one for one in mine["answer"]["items"] if one["state"] not in {"in-force", "expired"}]
    text = asked["text"]
    cells = [
        {"service": cell["service"], "category": category, "action": action, "answer": choice(who, cell, category)}
        for cell in asked["cells"]
        for category in cell["categories"]
        for action in cell["actions"]
    ]
    body = {"cells": cells, "text_version": text["version"], "language": text["language"]}
    said = await caller.post(story.subject(who, f"requests/{asked['id']}/answer"), body, 200, 202)
    used = caller.calls - before + 1
    expect_true(f"the {who}'s answer takes at most 3 calls, the session included (it took {used})", used <= 3)
    story.say(
        f"The {who} reads the text ({text['language']}, version {text['version']}) and answers {len(cells)} "
        f"questions in {used} calls: {summary(cells)}."
    )
    return str(said["state"])


def choice(who: str, cell: dict[str, Any], category: str) -> str:
    """The youth keeps health from the police; everything else is agreed to."""
    return "no" if who == "youth" and cell["service"] == POLICE_SERVICE and category == "health" else "yes"


def summary(cells: list[dict[str, str]]) -> str:
    """How the answers fell."""
    refused = sorted({f"{cell['service']} {cell['category']}" for cell in cells if cell["answer"] == "no"})
    agreed = sum(cell["answer"] == "yes" for cell in cells)
    return f"{agreed} yes" + (f", no to {', '.join(refused)}" if refused else "")


async def contact(story: Story, who: str) -> None:
    """Where a notice may be sent; the address says nothing about anybody."""
    address = f"{secrets.token_hex(6)}@mail.example"
    story.addresses[who] = address
    language = {"father": "nn"}.get(who, "nb")
    given = await story[who].patiently("PUT", "/me/contact", {"email": address, "language": language})
    expect_true(f"the {who}'s contact point is taken ({given.status_code})", given.status_code in {200, 201, 204})
