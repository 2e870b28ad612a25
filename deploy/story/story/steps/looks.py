"""Step 7: the youth sees every look, every refusal and what each write made; a guardian what the table lets them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from story.cast import NURSE_SERVICE, POLICE_SERVICE, SCHOOL_SERVICE, Story
from story.narrative import UnexpectedError, expect, expect_true
from story.steps.log import all_items
from story.steps.verifying import the_list_is_verified

HIDDEN_FROM_GUARDIANS = frozenset({"participants", "police", "child-welfare", "substance-use"})


async def looks_are_shown(story: Story) -> None:
    """Each look has its grant, each refusal its reason; the guardians' list is a part of it; and the youth verifies."""
    mine = await looks_until(story, "youth")
    for one in mine:
        if one["outcome"] == "refused":
            expect_true("every refusal shows its reason", one["reason"])
        elif one.get("basis") == "grant":
            expect_true("every look shows the grant it was made under", one["grants"])
    tell(story, mine)
    for who in ("mother", "father"):
        theirs = await all_looks(story, who)
        ids = {one["id"] for one in mine}
        strangers = [one for one in theirs if one["id"] not in ids and acted_by(one) != "person"]
        expect(f"looks that the {who} is shown and the youth is not", [], [one["route"] for one in strangers])
        shown = {category for one in theirs for category in one["categories"]}
        expect(f"categories the {who} may not know of", set(), shown & HIDDEN_FROM_GUARDIANS)
        expect_true(f"the {who}'s list is cut", len(theirs) < len(await all_looks(story, "youth")))
        story.say(f"The {who} is shown {len(theirs)} of them, without who takes part.")
    await what_was_made_is_shown(story)
    await the_list_is_verified(story)


async def what_was_made_is_shown(story: Story) -> None:
    """What stands in the log since step 3, the youth finds at the write that made it; nobody is told of more."""
    written = {
        story.items["goal"]: ("goal-set", NURSE_SERVICE), story.items["measure"]: ("measure-planned", NURSE_SERVICE),
        story.items["school"]: ("entry-added", NURSE_SERVICE), story.items["health"]: ("entry-added", NURSE_SERVICE),
        story.items["highlight"]: ("highlight-added", "person"),
    }  # fmt: skip
    found = await made_until(story, "youth", set(written))
    expect("what the youth finds at the writes of step 3", written, {item: found.get(item) for item in written})
    read = [one["made"] for one in await all_looks(story, "youth") if one["action"] != "contribute"]
    expect_true("no read has made anything", not any(read))
    highlight = await story["youth"].get(story.subject("youth", f"items/{story.items['highlight']}"))
    expect("the item at the youth's own write", story.items["highlight"], highlight["id"])
    for who in ("mother", "father"):
        theirs = {item for item in await made(story, who) if item is not None}
        seen = {one["id"] for one in await all_items(story, who)}
        expect(f"items that the {who} is told of and may not see", set(), theirs - seen)
    story.say("At each write the youth sees what it made: the goal, the measure, both entries and the own highlight.")


async def made_until(
    story: Story, who: str, items: set[str], seconds: float = 40.0
) -> dict[str | None, tuple[str, str]]:
    """What was made, once these items are in it: it comes on the bus a moment after the look."""
    found: dict[str | None, tuple[str, str]] = {}
    for _ in range(int(seconds / 0.3)):
        found = await made(story, who)
        if items <= found.keys():
            break
        await asyncio.sleep(0.3)
    return found


async def made(story: Story, who: str) -> dict[str | None, tuple[str, str]]:
    """By item (None: the log itself), as the list tells it: what first happened to it, and in whose name."""
    found: dict[str | None, tuple[str, str]] = {}
    for one in await all_looks(story, who, "&action=contribute"):  # the newest first: the oldest stays
        for each in one["made"]:
            found[each["item"]] = each["what"], ", ".join(services(one)) or acted_by(one)
    return found


async def looks_until(story: Story, who: str, seconds: float = 40.0) -> list[dict[str, Any]]:
    """All looks once the ledger has those that this story knows were made: it is filled in batches."""
    for _ in range(int(seconds / 0.3)):
        found = await all_looks(story, who)
        seen: Counter[tuple[str, str]] = Counter()
        for one in found:
            for service in services(one):
                seen[service, one["outcome"]] += one["count"]  # refusals beyond a limit are folded into one
        if (
            seen[POLICE_SERVICE, "answered"] >= 2
            and seen[POLICE_SERVICE, "refused"] >= 8
            and seen[NURSE_SERVICE, "refused"] >= 5
            and seen[SCHOOL_SERVICE, "answered"] >= 2
            and seen[SCHOOL_SERVICE, "refused"] >= 1
        ):
            return found
        await asyncio.sleep(0.3)
    counted = ", ".join(f"{service} {outcome}: {count}" for (service, outcome), count in sorted(seen.items()))
    raise UnexpectedError(f"looks that were made are not shown to the youth; shown are {counted}")


async def all_looks(story: Story, who: str, query: str = "") -> list[dict[str, Any]]:
    """All pages of the list, or of a part of it."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await story[who].get(story.subject(who, f"looks?limit=100{query}{cursor}"))
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&after={page['next']}"


def acted_by(look: dict[str, Any]) -> str:
    """The kind of who looked."""
    return str(look.get("actor", {}).get("kind", ""))


def services(look: dict[str, Any]) -> list[str]:
    """For which services somebody looked."""
    found: list[str] = look.get("actor", {}).get("services", [])
    return found


def tell(story: Story, looks: list[dict[str, Any]]) -> None:
    """The list in short: who, what came of it, under which grant or for which reason."""
    groups: Counter[tuple[str, str, str]] = Counter()
    for one in looks:
        who = ", ".join(services(one)) or acted_by(one)
        why = one["reason"] if one["outcome"] == "refused" else ", ".join(sorted(one["categories"])) or "no content"
        groups[who, one["outcome"], str(why)] += one["count"]
    story.say(f"The youth sees {len(looks)} looks:")
    for (who, outcome, why), count in sorted(groups.items()):
        story.say(f"  {count:3} x {who}: {outcome} ({why})")
