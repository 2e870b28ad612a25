"""What somebody is shown of grants: who may see what, what each rests on, and the call that ends it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor, Permit
from consent import storage
from consent.handlers import evidence, withdrawals
from consent.handlers.looks import named, words_for
from consent.handlers.state import state_of
from consent.model.errors import Unseen
from consent.model.law import PARTICIPANTS, SYSTEM_CATEGORIES, Law
from consent.model.words import Words
from consent.storage import GrantRow, Names


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
