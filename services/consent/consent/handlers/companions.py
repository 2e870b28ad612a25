"""Companions: who writes for a person who cannot, for chosen acts and until a day; they see nothing by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.keys import KeyGone
from chassis.permit import Actor
from consent import storage
from consent.handlers import changes
from consent.handlers.answers import check_open, one_request, say
from consent.handlers.registering import Whose, check_newest, check_witness, keep, sealed
from consent.handlers.requests import Office
from consent.handlers.state import requests_of
from consent.model.errors import AssuranceTooLow, CompanionUnfit, FormUnknown, NotAsked, Unseen, WitnessNeeded
from consent.model.otherwise import COMPANION, Act, Grounds, code_as_written, may_act, may_register
from consent.model.people import Claim, check_birth_dates, plain_name
from consent.model.requests import Cell, Said, asked_for, check_until
from consent.storage import CompanionRow

CALLED = "companion.called"
"""Where the name is sealed that a companion was named by: what a register knows of them is shown to nobody."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Whom somebody names, for what and until when. person, grounds: where staff register it."""

    companion: Claim
    acts: tuple[Act, ...]
    until: date
    person: str | None = None
    grounds: Grounds | None = None


async def name(conn: AsyncConnection, office: Office, actor: Actor, subject: str, naming: Naming, now: datetime) -> str:
    """Let somebody write for a person from now on; returns the id.

    The person names them, or staff of a service that asked register it with a witness. CompanionUnfit for whoever is
    asked in the same case: nobody writes both for themselves and for another.
    """
    law = office.law
    asked = await _asked(conn, office, subject, now)
    person = await _whose(conn, office, actor, subject, naming, asked, now)
    check_until(law, naming.until, law.day_of(now))
    check_birth_dates([naming.companion], law.day_of(now))
    # numbers are locked before subjects, as where consent is asked for: the other way round the two would wait for ever
    [who] = await office.registry.find_or_add(conn, [naming.companion], f"named-by:{actor.kind}:{actor.id}", now)
    if who.id in {subject, person} | asked | (await storage.guardians(conn, subject)).keys():
        raise CompanionUnfit
    await changes.lock(conn, subject)
    id_, given = str(uuid4()), None
    if naming.grounds is not None and actor.kind == "staff":
        given, whose = str(uuid4()), Whose(subject, None, person, "naming")
        written = await sealed(office.registry.keys, subject, naming.grounds)
        await keep(conn, given, actor, whose, naming.grounds, written, now)
    called = plain_name(f"{naming.companion.given_name} {naming.companion.family_name}")
    values = {
        "id": id_, "subject": subject, "person": person, "companion": who.id,
        "called": await office.registry.keys.seal(subject, called, CALLED), "acts": sorted(set(naming.acts)),
        "until": law.ends(naming.until), "given": given, "named_at": now,
    }  # fmt: skip
    await storage.add_companion(conn, values)
    return id_


async def _asked(conn: AsyncConnection, office: Office, subject: str, now: datetime) -> frozenset[str]:
    """Everybody who is asked about the subject today."""
    on = office.law.day_of(now)
    rows = await requests_of(conn, office.law, subject)
    return frozenset(person for row in rows for person in asked_for(office.law, row.rules, on))


async def _whose(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, naming: Naming, asked: frozenset[str],
    now: datetime,
) -> str:  # fmt: skip
    """Who names the companion: the actor, or whom staff register it for; Unseen, NotAsked, or what a witness lacks."""
    if actor.kind == "person":
        if actor.id is None or actor.id not in asked | {subject}:
            raise Unseen
        if actor.assurance != "high":
            raise AssuranceTooLow
        return actor.id
    asking = {row.asker for row in await requests_of(conn, office.law, subject)}
    if actor.kind != "staff" or not may_register(actor.role) or not asking & set(actor.services):
        raise Unseen
    person, grounds = naming.person or subject, naming.grounds
    if person not in asked | {subject}:
        raise NotAsked
    if grounds is None:
        raise WitnessNeeded
    await check_witness(conn, actor, grounds, None, now)
    return person


async def end(conn: AsyncConnection, office: Office, actor: Actor, subject: str, id_: str, now: datetime) -> str:
    """They no longer write for the person: by the person, by themselves, or told to staff of a service that asked."""
    await changes.lock(conn, subject)
    found = next((row for row in await storage.companions_of(conn, subject) if row.id == id_), None)
    if found is None:
        raise Unseen
    asking = {row.asker for row in await requests_of(conn, office.law, subject)}
    theirs = actor.kind == "person" and actor.id in (found.person, found.companion)
    if not theirs and not (actor.kind == "staff" and asking & set(actor.services)):
        raise Unseen
    await storage.end_companion(conn, id_, now)
    return id_


async def named_by(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, now: datetime
) -> list[dict[str, Any]]:
    """Whom the actor has named in what is about the subject, ended ones too."""
    if actor.kind != "person" or actor.id is None:
        raise Unseen
    rows = [row for row in await storage.companions_of(conn, subject) if row.person == actor.id]
    if not rows:
        return []
    manners = {row.id: row.manner for row in await storage.given_of(conn, subject)}
    try:
        opened = await office.registry.keys.opener(subject)
    except KeyGone:
        return []
    return [
        {**_shown(row, now), "called": opened(row.called, CALLED), "manner": manners.get(row.given or "", "digital")}
        for row in rows
    ]


def _shown(row: CompanionRow, now: datetime) -> dict[str, Any]:
    live = row.ended_at is None and row.until > now.timestamp()
    return {
        "id": row.id, "kind": "companion", "acts": list(row.acts), "named_at": rfc3339(row.named_at),
        "until": rfc3339(datetime.fromtimestamp(row.until, UTC)), "state": "live" if live else "ended",
        "ended_at": None if row.ended_at is None else rfc3339(row.ended_at),
    }  # fmt: skip


async def writes_for(conn: AsyncConnection, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """For whom the actor may write now, and what: nothing else about anybody."""
    if actor.kind != "person" or actor.id is None:
        return []
    rows = await storage.companion_to(conn, actor.id, int(now.timestamp()))
    return [{**_shown(row, now), "subject": row.subject, "person": row.person} for row in rows]


@dataclass(frozen=True, slots=True)
class Written:
    """What a companion writes: whose words they are, the code on the paper that the person read, and what they say."""

    person: str
    form: str
    cells: Mapping[Cell, Said] = field(default_factory=dict)


async def answer(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, written: Written, now: datetime
) -> str:
    """Add the words of the person, marked for ever as written by the companion; returns the id of the receipt.

    The request is that of the form: a companion is shown none. A form speaks once: AnswerOvertaken when the person has
    said something since it was printed. Unseen for whoever is not named for it.
    """
    await changes.lock(conn, subject)
    if actor.kind != "person" or actor.id is None or actor.assurance != "high":
        raise Unseen
    rows: Sequence[CompanionRow] = await storage.companion_to(conn, actor.id, int(now.timestamp()))
    theirs = [row for row in rows if (row.subject, row.person) == (subject, written.person)]
    if not any(may_act(row.acts, "answer") for row in theirs):
        raise Unseen
    printed = await storage.form_by_code(conn, code_as_written(written.form))
    if printed is None or printed[1] != subject or printed[0].person != written.person:
        raise FormUnknown
    form = printed[0]
    found = await one_request(conn, office.law, subject, form.request)
    check_open(found, now)
    if written.person not in asked_for(office.law, found.rules, office.law.day_of(now)):
        raise NotAsked
    await check_newest(conn, found, written.person, written.cells, form.made_at)
    id_, grounds = str(uuid4()), Grounds(COMPANION, None, now, form=form.code)
    await keep(conn, id_, actor, Whose(subject, form.request, written.person, "answer"), grounds, None, now)
    evidence = {"assurance": COMPANION, "text_version": form.text_version, "language": form.language, "given": id_}
    through = {"manner": COMPANION, "given": id_, "registered_by": actor.id}
    await say(conn, office.law, found, written.person, written.cells, evidence, now, through)
    return id_


async def receipt(conn: AsyncConnection, actor: Actor, id_: str) -> dict[str, Any]:
    """That one's own act was taken, and when; nothing of what came of it."""
    found = await storage.given_by_id(conn, id_)
    if found is None or (found.by_kind, found.by) != (actor.kind, actor.id):
        raise Unseen
    return {"id": found.id, "at": rfc3339(found.registered_at)}
