"""Runs the story from its beginning to the first thing that is not as it must be."""

from __future__ import annotations

import asyncio
import json as formats
import os
import random
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from story import agencies, school
from story import world as places
from story.cast import Story
from story.door import ASSURANCE, STAFF_HIGH
from story.narrative import Narrator
from story.people import new_family
from story.steps.agency import police_sees_its_category
from story.steps.consent import ask_and_answer
from story.steps.directory import load_and_attach
from story.steps.kills import killed_and_back
from story.steps.log import open_and_fill
from story.steps.looks import looks_are_shown
from story.steps.mail import contentless_mail
from story.steps.traces import traces_are_trees
from story.steps.withdrawal import withdraw_police

Act = Callable[[Story], Awaitable[None]]
STEPS: tuple[tuple[str, str, Act], ...] = (
    ("The district is loaded, and two agencies are attached", "district-and-agencies", load_and_attach),
    ("A school nurse asks; the youth and both guardians answer", "request-and-consent", ask_and_answer),
    ("The log is opened and filled; everybody sees what they may", "log", open_and_fill),
    ("The police's own service sees exactly what it was granted", "agency", police_sees_its_category),
    ("The youth withdraws the police", "withdrawal", withdraw_police),
    ("An e-mail comes that tells nothing", "e-mail", contentless_mail),
    ("The youth sees every look and every refusal", "looks", looks_are_shown),
    ("logbook, consent and a gateway are killed", "kills", killed_and_back),
    ("One read and one withdrawal, each as one trace", "traces", traces_are_trees),
)


def run(world: Mapping[str, Any], control: places.Control, once: bool, json: bool) -> int:  # noqa: FBT001
    """Tell the story in this world; 0 if every step was as it must be, else 1.

    world: see `story.world.read`. once: the system stops afterwards, so no advice is given on what to try.
    json: the last line is the result as one JSON object.
    """
    narrator = Narrator(sys.stdout)
    ok = asyncio.run(tell(places.read(world), control, narrator, stays=not once))
    if json:
        print(narrator.result_line(), flush=True)
    return 0 if ok else 1


async def tell(world: places.World, control: places.Control, narrator: Narrator, *, stays: bool) -> bool:
    """All steps, until one is not as it must be."""
    world.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    today = datetime.now(UTC).date()
    story = Story(world, control, narrator, new_family(today, random.Random(secrets.randbits(64))), today)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(hang_up, story)
        for title, name, act in STEPS:
            if not await narrator.step(title, name, lambda act=act: act(story)):  # type: ignore[misc]
                control.check()
                narrator.say("The story stops here.")
                return False
            if name == "district-and-agencies":
                story.feed = await stack.enter_async_context(school.listening(story.school))
                story.feed_known = await story.feed.caught_up()
                story.police_before = {event["handle"] for event in (await agencies.held(world))["events"]}
    if stays:
        keep_cast(story)
    return True


async def hang_up(story: Story) -> None:
    """Close every caller's connections."""
    for caller in story.callers.values():
        await caller.http.aclose()


def keep_cast(story: Story) -> None:
    """Write down how to log in as this run's family, for whoever wants to go on; only its owner can read the file."""
    path = story.world.folder / "cast.json"
    people = {"youth": story.family.youth, "mother": story.family.mother, "father": story.family.father}
    logins = {who: {"pid": person.national_id, "acr": ASSURANCE["high"]} for who, person in people.items()}
    staff = {who: {"username": f"demo-{who}", "acr": STAFF_HIGH} for who in ("nurse", "teacher")}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        formats.dump({"citizen": logins, "staff": staff}, file, indent=2)
    story.narrator.say("", f"How to log in as this family or as the nurse stands in {path}.")
