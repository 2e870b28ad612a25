"""Registering what a person said on paper or orally: their answer, what they were told, and a request taken back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.events import new_event
from chassis.keys import SubjectKeys
from chassis.outbox import announce
from chassis.permit import Actor
from consent import messages, storage
from consent.handlers import changes
from consent.handlers.answers import Answer, check_open, evidence, one_request, say, text_shown
from consent.handlers.evidence import SEALED
from consent.handlers.requests import Made, Office
from consent.model.errors import AnswerOvertaken, FormUnknown, GivenTimeInvalid, NotAsked, RequestInForce, Unseen
from consent.model.law import Law
from consent.model.otherwise import Grounds, check_grounds, code_as_written, may_register, overtaken
from consent.model.requests import Cell, Said, asked_for
from consent.model.texts import READ, Conveyed
from consent.storage import RequestRow


@dataclass(frozen=True, slots=True)
class Registered:
    """What a person said, and what it rests on. text_version, language: of what they read, where no form says it."""

    person: str
    cells: Mapping[Cell, Said]
    grounds: Grounds
    text_version: str | None = None
    language: str | None = None
    conveyed: Conveyed = READ


@dataclass(frozen=True, slots=True)
class Information:
    """What somebody was told orally: which text, which of its points, when, and whether somebody interpreted."""

    person: str
    text_version: str
    language: str
    points: tuple[str, ...]
    interpreter: bool
    told_at: datetime


async def answer(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, given: Registered, now: datetime
) -> Made:
    """Add the words of one who is asked, as their own digital answer would be, for ever marked as registered.

    Only staff of the service that asked, by their role. It counts for that person alone. The answer's id is that of
    what was registered. RequestTakenBack, RequestClosed, NotAsked, CellUnknown, TextUnknown, FormUnknown,
    AnswerOvertaken, and what `check_grounds` raises.
    """
    law, grounds = office.law, given.grounds
    await changes.lock(conn, subject)
    found = await own_request(conn, law, actor, subject, request, now)
    check_open(found, now)
    check_asked(law, found, given.person, now)
    await check_witness(conn, actor, grounds, found.created_at, now)
    version, language = await _text(conn, office, found, given, now)
    await check_newest(conn, found, given.person, given.cells, grounds.given_at)
    id_, registrar = str(uuid4()), actor.id or ""
    whose = Whose(subject, request, given.person, "answer")
    await keep(conn, id_, actor, whose, grounds, await sealed(office.registry.keys, subject, grounds), now)
    words = {"assurance": grounds.manner, "text_version": version, "language": language, "given": id_}
    rests_on = words | evidence(given.conveyed)
    through = {"manner": grounds.manner, "given": id_, "registered_by": registrar}
    made = await say(conn, law, found, given.person, given.cells, rests_on, now, through)
    return Made(id_, subject, made.change)


async def own_request(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str, request: str, now: datetime
) -> RequestRow:
    """A request that the actor's own service made; Unseen for staff of others, for roles that do not register, and for
    those whom somebody's consent about the subject leaves out."""
    if actor.kind != "staff" or actor.id is None or not may_register(actor.role):
        raise Unseen
    found = await one_request(conn, law, subject, request)
    if found.asker not in actor.services:
        raise Unseen
    grants = await storage.grants_of(conn, subject, int(now.timestamp()))
    if any(actor.id in grant.terms.excluded for grant in grants):
        raise Unseen
    return found


def check_asked(law: Law, found: RequestRow, person: str, now: datetime) -> None:
    """NotAsked unless the law asks this person today."""
    if person not in asked_for(law, found.rules, law.day_of(now)):
        raise NotAsked


async def check_witness(
    conn: AsyncConnection, actor: Actor, grounds: Grounds, asked_at: datetime | None, now: datetime
) -> None:
    """What `check_grounds` raises, with the witness looked up."""
    witness = [] if grounds.witness is None else await storage.working(conn, [grounds.witness])
    check_grounds(grounds, actor.id or "", witness, asked_at=asked_at, now=now)


async def _text(
    conn: AsyncConnection, office: Office, found: RequestRow, given: Registered, now: datetime
) -> tuple[str, str]:
    """Version and language of the text that the person read: that on the form, else one in use; TextUnknown."""
    code = given.grounds.form
    if code is not None:
        printed = await storage.form_by_code(conn, code_as_written(code))
        if printed is None or (printed[0].request, printed[0].person) != (found.rules.id, given.person):
            raise FormUnknown
        return printed[0].text_version, printed[0].language
    read = Answer(given.cells, given.text_version or "", given.language or "", given.conveyed)
    shown = await text_shown(conn, office, found, given.person, read, now)
    return shown.version, shown.language


async def check_newest(
    conn: AsyncConnection, found: RequestRow, person: str, cells: Iterable[Cell], at: datetime
) -> None:
    """AnswerOvertaken when the person has said something about one of the cells since this was given."""
    rules = found.rules
    words = (await storage.words_about(conn, [rules.id]))[rules.id]
    narrowed = await storage.narrowed_since(conn, rules.subject, person, at)
    for cell in cells:
        word = words.get((person, cell))
        if word is not None and overtaken(at, word.at):
            raise AnswerOvertaken
        if any(service == cell.service and category in (None, cell.category) for service, category in narrowed):
            raise AnswerOvertaken


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose word it is, about whom and which request (None: whatever there is), and what kind of word."""

    subject: str
    request: str | None
    person: str
    way: Literal["answer", "withdrawal", "naming"]


async def keep(
    conn: AsyncConnection, id_: str, actor: Actor, whose: Whose, grounds: Grounds, written: bytes | None,
    now: datetime,
) -> None:  # fmt: skip
    """Keep what a word rests on that came otherwise than by a log-in, and have its person told that there is something
    to see. written: what `sealed` gave."""
    code = None if grounds.form is None else code_as_written(grounds.form)
    values = {
        "id": id_, "subject": whose.subject, "request": whose.request, "person": whose.person, "way": whose.way,
        "manner": grounds.manner,
        "by_kind": actor.kind, "by": actor.id or "", "services": list(actor.services), "witness": grounds.witness,
        "form": code, "given_at": grounds.given_at, "registered_at": now,
        "sealed": written,
    }  # fmt: skip
    await storage.add_given(conn, values)
    noted = messages.Registered(subject=whose.subject, person=whose.person).model_dump()
    event = new_event("consent", messages.REGISTERED, whose.subject, noted, now)
    await announce(conn, storage.outbox, messages.EVENTS, event)


async def sealed(keys: SubjectKeys, subject: str, grounds: Grounds) -> bytes:
    """Everything that was written freely, with the subject's key."""
    scan = grounds.scan
    written = {
        "place": grounds.place, "statement": grounds.statement,
        "scan": None if scan is None else {"sha256": scan.sha256, "reference": scan.reference},
    }  # fmt: skip
    return await keys.seal(subject, json.dumps(written), SEALED)


async def change_of(conn: AsyncConnection, subject: str, id_: str) -> str | None:
    """The change that a registered answer led to; None when nothing that is published changed."""
    found = await storage.change_by_given(conn, subject, id_)
    return None if found is None else found.id


async def inform(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, told: Information, now: datetime
) -> str:
    """Keep that the actor told somebody who is asked what the request means; returns its id.

    A click never says that anybody was informed. NotAsked, TextUnknown, GivenTimeInvalid, RequestTakenBack.
    """
    await changes.lock(conn, subject)
    found = await own_request(conn, office.law, actor, subject, request, now)
    check_open(found, now)
    check_asked(office.law, found, told.person, now)
    shown = office.texts.shown(told.text_version, told.language, office.law.day_of(now))
    if told.told_at > now:
        raise GivenTimeInvalid
    id_ = str(uuid4())
    values = {
        "id": id_, "request": request, "person": told.person, "text_version": shown.version,
        "language": shown.language, "points": sorted(set(told.points)), "interpreter": told.interpreter,
        "told_by": actor.id or "", "service": found.asker, "told_at": told.told_at, "registered_at": now,
    }  # fmt: skip
    await storage.add_information(conn, values)
    return id_


async def take_back(conn: AsyncConnection, law: Law, actor: Actor, subject: str, request: str, now: datetime) -> str:
    """The service no longer asks; returns the request's id. What is in force is ended by those who agreed, not by this.

    RequestClosed when its time is over, RequestInForce when somebody's yes is in force. Twice is once.
    """
    await changes.lock(conn, subject)
    found = await own_request(conn, law, actor, subject, request, now)
    if not found.taken_back:
        check_open(found, now)
        grants = await storage.grants_of(conn, subject, int(now.timestamp()))
        if any(grant.request == request and not grant.ended for grant in grants):
            raise RequestInForce
        await storage.take_back(conn, request, actor.id or "", now)
    return request
