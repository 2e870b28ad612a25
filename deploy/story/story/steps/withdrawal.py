"""Step 5: the youth withdraws the police; once confirmed, nothing more reaches them, and the school notices nothing."""

from __future__ import annotations

import asyncio
import secrets

from story.agencies import held_until
from story.cast import POLICE_SERVICE, Story
from story.narrative import UnexpectedError, expect, expect_true
from story.steps.agency import heard, quiet
from story.steps.consent import public
from story.steps.log import add


async def withdraw_police(story: Story) -> None:
    """One call; pending until confirmed; then refused everywhere."""
    await quiet(story)
    school_before = len(story.feed.about(story.handles["school"]))
    tag = (await story["teacher"].patiently("GET", story.subject("teacher", "items"))).headers["ETag"]
    await withdraw(story)
    await refused_everywhere(story)
    same = await story["teacher"].patiently("GET", story.subject("teacher", "items"))
    expect("the school's tag after the withdrawal", tag, same.headers["ETag"])
    await nothing_written_later_is_pointed_to(story, school_before)


async def withdraw(story: Story) -> None:
    """The withdrawal, under a trace of its own; it is called pending until it is confirmed."""
    youth, step = story["youth"], story.narrator.trace
    story.traces["withdrawal"] = story.narrator.new_trace()
    before = youth.calls
    answer = await youth.patiently(
        "POST", story.subject("youth", "withdrawals"), {"recipient": f"service:{POLICE_SERVICE}"}
    )
    made, used = answer.json(), youth.calls - before
    story.narrator.trace = step
    if (answer.status_code, made.get("status")) not in {(200, "confirmed"), (202, "pending")}:
        raise UnexpectedError(f"a withdrawal: expected 200 confirmed or 202 pending, and {answer.status_code} came")
    expect_true(f"withdrawing from the list takes 1 call (it took {used})", used <= 1)
    status = made["status"]
    for _ in range(150):
        if status == "confirmed":
            break
        await asyncio.sleep(0.1)
        status = (await youth.get(story.subject("youth", f"withdrawals/{made['id']}")))["status"]
    expect("the withdrawal after a while", "confirmed", status)
    replicas = range(len(story.world.gateways))
    said = [await youth.get(story.subject("youth", f"withdrawals/{made['id']}"), replica=n) for n in replicas]
    expect("what each replica says of it", ["confirmed"] * len(said), [one["status"] for one in said])
    first = "confirmed at once" if answer.status_code == 200 else "pending, then confirmed"
    story.say(f"The youth withdraws the police with {used} call: {first}.")


async def refused_everywhere(story: Story) -> None:
    """From the confirmation on, every fetch on every replica has the bytes of `not found`."""
    police = story["police"]
    nobody = secrets.token_urlsafe(48)[: len(story.handles["police"])]
    for replica in range(len(story.world.gateways)):
        for rest in ("items", "identity", "log", f"items/{story.items['school']}"):
            known = await police.patiently("GET", story.subject("police", rest), replica=replica)
            expect(f"the police's fetch of {rest.split('/')[0]} on replica {replica + 1}", 404, known.status_code)
            unknown = await police.patiently("GET", f"/subjects/{nobody}/{rest}", replica=replica)
            expect("that refusal beside `not found`", public(unknown), public(known))
    await held_until(
        story.world, "it has deleted what it held",
        lambda state: story.handles["police"] not in {one["handle"] for one in state["subjects"]},
    )  # fmt: skip
    story.say(f"Every fetch by the police is refused on {len(story.world.gateways)} replicas; it deleted what it held.")


async def nothing_written_later_is_pointed_to(story: Story, school_before: int) -> None:
    """The school is pointed to the next entry, once; the police is pointed to nothing after the end of its grant."""
    await add(story, "nurse", "entries", {"category": "school", "text": "Ny plan for neste uke."}, "school-3")
    pointers = await story.feed.more_than(school_before, story.handles["school"])
    state = await quiet(story)
    new = [pointer.what for pointer in story.feed.about(story.handles["school"])][school_before:]
    expect("what the school was told since the withdrawal", ["changed"], new)
    expect_true("its pointers are there", pointers)
    what = heard(state, story.handles["police"])
    expect("the last thing the police was told", "grant-ended", what[-1])
    story.say(
        "The school was told of the next entry and nothing else; the police of the end of its grant and nothing after."
    )
