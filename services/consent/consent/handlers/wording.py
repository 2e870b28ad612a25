"""Which grants rest on which version of a consent text, and which of them a change of the text concerns."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import ledger
from consent.handlers.audit import BASIS, FEWEST
from consent.handlers.requests import Office
from consent.model.errors import Unseen
from consent.model.ledger import Pseudonyms
from consent.model.texts import ConsentText, Texts, concerned
from consent.model.words import OFFICER
from consent.storage import Resting, TextCount

COUNTERS = ("leader", "admin", OFFICER)
COUNTS = f"role:{','.join(COUNTERS)}"
"""Who may read how many."""
_ROUTE = "consent.audit-text"
_NONE = TextCount("", "", 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Page:
    """Grants by id, and the id to go on from (None: that was all)."""

    items: list[dict[str, Any]]
    next: str | None


async def versions(conn: AsyncConnection, office: Office, actor: Actor, now: datetime) -> list[dict[str, Any]]:
    """Every version of every language, what the one in use says otherwise, and how many live grants rest on it.

    A number with fewer than FEWEST people behind it is None. A version that is in no file any more is `unknown`.
    """
    if actor.kind != "staff" or actor.role not in COUNTERS:
        raise Unseen
    on, epoch = office.law.day_of(now), int(now.timestamp())
    resting = await storage.resting(conn, epoch)
    touched = await _concerned(conn, office.texts, resting, on)
    counts = {(one.language, one.version): one for one in await storage.count_resting(conn, touched, epoch)}
    known = {(text.language, text.version): text for found in office.texts.versions.values() for text in found.values()}
    return [
        {"language": place[0], "version": place[1], **_standing(office.texts, known.get(place), on), **_counted(count)}
        for place in sorted(known.keys() | counts.keys())
        for count in [counts.get(place, _NONE)]
    ]


def _standing(texts: Texts, text: ConsentText | None, on: date) -> dict[str, Any]:
    if text is None:
        return {"status": "unknown", "in_use": False, "changed": None}
    changed = texts.changed(text, on)
    return {
        "status": text.status, "in_use": texts.in_use(text.language, on) is text,
        "changed": None if changed is None else sorted(changed),
    }  # fmt: skip


def _counted(count: TextCount) -> dict[str, Any]:
    """None for a number that few people are behind, and for one that leaves few others when taken from the sum."""
    told = count.people >= FEWEST or not count.people
    parts = (count.concerned_people, count.spared_people)
    return {
        "grants": count.grants if told else None,
        "concerned": count.concerned if told and all(people >= FEWEST or not people for people in parts) else None,
    }


async def _concerned(conn: AsyncConnection, texts: Texts, resting: Iterable[Resting], on: date) -> list[Resting]:
    """Those of them for which the text now in use says something else about the purpose or the service."""
    kinds = await storage.service_kinds(conn)
    return [
        one
        for one in resting
        if concerned(
            texts.versions.get(one.language, {}).get(one.version), texts.in_use(one.language, on), one.purpose,
            kinds.get(one.recipient.removeprefix("service:")),
        )
    ]  # fmt: skip


async def grants_on(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, language: str, version: str, *,
    only_concerned: bool, after: str | None, limit: int, now: datetime,
) -> Page:  # fmt: skip
    """Live grants that rest on this version, or those of them that the change since concerns; with a record of this
    look for each person it is about, in the same transaction: the caller commits it before it answers."""
    if actor.kind != "staff" or actor.role != OFFICER:
        raise Unseen
    epoch = int(now.timestamp())
    resting = [one for one in await storage.resting(conn, epoch) if (one.language, one.version) == (language, version)]
    touched = set(await _concerned(conn, office.texts, resting, office.law.day_of(now)))
    wanted = sorted(touched) if only_concerned else resting
    rows = await storage.grants_on(conn, wanted, after, limit + 1, epoch)
    items = [
        {
            **row._asdict(), "concerned": Resting(version, language, row.recipient, row.purpose) in touched,
        }
        for row in rows[:limit]
    ]  # fmt: skip
    about = sorted({item["subject"] for item in items})
    acts = [
        ledger.own_act(
            str(uuid4()), rfc3339(now), subject, actor, _ROUTE, categories=("grants",), action="read", basis=BASIS
        )
        for subject in about
    ]
    await ledger.append(conn, names, acts)
    return Page(items, items[-1]["id"] if len(rows) > limit else None)
