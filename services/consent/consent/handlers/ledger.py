"""The access ledger: records appended once each, and read by those whom they are about."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor, Permit
from consent import storage
from consent.model.law import PARTICIPANTS, SYSTEM_CATEGORIES
from consent.model.ledger import entry

_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Record:
    """A record on its way into the ledger.

    chain: the subject it concerns, or its caller where no subject was found. about: the look that a `held-back` record
    takes back. content: the whole record, kept as it is.
    """

    id: str
    kind: str
    chain: str
    subject: str | None
    content: Mapping[str, Any]
    actor_kind: str | None = None
    actor: str | None = None
    categories: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    about: str | None = None


async def append(conn: AsyncConnection, records: Sequence[Record]) -> int:
    """Append those records that are not there yet, each under its chain's next number; returns how many.

    The heads are locked before ids are looked up: of two that bring the same record, the second finds it.
    """
    if not records:
        return 0
    heads = await storage.lock_heads(conn, {record.chain for record in records})
    seen = await storage.taken(conn, [record.id for record in records])
    rows = []
    for record in records:
        if record.id in seen:
            continue
        seen.add(record.id)
        number, previous = heads[record.chain]
        made = entry(record.content, number + 1, previous, os.urandom(_SALT_BYTES))
        heads[record.chain] = (made.sequence, made.leaf)
        rows.append(
            {
                "id": record.id, "kind": record.kind, "chain": record.chain, "sequence": made.sequence,
                "subject": record.subject, "actor_kind": record.actor_kind, "actor": record.actor,
                "categories": list(record.categories), "grants": list(record.grants), "about": record.about,
                "previous": made.previous, "salt": made.salt, "canonical": made.canonical, "leaf": made.leaf,
            }
        )  # fmt: skip
    if rows:
        await storage.append(conn, rows, heads)
    return len(rows)


def own_act(
    id_: str, at: str, subject: str, actor: Actor, route: str, *,
    categories: Iterable[str] = (), grants: Iterable[str] = (), reason: str | None = None,
) -> Record:  # fmt: skip
    """The record of an act that consent itself decided without the gateway; `reason` when it was refused."""
    touched, under = tuple(sorted(categories)), tuple(sorted(grants))
    content = {
        "id": id_, "at": at, "subject": subject,
        "actor": {
            "kind": actor.kind, "id": actor.id, "services": list(actor.services), "role": actor.role,
            "agency": actor.agency,
        },
        "route": route, "action": "none", "categories": list(touched), "grants": list(under), "basis": "self",
        "purpose": None, "outcome": "answered" if reason is None else "refused", "reason": reason,
    }  # fmt: skip
    return Record(id_, "look", subject, subject, content, actor.kind, actor.id, touched, under)


@dataclass(frozen=True, slots=True)
class Page:
    """Some looks, the newest first, and the one to go on from (None: that was all)."""

    items: list[dict[str, Any]]
    next: str | None


async def looks(conn: AsyncConnection, permit: Permit, actor: Actor, before: str | None, limit: int) -> Page:
    """Who looked, cut for the reader.

    The subject sees every look and refusal. Another reader sees their own, and those of services that touched a
    category the reader may see, under a grant the reader was asked about (or any, if the reader may know who takes
    part), with only those categories and grants: neither that the youth looked, nor that a service takes part in
    secret.
    """
    is_subject = actor.kind == "person" and actor.id == permit.subject
    allowed = permit.categories() - set(SYSTEM_CATEGORIES)
    asked_about = None if is_subject or PARTICIPANTS in allowed else actor.id or ""
    known = {} if is_subject else await storage.grants_known_to(conn, permit.subject, asked_about)
    rows = await storage.looks(
        conn, permit.subject, reader=None if is_subject else actor.id or "", categories=allowed,
        grants=None if asked_about is None else known, before=before, limit=limit + 1,
    )  # fmt: skip
    items = [_item(canonical, held) for canonical, held in rows[:limit]]
    if not is_subject:
        items = [item if _is_by(item, actor.id) else _cut(item, allowed, known) for item in items]
    return Page(items, items[-1]["id"] if len(rows) > limit else None)


def _item(canonical: bytes, held: bytes | None) -> dict[str, Any]:
    record = json.loads(canonical)["record"]
    actor = record["actor"]
    who = {
        "kind": actor["kind"], "id": actor["id"], "services": actor.get("services", []), "role": actor.get("role"),
        "agency": actor.get("agency"),
    }  # fmt: skip
    taken_back = None if held is None else json.loads(held)["record"].get("reason") or "held-back"
    return {
        "id": record["id"], "kind": "look", "at": record["at"], "actor": who, "route": record.get("route"),
        "action": record.get("action"), "categories": record["categories"], "grants": record.get("grants", []),
        "basis": record.get("basis"), "purpose": record.get("purpose"), "outcome": record["outcome"],
        "reason": record.get("reason"), "count": record.get("count", 1), "held_back": taken_back,
    }  # fmt: skip


def _is_by(item: Mapping[str, Any], reader: str | None) -> bool:
    return reader is not None and item["actor"]["id"] == reader


def _cut(item: dict[str, Any], allowed: frozenset[str], of_grants: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """Only the reader's categories, and the grants that speak of one of them."""
    return {
        **item,
        "categories": [category for category in item["categories"] if category in allowed],
        "grants": [id_ for id_ in item["grants"] if of_grants.get(id_, frozenset()) & allowed],
    }
