"""The youth's own check: a list that was saved is verified with a program that trusts neither us nor our database."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from story.cast import Story
from story.narrative import UnexpectedError, expect, expect_true

_SECONDS = 15.0


async def the_list_is_verified(story: Story) -> None:
    """Receipt, list, growth of the ledger and the witness hold; a list with one changed word does not."""
    youth = story["youth"]
    receipt = await youth.get(story.subject("youth", "looks/receipt"))
    witnessed = await _witnessed(story, size_of(receipt["checkpoint"]))
    listed = await youth.get(story.subject("youth", "looks/export?format=json"))
    grown = await _growth(story, receipt["checkpoint"], listed["checkpoint"])
    seen = await _growth(story, receipt["checkpoint"], witnessed)
    files = {name: _kept(story, name, what) for name, what in (
        ("receipt", receipt), ("looks", listed), ("growth", grown), ("witnessed", seen),
    )}  # fmt: skip
    key = ["--key", story.world.ledger_key]
    against = ["--receipt", files["receipt"], "--proof", files["growth"], *key]
    await _expect("the youth's list against the saved receipt", 0, "list", files["looks"], *against)
    await _expect("the checkpoint that the witness signed", 0, "checkpoints", files["witnessed"], *key,
                  "--witness-key", story.world.witness_key)  # fmt: skip
    changed = _kept(story, "changed", _one_word_changed(listed))
    found = await _expect("a list with one changed entry", 1, "list", changed, *against)
    story.say(
        f"samlogg-verify: the youth's {len(listed['items'])} entries are proved, and the witness has signed.",
        f"The same list with one word changed: {found['found'][0]['text']}",
    )


def size_of(note: str) -> int:
    """How many entries the checkpoint's tree holds."""
    return int(note.split("\n")[1])


async def _witnessed(story: Story, size: int) -> str:
    """A checkpoint of at least this size that the witness has signed; it is asked once a second."""
    for _ in range(int(_SECONDS / 0.25)):
        found = (await story["youth"].get("/ledger"))["witnessed"]
        if found is not None and size_of(found) >= size:
            return str(found)
        await asyncio.sleep(0.25)
    raise UnexpectedError(f"the witness has signed no checkpoint of {size} entries or more")


async def _growth(story: Story, first: str, second: str) -> Any:
    return await story["youth"].get(f"/ledger/consistency?first={size_of(first)}&second={size_of(second)}")


def _kept(story: Story, name: str, what: Any) -> str:
    folder: Path = story.world.folder / "verify"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(what, ensure_ascii=False))
    return str(path)


def _one_word_changed(listed: Any) -> Any:
    """The same list, but one look was at something else."""
    changed = json.loads(json.dumps(listed))
    entry = next(one["entry"] for one in changed["items"] if one.get("entry", {}).get("record", {}).get("route"))
    entry["record"]["route"] = (
        "logbook.get-log" if entry["record"]["route"] != "logbook.get-log" else "logbook.get-item"
    )
    return changed


async def _expect(what: str, code: int, *arguments: str) -> Any:
    """What the program says; it is run as anybody would run it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "samlogg_verify", *arguments, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await process.communicate()
    expect(f"samlogg-verify on {what}", code, process.returncode)
    found = json.loads(told)
    expect_true(f"samlogg-verify says something of {what}", found["proved"] if code == 0 else found["found"])
    return found
