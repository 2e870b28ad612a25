"""Answering a request: each person alone, cell by cell, as often as they change their mind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.events import new_event
from chassis.outbox import announce
from chassis.permit import Actor
from consent import messages, storage
from consent.handlers import changes, granting
from consent.handlers.requests import Made, Office
from consent.handlers.state import requests_of
from consent.handlers.views import cells_shown, request_for
from consent.model.errors import AssuranceTooLow, CellUnknown, RequestClosed, RequestTakenBack, Unseen
from consent.model.law import Law
from consent.model.otherwise import DIGITAL
from consent.model.requests import Cell, Said, asked_for
from consent.model.texts import READ, ConsentText, Conveyed
from consent.storage import RequestRow


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says, which text they were shown, and how it reached them."""

    cells: Mapping[Cell, Said]
    text_version: str
    language: str
    conveyed: Conveyed = READ


async def answer(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, given: Answer, now: datetime
) -> Made:
    """Add the person's words with their evidence, and begin and end grants accordingly.

    Unseen for somebody who is not asked; CellUnknown for a cell that they are not shown; TextUnknown and its like
    when the text is not the one in use, or TextNotConveyed: then the words would prove nothing.
    """
    await changes.lock(conn, subject)
    found = await _asked(conn, office, actor, subject, request, now)
    if actor.assurance != "high":
        raise AssuranceTooLow
    check_open(found, now)
    person = actor.id or ""
    shown = await text_shown(conn, office, found, person, given, now)
    words = {"assurance": actor.assurance, "text_version": shown.version, "language": shown.language}
    return await say(conn, office.law, found, person, given.cells, words | evidence(given.conveyed), now)


async def text_shown(
    conn: AsyncConnection, office: Office, found: RequestRow, person: str, given: Answer, now: datetime
) -> ConsentText:
    """The text that an answer names, in use today and conveyed as it must be to this person; else TextUnknown and its
    like, or TextNotConveyed."""
    on = office.law.day_of(now)
    shown = office.texts.shown(given.text_version, given.language, on)
    own = await storage.language_of(conn, person)
    office.texts.check_conveyed(given.conveyed, found.rules.purpose, on, own)
    return shown


def check_open(found: RequestRow, now: datetime) -> None:
    """RequestTakenBack, RequestClosed when nobody can answer it any more."""
    if found.taken_back:
        raise RequestTakenBack
    if found.rules.until <= now.timestamp():
        raise RequestClosed


async def say(
    conn: AsyncConnection, law: Law, found: RequestRow, person: str, cells: Mapping[Cell, Said],
    rests_on: Mapping[str, Any], now: datetime, through: Mapping[str, str] | None = None,
) -> Made:  # fmt: skip
    """Add this person's words, however they came; the caller has locked the subject and checked who speaks.

    rests_on: columns of `answer`. through: what the change remembers of words that came otherwise than by a log-in.
    CellUnknown for a cell that the person is not shown.
    """
    request, subject, came = found.rules.id, found.rules.subject, dict(through or {})
    if not cells.keys() <= set(await cells_shown(conn, law, found, person, law.day_of(now))):
        raise CellUnknown
    await storage.add_answers(
        conn,
        [
            {
                "request": request, "person": person, **cell._asdict(), "said": said, "way": "answer", **rests_on,
                "law_version": law.version, "at": now,
            }
            for cell, said in sorted(cells.items())
        ],
    )  # fmt: skip
    if "no" in cells.values():
        await _tell_denied(conn, subject, request, person, now, came.get("manner"))
    words = (await storage.words_about(conn, [request]))[request]
    live = await storage.grants_of(conn, subject, int(now.timestamp()))
    made = granting.plan(law, found, words, await storage.narrowings_of(conn, subject), live, now)
    if not made:
        return Made(request, subject, None)
    body = {"request": request, "by": person, **came}
    return Made(request, subject, await granting.carry_out(conn, subject, [made], "answered", body, now))


def evidence(conveyed: Conveyed) -> dict[str, str | None]:
    """How the text reached the person, as it is kept beside their words."""
    return {"conveyed": conveyed.how, "conveyed_by": conveyed.by, "conveyed_into": conveyed.into}


async def _asked(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, now: datetime
) -> RequestRow:
    found = await one_request(conn, office.law, subject, request)
    if actor.kind != "person":
        raise Unseen
    if actor.id not in asked_for(office.law, found.rules, office.law.day_of(now)):
        raise Unseen
    return found


async def one_request(conn: AsyncConnection, law: Law, subject: str, request: str) -> RequestRow:
    """A request about the subject, whatever its state; Unseen when there is none."""
    found = next((row for row in await requests_of(conn, law, subject) if row.rules.id == request), None)
    if found is None:
        raise Unseen
    return found


async def _tell_denied(
    conn: AsyncConnection, subject: str, request: str, person: str, now: datetime, manner: str | None
) -> None:
    told = {"request": request, "subject": subject, "by": person, "manner": manner or DIGITAL}
    data = messages.ConsentDenied.model_validate(told).model_dump()
    event = new_event("consent", messages.DENIED, subject, data, now)
    await announce(conn, storage.outbox, messages.EVENTS, event)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer has come to: in force only when nobody must answer any more and every gateway knows it."""

    state: Literal["answered", "in-force"]
    change: str | None
    status: Literal["confirmed", "pending"]


async def outcome(conn: AsyncConnection, office: Office, actor: Actor, made: Made, now: datetime) -> Outcome:
    """Today's state of the request as the actor is shown it, after the answer that led to `made.change`."""
    shown = await request_for(conn, office, actor, made.subject, made.id, (), now)
    found = [] if made.change is None else await storage.changes_by_id(conn, [made.change])
    status: Literal["confirmed", "pending"] = "confirmed" if all(one.confirmed for one in found) else "pending"
    return Outcome("in-force" if shown["state"] == "in-force" else "answered", made.change, status)
