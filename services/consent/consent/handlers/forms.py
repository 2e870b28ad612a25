"""The paper form of a request: the text, and cells to tick by hand; and finding the request again by its code."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from consent import storage
from consent.handlers.answers import check_open, one_request
from consent.handlers.looks import named
from consent.handlers.registering import check_asked, own_request
from consent.handlers.requests import WHY, Office
from consent.handlers.tables import current_frames
from consent.handlers.views import cells_shown
from consent.model.errors import Unseen
from consent.model.otherwise import code, code_as_written, may_register
from consent.model.requests import asked_for
from consent.model.words import Words, pick
from consent.storage import RequestRow

_BOX = "\u2610"
"""An empty box: nothing is ticked before a hand does it."""


async def make(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, person: str | None,
    wishes: Sequence[str], randomness: bytes, now: datetime,
) -> str:  # fmt: skip
    """Keep that a form is printed for one who is asked, with today's text; returns its code.

    The person prints their own; staff of the service that asked print anybody's (None: the subject's).
    """
    if actor.kind == "person":
        found = await one_request(conn, office.law, subject, request)
        if person not in (None, actor.id) or actor.id not in asked_for(office.law, found.rules, office.law.day_of(now)):
            raise Unseen
        whose = actor.id
    else:
        found, whose = await own_request(conn, office.law, actor, subject, request, now), person or subject
        check_asked(office.law, found, whose, now)
    check_open(found, now)
    own, on = await storage.language_of(conn, whose), office.law.day_of(now)
    text = office.texts.pick(found.rules.purpose, on, own, wishes).text
    values = {
        "code": code(randomness), "request": request, "person": whose, "text_version": text.version,
        "language": text.language, "by": actor.id or "", "made_at": now,
    }  # fmt: skip
    await storage.add_form(conn, values)
    return str(values["code"])


async def page(conn: AsyncConnection, office: Office, subject: str, written: str, now: datetime) -> dict[str, Any]:
    """The page of a form that was just made, as the gateway is to write it. It names nobody: names are written by hand.

    TextUnknown when the text on it is no longer in use: then a new one is printed.
    """
    kept = await storage.form_by_code(conn, written)
    if kept is None or kept[1] != subject:
        raise Unseen
    form = kept[0]
    found = await one_request(conn, office.law, subject, form.request)
    text, words = (
        office.texts.shown(form.text_version, form.language, office.law.day_of(now)),
        pick(current_frames(), form.language),
    )
    names = await storage.directory_names(conn)
    cells = await cells_shown(conn, office.law, found, form.person, office.law.day_of(now))
    items = [
        {
            "service": named(names.services, cell.service, words),
            "what": words.category(cell.category, names.categories.get(cell.category, {})),
            "may": words.said("form", cell.action), "yes": _BOX, "no": _BOX, "cell": "/".join(cell),
        }
        for cell in cells
    ]  # fmt: skip
    body = text.body(named(names.services, found.asker, words), found.rules.purpose)
    why = await office.registry.keys.open(subject, found.why, WHY)
    return {"items": items, "next": None, "paper": _paper(words, form.code, found, body, why)}


def _paper(words: Words, code_: str, found: RequestRow, body: str, why: str) -> dict[str, Any]:
    columns = (("service", "service"), ("what", "what"), ("may", "may"), ("yes", "yes"), ("no", "no"), ("cell", "cell"))
    until = words.moment(datetime.fromtimestamp(found.rules.until - 1).astimezone(words.zone), "date")
    return {
        "form": "print", "name": f"samlogg-{code_}", "language": words.language,
        "direction": words.direction, "title": words.said("form", "title"),
        "before": [
            words.said("form", "name"), *body.split("\n\n"), words.said("form", "why", why=why),
            words.said("form", "until", date=until), words.said("form", "how"),
        ],
        "columns": [{"title": words.said("form", title), "field": field} for title, field in columns],
        "after": [words.said("form", name) for name in ("sign", "witness", "withdraw")],
        "note": words.said("form", "code", code=code_), "empty": words.said("form", "empty"),
    }  # fmt: skip


async def find(conn: AsyncConnection, actor: Actor, written: str) -> dict[str, Any]:
    """Which request of the actor's own service a code on paper belongs to; Unseen for everybody else's and for none."""
    kept = await storage.form_by_code(conn, code_as_written(written))
    if kept is None or actor.kind != "staff" or not may_register(actor.role) or kept[2] not in actor.services:
        raise Unseen
    form, subject, _ = kept
    return {
        "code": form.code, "subject": subject, "request": form.request, "person": form.person,
        "text_version": form.text_version, "language": form.language,
    }  # fmt: skip
