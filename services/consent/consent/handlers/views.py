"""What those who are asked, and those who asked, are shown of a request, and what grants there are."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor, Permit
from consent import storage
from consent.handlers import evidence, withdrawals
from consent.handlers.granting import Spoken, counting, covers
from consent.handlers.looks import named, words_for
from consent.handlers.requests import WHY, Office
from consent.handlers.state import content_categories, known_of, requests_of, state_of
from consent.model.errors import Unseen
from consent.model.law import PARTICIPANTS, SYSTEM_CATEGORIES, Law
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
from consent.model.words import Words
from consent.storage import GrantRow, Names, RequestRow, Service


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


async def grants_for(
    conn: AsyncConnection, law: Law, permit: Permit, actor: Actor, wishes: Sequence[str], now: datetime
) -> dict[str, Any]:
    """Who may see what, how many services that is, and for each of them the one call that ends it, if the reader may.

    The number is of what is shown: of services whose consent is on its way out there is nothing more to end.
    """
    shown = await _grants_shown(conn, law, permit, actor, now)
    words, names = await words_for(conn, actor, wishes), await storage.directory_names(conn)
    given = await _evidence(conn, actor, permit.subject, [item["id"] for item in shown if item["kind"] == "consent"])
    may = await withdrawals.may_end(conn, law, actor, permit.subject, now)
    items = [
        {
            **item,
            "name": _name(item, names, words),
            "evidence": given.get(item["id"], []),
            "end": _end(item, permit.subject) if _ends(item, may) else None,
        }
        for item in shown
    ]
    services = {
        item["recipient"] for item in shown
        if item["recipient"].startswith("service:") and item["kind"] == "consent" and item["state"] != "ending"
    }  # fmt: skip
    return {"items": items, "next": None, "services": len(services)}


async def _evidence(
    conn: AsyncConnection, actor: Actor, subject: str, grants: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """What each grant rests on: the subject reads everybody's words, another person their own, staff nobody's."""
    found: dict[str, list[dict[str, Any]]] = {}
    if actor.kind != "person" or not grants:
        return found
    for one in await storage.given_for(conn, grants):
        if actor.id in (subject, one.person):
            found.setdefault(one.grant, []).append(
                {
                    "person": one.person, "capacity": one.capacity, "at": rfc3339(one.at), "assurance": one.assurance,
                    "text_version": one.version, "language": one.language,
                    "conveyed": None if one.conveyed is None else {"how": one.conveyed, "by": one.by, "into": one.into},
                }
            )  # fmt: skip
    return found


def _name(item: Mapping[str, Any], names: Names, words: Words) -> str | None:
    """The service's name; a person has none here."""
    kind, _, id_ = item["recipient"].partition(":")
    return named(names.services, id_, words) if kind == "service" else None


def _ends(item: Mapping[str, Any], may: Collection[str]) -> bool:
    return item["kind"] == "consent" and item["state"] != "ending" and item["recipient"] in may


def _end(item: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """The one call that takes back all that was agreed to for a service."""
    return {
        "method": "POST", "href": f"/subjects/{subject}/withdrawals", "body": {"recipient": item["recipient"]},
    }  # fmt: skip


async def _grants_shown(
    conn: AsyncConnection, law: Law, permit: Permit, actor: Actor, now: datetime
) -> list[dict[str, Any]]:
    """Grants by consent and by law. The subject sees all; another reader the own grants by law, and those by consent
    that the reader was asked about (or all, if the reader may know who takes part), cut to the own categories.

    A grant that is not confirmed is `pending`; one whose withdrawal is not confirmed is `ending`: both are in progress.
    """
    is_subject = actor.kind == "person" and actor.id == permit.subject
    allowed = permit.categories() - set(SYSTEM_CATEGORIES)
    by_consent = [_grant(row) for row in await storage.grants_of(conn, permit.subject, int(now.timestamp()))]
    state = await state_of(conn, law, permit.subject, now)
    legal = [_by_law(grant) for grant in state["grants"] if grant["kind"] in ("self", "parental")]
    if is_subject:
        return by_consent + legal
    person = None if PARTICIPANTS in allowed else actor.id or ""
    known = await storage.grants_known_to(conn, permit.subject, person)
    cut = [
        {**item, "categories": [category for category in item["categories"] if category in allowed]}
        for item in by_consent
        if item["id"] in known
    ]
    own = [item for item in legal if item["recipient"] == f"person:{actor.id}"]
    return [item for item in cut if item["categories"]] + own


def _grant(row: GrantRow) -> dict[str, Any]:
    terms = row.terms
    status = "ending" if row.ended else "in-force" if row.begun else "pending"
    return {
        "id": row.id, "kind": row.kind, "at": _moment(row.begins), "recipient": terms.recipient,
        "categories": list(terms.categories), "actions": list(terms.actions), "purpose": terms.purpose,
        "from": _moment(row.begins), "until": None if terms.until is None else _moment(terms.until), "state": status,
    }  # fmt: skip


def _by_law(grant: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": grant["id"], "kind": grant["kind"], "at": _moment(grant["from"]), "recipient": grant["recipient"],
        "categories": grant["categories"], "actions": grant["actions"], "purpose": grant["purpose"],
        "from": _moment(grant["from"]), "until": None if grant["until"] is None else _moment(grant["until"]),
        "state": "in-force",
    }  # fmt: skip


async def grant_for(conn: AsyncConnection, permit: Permit, actor: Actor, id_: str) -> dict[str, Any]:
    """How a grant began and ended, also one that is long over; Unseen for whoever is not shown it."""
    found = (await storage.grants_by_id(conn, [id_])).get(id_)
    if found is None or found["subject"] != permit.subject:
        raise Unseen
    is_subject = actor.kind == "person" and actor.id == permit.subject
    categories, allowed = list(found["categories"]), permit.categories() - set(SYSTEM_CATEGORIES)
    if not is_subject:
        known = await storage.grants_known_to(conn, permit.subject, None if PARTICIPANTS in allowed else actor.id or "")
        categories = [category for category in categories if category in allowed and id_ in known]
    if not categories:
        raise Unseen
    steps = await evidence.history(conn, found, permit.subject, None if is_subject else actor.id or "")
    return {"id": id_, "recipient": found["recipient"], "categories": categories, "history": steps}


def _moment(epoch: int) -> str:
    return rfc3339(datetime.fromtimestamp(epoch, UTC))
