"""Step 1: the district is loaded, its staff are let in, and two agencies are attached."""

from __future__ import annotations

import asyncio
import json
import logging
import tomllib
from typing import Any

from aiokafka.errors import KafkaError

from story import agencies, school
from story.cast import DISTRICT, POLICE_AGENCY, POLICE_SERVICE, SCHOOL_AGENCY, SCHOOL_SERVICE, Story
from story.door import STAFF_HIGH, Caller, log_in, machine
from story.narrative import UnexpectedError, expect, expect_true

STAFF = {"nurse": "Helsesykepleier", "teacher": "Kontaktlærer"}
ADMIN_LOGIN = "demo-first-admin"


async def load_and_attach(story: Story) -> None:
    """Load the district twice (the second time changes nothing), redeem invitations, attach school and police."""
    admin = await staff(story, "the administrator", ADMIN_LOGIN)
    if admin.session.get("staff") is None:
        await redeem(admin, story.world.first_admin_code.read_text().strip())
    story.callers["admin"] = admin
    document = tomllib.loads(story.world.district.read_text())
    loaded = await put_district(admin, document)
    codes = {one["staff"]: one["code"] for one in loaded["invitations"]}
    again = await put_district(admin, document)
    expect("changes when the same district is loaded again", 0, again["changed"])
    await tell_district(story, document)
    for who, title in STAFF.items():
        story.callers[who] = await let_in(story, who, by_title(document, title), codes)
    await attach_school(story)
    await attach_police(story)


async def staff(story: Story, who: str, login: str, acr: str = STAFF_HIGH) -> Caller:
    """A staff member's session at the provider for staff."""
    return await log_in(story.world, story.narrator, who, "staff", login, {"acr": acr})


async def put_district(admin: Caller, document: dict[str, Any]) -> dict[str, Any]:
    """`{changed, invitations}` of loading the whole document."""
    answer = await admin.patiently("PUT", f"/districts/{DISTRICT}", document)
    if answer.status_code not in {200, 201}:
        raise UnexpectedError(f"PUT /districts/…: expected 200, and {answer.status_code} came")
    body: dict[str, Any] = answer.json()
    return body


def by_title(document: dict[str, Any], title: str) -> str:
    """The id of the staff member with that title."""
    found: list[str] = [one["id"] for one in document["staff"] if one["title"] == title]
    return found[0]


async def let_in(story: Story, who: str, staff_id: str, codes: dict[str, str]) -> Caller:
    """Log in; the first time with the invitation that ties this login to the staff member."""
    caller = await staff(story, f"the {who}", f"demo-{who}")
    if caller.session.get("staff") is None:
        if staff_id not in codes:  # shown once, and a run may have ended before it was used
            again = await story["admin"].post(f"/staff/{staff_id}/invitation", None)
            codes[staff_id] = again["code"]
        await redeem(caller, codes[staff_id])
    expect(f"how sure the log-in of the {who} is", "high", caller.session["assurance"])
    return caller


async def redeem(caller: Caller, code: str) -> None:
    """Redeem an invitation and wait until the gateway knows who this is; nobody is anybody before."""
    await caller.post("/invitations/redeem", {"code": code}, 200, 202)
    for _ in range(300):
        caller.session = await caller.get("/session")
        if caller.session.get("staff") is not None:
            caller.csrf = str(caller.session["csrf"])
            return
        await asyncio.sleep(0.1)
    raise UnexpectedError(f"{caller.who} redeemed an invitation and is still nobody after 30 s")


async def tell_district(story: Story, document: dict[str, Any]) -> None:
    """Show services and levels as anybody may read them; no staff member's name is among it."""
    admin = story["admin"]
    services = (await admin.get(f"/services?district={DISTRICT}&age=15"))["items"]
    found = (await admin.get(f"/services?district={DISTRICT}&age=15&q=politi"))["items"]
    expect_true("a search by a word finds the police, and fewer than all",
                POLICE_SERVICE in {one["id"] for one in found} and len(found) < len(services))  # fmt: skip
    for one in services:
        expect_true("a service tells what it does, whose it is, and how to reach it",
                    one["responsibility"] and one["agency"] and one["contacts"])  # fmt: skip
    guide = await admin.get(f"/guides/{DISTRICT}")
    for level in guide["levels"]:
        expect_true("a level of the guide has steps, and each says who", all(step["who"] for step in level["steps"]))
    shown = json.dumps([services, guide], ensure_ascii=False)
    expect_true("no staff member's name is public", not any(one["name"] in shown for one in document["staff"]))
    story.say(f"The district of {DISTRICT}: {len(services)} services for somebody of fifteen. The guide's levels:")
    for level in guide["levels"]:
        story.say(f"  {level['level']}  {level['names']['nb']}: {level['purpose']['nb']}")


async def attach_school(story: Story) -> None:
    """The school brings a public key; it alone can open the credential that is made for it."""
    folder = story.world.folder / "school"
    pair = school.key_pair(folder / "sealing-key.json")
    client_pair = school.key_pair(folder / "client-key.json")
    noted = folder / "attachment"
    if not noted.exists():
        body = {"services": [SCHOOL_SERVICE], "public_key": school.public_jwk(pair), "ports": ["listen"]}
        made = await story["admin"].post(f"/agencies/{SCHOOL_AGENCY}/attachments", body)
        noted.write_text(made["id"])
    caller = await machine(story.world, story.narrator, "the school's program", SCHOOL_AGENCY, client_pair)
    story.callers["school"] = caller
    story.school = await school.credential(caller, noted.read_text(), pair)
    story.say("The school is attached: a Kafka user whose password only the school's key opens.")
    await refused_our_topics(story)


async def refused_our_topics(story: Story) -> None:
    """An agency's Kafka user reads its own feed and nothing else."""
    reader = school.consumer(story.school, "consent.state.v1")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that refusal is what we want; it is told below
    try:
        await reader.start()
        await asyncio.wait_for(reader.getone(), 5)
    except (KafkaError, TimeoutError) as error:
        refused = type(error).__name__
        story.say(f"Its user was refused our own topics ({refused}).")
        expect("what an agency's user gets from consent.state.v1", "TopicAuthorizationFailedError", refused)
    else:
        raise UnexpectedError("an agency's Kafka user could read consent.state.v1")
    finally:
        logging.getLogger("aiokafka").setLevel(logging.WARNING)
        await reader.stop()


async def attach_police(story: Story) -> None:
    """The police's own service, running elsewhere, makes its keys and is told its attachment's id."""
    key = await agencies.police_sealing_key(story.world)
    expect_true("the police gives away no private key", not {"d", "p", "q"} & set(key))
    if not (story.world.police_folder / "attachment").exists():
        body = {"services": [POLICE_SERVICE], "public_key": key, "ports": ["listen"]}
        made = await story["admin"].post(f"/agencies/{POLICE_AGENCY}/attachments", body)
        await agencies.police(story.world, "attached", made["id"])
    await agencies.held_until(story.world, "it listens to its feed", lambda state: state["listening"], 40)
    story.say("The police's own service is attached and listens. Neither can read what is sent to the other.")
