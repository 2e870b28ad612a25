"""Step 3: the log is opened with one holder and filled; everybody sees what they may, and nothing more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from story.agencies import held_until
from story.cast import DISTRICT, NURSE_SERVICE, POLICE_SERVICE, SCHOOL_SERVICE, Story
from story.narrative import expect, expect_true


async def open_and_fill(story: Story) -> None:
    """Open, plan, write; then look with each pair of eyes."""
    await open_log(story)
    await write(story)
    await one_holder(story)
    await school_eyes(story)
    await family_eyes(story)


async def open_log(story: Story) -> None:
    """From the request to a log with a goal and a measure in at most eight calls of the nurse's app."""
    nurse, before = story["nurse"], story["nurse"].calls
    opening = {
        "plan_type": "stafettlogg", "level": 1, "guide": DISTRICT, "category": "school",
        "decision": "Felles uro for fravær, drøftet med skolen.",
    }  # fmt: skip
    await nurse.post(story.subject("nurse", "log"), opening, 201)
    goal = await add(story, "nurse", "goals", {"title": "Tilbake på skolen hver dag", "category": "school"}, "goal")
    measure = {
        "goal": goal, "title": "Trygg voksen møter ved porten", "category": "school",
        "responsible": f"service:{NURSE_SERVICE}", "evaluate_on": (story.today + timedelta(days=28)).isoformat(),
    }  # fmt: skip
    await add(story, "nurse", "measures", measure, "measure")
    story.nurse_calls += nurse.calls - before
    expect_true(
        f"from unease to an active log takes at most 8 calls (it took {story.nurse_calls})", story.nurse_calls <= 8
    )
    story.say(
        f"The log is open at level 1, with a goal and a measure to be evaluated in four weeks. From unease to here the "
        f"nurse's app made {story.nurse_calls} calls."
    )


async def add(story: Story, who: str, kind: str, body: dict[str, Any], name: str = "") -> str:
    """Add something to the log; its id, kept under `name`."""
    made = await story[who].post(story.subject(who, kind), body, 201)
    story.items[name or f"{kind}-{len(story.items)}"] = made["id"]
    return str(made["id"])


async def write(story: Story) -> None:
    """Entries in two categories, and a highlight from the youth."""
    await add(story, "nurse", "entries", {"category": "school", "text": "Avtale: kortere dager i to uker."}, "school")
    await add(story, "nurse", "entries", {"category": "health", "text": "Sover lite, samtale hver uke."}, "health")
    highlight = {"category": "school", "text": "Jeg var på skolen hele uka!"}
    await add(story, "youth", "highlights", highlight, "highlight")
    story.say("Two entries (school, health) by the nurse, and a highlight by the youth.")


async def one_holder(story: Story) -> None:
    """Exactly one service holds the baton, and both replicas of the gateway say the same."""
    seen = [
        await story["youth"].get(story.subject("youth", "log"), replica=n) for n in range(len(story.world.gateways))
    ]
    expect("what the replicas of the gateway say of the log", [seen[0]] * len(seen), seen)
    log = seen[0]
    expect("the holder", NURSE_SERVICE, log["holder"]["service"])
    expect("holders now", 1, sum(one.get("until") is None for one in log["holders"]))
    services = {NURSE_SERVICE, SCHOOL_SERVICE, POLICE_SERVICE}
    expect("who takes part, to the youth", services, services_in(log["participants"]))
    professional = await story["nurse"].get(story.subject("nurse", "log"))
    expect("who takes part, to the nurse, who was granted that", services, services_in(professional["participants"]))


def services_in(participants: list[dict[str, Any]]) -> set[str]:
    """The services among participants."""
    return {one["id"] for one in participants if one["kind"] == "service"}


async def school_eyes(story: Story) -> None:
    """The school: its category and no trace of another; it may not write health either."""
    story.handles["teacher"] = story.handles["school"] = await story.feed.new_handle(story.feed_known)
    expect("different handles for different agencies", 2, len({story.handles["nurse"], story.handles["teacher"]}))
    teacher = story["teacher"]
    items = await all_items(story, "teacher")
    expect("categories the school sees", {"school"}, {one["category"] for one in items})
    log = await teacher.get(story.subject("teacher", "log"))
    expect_true("the school is not told who else takes part", POLICE_SERVICE not in str(log))
    health = {"category": "health", "text": "Dette skal ikke gå."}
    refused = await teacher.patiently("POST", story.subject("teacher", "entries"), health)
    expect("the school writes about health", 404, refused.status_code)
    story.say(f"The school sees {len(items)} things, all about school; it may not write about health.")


async def family_eyes(story: Story) -> None:
    """The youth sees all; guardians what the table leaves them at fifteen: health yes, who takes part no."""
    mine = await all_items(story, "youth")
    expect("categories the youth sees", {"school", "health"}, {one["category"] for one in mine})
    for who in ("mother", "father"):
        items = await all_items(story, who)
        expect(f"what the {who} sees", {one["id"] for one in mine}, {one["id"] for one in items})
        log = await story[who].get(story.subject(who, "log"))
        expect_true(f"the {who} is not told that the police take part", POLICE_SERVICE not in str(log))
    expect(
        "handles of one youth for four audiences",
        4,
        len({story.handles[w] for w in ("youth", "mother", "father", "nurse")}),
    )
    story.say(
        f"The youth sees {len(mine)} things and who takes part; the guardians see the same things, not who takes part."
    )


async def all_items(story: Story, who: str, replica: int = 0) -> list[dict[str, Any]]:
    """All items as `who` sees them, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await story[who].get(story.subject(who, f"items?limit=50{cursor}"), replica=replica)
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&after={page['next']}"


async def police_heard(story: Story) -> str:
    """The police's handle for the youth, once their service has heard of it."""
    state = await held_until(
        story.world, "it has heard of a new handle",
        lambda state: bool({event["handle"] for event in state["events"]} - story.police_before),
    )  # fmt: skip
    [handle] = {event["handle"] for event in state["events"]} - story.police_before
    return str(handle)
