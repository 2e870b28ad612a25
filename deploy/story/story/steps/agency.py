"""Step 4: the police's own process is pointed to the youth and sees exactly the category it was granted."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from typing import Any

from story.agencies import held, held_until, police_client_key
from story.cast import POLICE_AGENCY, POLICE_SERVICE, Story
from story.door import machine
from story.narrative import expect, expect_true
from story.steps.consent import public
from story.steps.log import add, all_items, police_heard

QUIET_SECONDS = 1.0
"""Pointers come within a tenth of a second; after this long without any, those that were on their way are there."""


async def police_sees_its_category(story: Story) -> None:
    """What it holds, what it cannot find, and what it is not pointed to."""
    story.handles["police"] = await police_heard(story)
    expect_true("the police's handle is nobody else's", story.handles["police"] not in
                {handle for who, handle in story.handles.items() if who != "police"})  # fmt: skip
    mine = {one["id"] for one in await all_items(story, "youth") if one["category"] == "school"}
    state = await held_until(
        story.world, "it holds what it was granted",
        lambda state: {one["id"] for one in kept(state, story.handles["police"])} == mine,
    )  # fmt: skip
    [subject] = [one for one in state["subjects"] if one["handle"] == story.handles["police"]]
    youth = story.family.youth
    named = (subject["given_name"], subject["family_name"], subject["birth_date"])
    expect_true(
        "the police knows whom the handle means",
        named == (youth.given_name, youth.family_name, youth.birth_date.isoformat()),
    )
    expect("categories the police holds", {"school"}, {one["category"] for one in subject["items"]})
    story.say(
        f"The police service got its pointers, asked whom the handle means, and holds {len(mine)} things, all school."
    )
    story.callers["police"] = await machine(
        story.world, story.narrator, "the police's program", POLICE_AGENCY, police_client_key(story.world)
    )
    await health_is_invisible(story)
    await only_granted_pointers(story)


def kept(state: dict[str, Any], handle: str) -> list[dict[str, Any]]:
    """The items the police holds about one handle."""
    found: list[dict[str, Any]] = [
        one for subject in state["subjects"] if subject["handle"] == handle for one in subject["items"]
    ]
    return found


async def health_is_invisible(story: Story) -> None:
    """Neither the entry, nor its existence, nor the count, nor the tag tells that there is something about health."""
    police = story["police"]
    first = await police.patiently("GET", story.subject("police", "items"))
    story.police_etag = first.headers["ETag"]
    missing = await police.patiently("GET", story.subject("police", f"items/{uuid.uuid4()}"))
    hidden = await police.patiently("GET", story.subject("police", f"items/{story.items['health']}"))
    expect("the health entry beside an entry that is not there", public(missing), public(hidden))
    await add(story, "nurse", "entries", {"category": "health", "text": "Oppfølging hos lege avtalt."}, "health-2")
    second = await police.patiently("GET", story.subject("police", "items"))
    expect("the police's tag after another health entry", story.police_etag, second.headers["ETag"])
    expect_true("the police's answer is the same, byte for byte", first.content == second.content)
    unchanged = await police.patiently(
        "GET", story.subject("police", "items"), headers={"If-None-Match": story.police_etag}
    )
    expect("asking with the tag after another health entry", 304, unchanged.status_code)
    log = await police.get(story.subject("police", "log"))
    expect_true("the police is told of no other participant", not set(log.get("participants") or ()) - {POLICE_SERVICE})
    nobody = secrets.token_urlsafe(48)[: len(story.handles["police"])]
    unknown = await police.patiently("GET", f"/subjects/{nobody}/items")
    grants = await police.patiently("GET", story.subject("police", "grants"))
    expect("who else may see, asked by the police", public(unknown), public(grants))
    story.say("To the police the health entry is not there: same tag, same bytes, and by its id `not found`.")


async def only_granted_pointers(story: Story) -> None:
    """A health entry is not pointed to, a school entry is, once."""
    before = heard(await quiet(story), story.handles["police"])
    await add(story, "nurse", "entries", {"category": "health", "text": "Ny samtale om søvn."}, "health-3")
    await add(story, "nurse", "entries", {"category": "school", "text": "Skolen bytter klasserom."}, "school-2")
    await held_until(
        story.world, "it holds the new school entry",
        lambda state: story.items["school-2"] in {one["id"] for one in kept(state, story.handles["police"])},
    )  # fmt: skip
    after = heard(await quiet(story), story.handles["police"])
    expect("pointers for one health and one school entry", ["changed"], after[len(before) :])
    story.say("A new health entry gave the police no pointer; a new school entry gave one.")


async def quiet(story: Story) -> dict[str, Any]:
    """What the police holds once nothing new has come on either agency's feed for a while.

    A fetch may bring an entry before the pointer to it has come, so what is held does not tell that all have come.
    """
    seen, since = (-1, -1), time.monotonic()
    while True:
        state = await held(story.world)
        now = (len(state["events"]), len(story.feed.pointers))
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return state
        await asyncio.sleep(0.1)


def heard(state: dict[str, Any], handle: str) -> list[str]:
    """What the police was pointed to about one handle, in order."""
    return [event["what"] for event in state["events"] if event["handle"] == handle]
