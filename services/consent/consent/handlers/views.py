"""What those who are asked, and those who asked, are shown of a request."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import evidence
from consent.handlers.granting import Spoken, counting, covers
from consent.handlers.requests import WHY, Office
from consent.handlers.state import content_categories, known_of, requests_of
from consent.model.errors import Unseen
from consent.model.law import Law
from consent.model.requests import (
    Cell,
    asked_for,
    opened_again,
    progress,
    state_of_request,
    visible,
    waited_for,
)
from consent.model.state import seen_today
from consent.model.texts import Picked
from consent.storage import GrantRow, RequestRow, Service


async def cells_shown(conn: AsyncConnection, law: Law, found: RequestRow, person: str, on: date) -> list[Cell]:
    """The cells of a request that this person is shown."""
    subject = found.rules.subject
    if person == subject:
        return sorted(found.rules.cells)
    known = (await known_of(conn, [subject]))[subject]
    categories = tuple((await content_categories(conn)).values())
    return visible(law, found.rules, person, seen_today(law, known, categories, person, on), on)


async def requests_for(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, wishes: Sequence[str], now: datetime
) -> list[dict[str, Any]]:
    """Every request about the subject that concerns the actor, as that actor is shown it."""
    on = office.law.day_of(now)
    rows = await requests_of(conn, office.law, subject)
    words = await storage.words_about(conn, [row.rules.id for row in rows])
    grants = await storage.grants_of(conn, subject, int(now.timestamp()))
    found = []
    for row in rows:
        spoken = words[row.rules.id]
        if actor.kind == "person" and actor.id in asked_for(office.law, row.rules, on):
            found.append(await _for_asked(conn, office, actor, row, spoken, grants, wishes, now))
        elif actor.kind == "staff" and row.asker in actor.services:
            found.append(await _for_asker(conn, office, actor, row, spoken, grants, now))
    return found


async def _for_asker(
    conn: AsyncConnection, office: Office, actor: Actor, row: RequestRow, spoken: Spoken, grants: Sequence[GrantRow],
    now: datetime,
) -> dict[str, Any]:  # fmt: skip
    base = _base(office.law, row, spoken, grants, sorted(row.rules.cells), now)
    return {**base, **await _beside(conn, office, actor, row)}


async def _beside(conn: AsyncConnection, office: Office, actor: Actor, row: RequestRow) -> dict[str, Any]:
    """What is kept beside a request: words that came otherwise than by a log-in, and what was told orally."""
    rules, keys = row.rules, office.registry.keys
    return {
        "registered": await evidence.registered(conn, keys, actor, rules.subject, rules.id),
        "told": await evidence.told(conn, actor, rules.id),
    }  # fmt: skip


async def request_for(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, wishes: Sequence[str],
    now: datetime,
) -> dict[str, Any]:  # fmt: skip
    """One request as the actor is shown it; Unseen when it does not concern them."""
    found = await requests_for(conn, office, actor, subject, wishes, now)
    shown = next((item for item in found if item["id"] == request), None)
    if shown is None:
        raise Unseen
    return shown


async def made_request(
    conn: AsyncConnection, office: Office, actor: Actor, request: str, now: datetime
) -> dict[str, Any]:
    """What the asker is told of a request just made, or made before under the same key."""
    subject = await storage.subject_of_request(conn, request)
    if subject is None:
        raise Unseen
    shown = await request_for(conn, office, actor, subject, request, (), now)
    return {
        "id": shown["id"], "subject": subject, "state": shown["state"], "status": shown["status"],
        "asked_state": shown["answers"],
    }  # fmt: skip


def _base(
    law: Law, row: RequestRow, spoken: Spoken, grants: Sequence[GrantRow], cells: Sequence[Cell], now: datetime,
    reader: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """How far the cells shown have come, and nothing of what anybody answered; other cells leave no trace in it.

    reader: who is shown only how their own words came (None: how everybody's came).
    """
    rules, on = row.rules, law.day_of(now)
    own = [grant for grant in grants if grant.request == rules.id and any(covers(grant, cell) for cell in cells)]
    pending = not row.confirmed or any(not grant.begun or grant.ended for grant in own)
    answers = {place: said for place, said in counting(law, rules, spoken, on).items() if place[1] in cells}
    waiting = waited_for(law, rules, cells, answers, on)
    state = state_of_request(
        now=int(now.timestamp()), until=rules.until, waiting=bool(waiting), pending=pending, live=bool(own),
        taken_back=row.taken_back,
    )  # fmt: skip
    waits = state in ("waiting", "pending") and not row.taken_back
    given = {place: word.at for place, word in spoken.items() if place[1] in cells}
    again = opened_again(law, rules, given, answers, on) if waits else None
    return {
        "id": rules.id, "kind": "request", "subject": rules.subject, "at": rfc3339(row.created_at), "state": state,
        "status": "pending" if pending else "confirmed", "asker": f"service:{row.asker}", "level": row.level,
        "purpose": rules.purpose, "cells": _grouped(cells), "until": row.last_day.isoformat(),
        "waiting_for": waiting if waits else [], "opened_again": None if again is None else again.isoformat(),
        "renews": row.renews,
        "answers": [
            {
                "person": person, "state": one,
                "manners": evidence.manners(spoken, person) if reader in (None, person) else None,
            }
            for person, one in progress(asked_for(law, rules, on), answers).items()
        ],
    }  # fmt: skip


async def _for_asked(
    conn: AsyncConnection, office: Office, actor: Actor, row: RequestRow, spoken: Spoken, grants: Sequence[GrantRow],
    wishes: Sequence[str], now: datetime,
) -> dict[str, Any]:  # fmt: skip
    person = actor.id or ""
    cells = await cells_shown(conn, office.law, row, person, office.law.day_of(now))
    services = await storage.services(conn)
    own, on = await storage.language_of(conn, person), office.law.day_of(now)
    shown = _text(office.texts.pick(row.rules.purpose, on, own, wishes), row, cells, services)
    counted = counting(office.law, row.rules, spoken, on)
    mine = [
        {
            **cell._asdict(), "answer": spoken[person, cell].said, "manner": spoken[person, cell].manner,
            "counts": (person, cell) in counted,
        }
        for cell in cells
        if (person, cell) in spoken
    ]  # fmt: skip
    why = await office.registry.keys.open(row.rules.subject, row.why, WHY)
    base = _base(office.law, row, spoken, grants, cells, now, person)
    return {**base, "why": why, "text": shown, "mine": mine, **await _beside(conn, office, actor, row)}


def _text(picked: Picked, row: RequestRow, cells: Sequence[Cell], services: Mapping[str, Service]) -> dict[str, Any]:
    """The text as it is to be read or interpreted, and what each service that this reader is asked about does."""
    text = picked.text

    def name(id_: str) -> str:
        return services[id_].name(text.language) if id_ in services else id_

    told = {
        id_: text.about(services[id_].kind if id_ in services else None)
        for id_ in sorted({cell.service for cell in cells})
    }
    return {
        "version": text.version, "language": text.language, "direction": text.direction, "status": text.status,
        "way": picked.way, "body": text.body(name(row.asker), row.rules.purpose),
        "services": [
            {"service": id_, "name": name(id_), "does": one.does, "uses": one.uses} for id_, one in told.items()
        ],
    }  # fmt: skip


def _grouped(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Cells as they are asked for: per service, categories with the same actions together."""
    actions: dict[tuple[str, str], list[str]] = {}
    for cell in sorted(cells):
        actions.setdefault((cell.service, cell.category), []).append(cell.action)
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (service, category), names in actions.items():
        grouped.setdefault((service, tuple(names)), []).append(category)
    return [
        {"service": service, "categories": categories, "actions": list(names)}
        for (service, names), categories in grouped.items()
    ]
