"""The exception for life and health: a professional shows one category for a short time, with a recorded reason.

Never a switch: it is one act with a class of reason and a reference, in the ledger as what it is. The subject is told
of it at once, and the leaders of the service find it. It begins grants of its own that end by themselves.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.keys import KeyGone
from chassis.permit import Actor
from consent import storage
from consent.handlers import changes, granting, ledger
from consent.handlers.granting import Plan
from consent.handlers.requests import Made, Office
from consent.handlers.state import content_categories, known_of, requests_of
from consent.model.errors import (
    CategoryUnknown,
    ExceptionNotYours,
    ExceptionTooLong,
    NobodyToTell,
    ReasonUnknown,
    Unseen,
)
from consent.model.facts import situation
from consent.model.grants import BASES, LIFE_AND_HEALTH
from consent.model.law import age
from consent.model.ledger import Pseudonyms
from consent.model.own_say import ExceptionRow as Row
from consent.model.own_say import Told
from consent.model.state import Known

KIND = "exception"
"""Of the changes that come from it."""
ROUTE = "consent.make-exception"
REFERENCE = "exception.reference"
"""Where the reference is sealed."""
_HOUR = 3_600
_LISTED = 200


@dataclass(frozen=True, slots=True)
class Excepted:
    """Which category is shown to whom, for how many hours, by which class of reason, and what that rests on."""

    category: str
    told: Told
    reason: str
    reference: str = field(repr=False)
    hours: int


async def make(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, subject: str, wanted: Excepted,
    now: datetime,
) -> Made:  # fmt: skip
    """Begin the grants that show it, and record why. They end by themselves.

    Unseen for staff of services that have not asked about the subject; ExceptionNotYours, ExceptionTooLong,
    ReasonUnknown, CategoryUnknown, NobodyToTell.
    """
    law, on = office.law, office.law.day_of(now)
    row_of = await changes.lock(conn, subject)
    asking = {row.asker for row in await requests_of(conn, law, subject)} & set(actor.services)
    if actor.kind != "staff" or not asking:
        raise Unseen
    categories = await content_categories(conn)
    if wanted.category not in categories:
        raise CategoryUnknown
    row = law.say.exception(categories[wanted.category], age(row_of.born, on), on, wanted.told)
    service = await _service(conn, actor, row, asking)
    if row is None or service is None:
        raise ExceptionNotYours
    if wanted.reason not in row.reasons:
        raise ReasonUnknown
    if wanted.hours > row.longest_hours:
        raise ExceptionTooLong
    known = (await known_of(conn, [subject]))[subject]
    recipients = [f"service:{service}"] if wanted.told == "service" else _guardians(known, now, office)
    if not recipients:
        raise NobodyToTell
    return await _begin(conn, office, names, actor, subject, wanted, service, recipients, now)


async def _service(conn: AsyncConnection, actor: Actor, row: Row | None, asking: Iterable[str]) -> str | None:
    known = await storage.services(conn)
    if row is None or actor.role not in row.roles:
        return None
    fits = (one for one in sorted(asking) if one in known and (not row.sectors or known[one].kind in row.sectors))
    return next(fits, None)


def _guardians(known: Known, now: datetime, office: Office) -> list[str]:
    """Who holds responsibility today, as far as they are known to."""
    holders = situation(known.facts, office.law.day_of(now)).people("guardians", known.subject, known.guardians)
    return [f"person:{one}" for one in sorted(holders)]


async def _begin(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, subject: str, wanted: Excepted,
    service: str, recipients: Sequence[str], now: datetime,
) -> Made:  # fmt: skip
    begins = int(now.timestamp())
    ends = begins + wanted.hours * _HOUR
    rows = [
        {
            "id": str(uuid4()), "subject": subject, "request": None, "recipient": recipient, "kind": "exception",
            "categories": [wanted.category], "actions": ["read"], "purpose": LIFE_AND_HEALTH,
            "basis": BASES["exception"], "controller": None, "begins": begins, "ends": ends, "back": None,
            "excluded": [], "granted_by": [], "law_version": office.law.version,
        }
        for recipient in recipients
    ]  # fmt: skip
    body = {"by": actor.id or "", "tell": [f"person:{subject}"], "service": service}
    change = await granting.carry_out(conn, subject, [Plan((), tuple(rows))], KIND, body, now)
    id_, grants = str(uuid4()), [str(row["id"]) for row in rows]
    values = {
        "id": id_, "subject": subject, "category": wanted.category, "told": wanted.told, "reason": wanted.reason,
        "reference": await office.registry.keys.seal(subject, wanted.reference, REFERENCE), "by": actor.id or "",
        "service": service, "grants": grants, "until": ends, "law_version": office.law.version, "change": change,
        "at": now,
    }  # fmt: skip
    await storage.add_exception(conn, values)
    act = ledger.own_act(
        str(uuid4()), rfc3339(now), subject, actor, ROUTE, categories=[wanted.category], grants=grants,
        basis=LIFE_AND_HEALTH,
    )  # fmt: skip
    await ledger.append_act(conn, names, act, now)
    return Made(id_, subject, change)


async def listed(conn: AsyncConnection, office: Office, actor: Actor, subject: str) -> list[dict[str, Any]]:
    """Every exception about the subject, for the subject alone; Unseen for anybody else."""
    if actor.kind != "person" or actor.id != subject:
        raise Unseen
    rows = await storage.exceptions_about(conn, subject)
    try:
        opened = await office.registry.keys.opener(subject) if rows else None
    except KeyGone:
        return []
    return [{**_shown(row), "reference": None if opened is None else opened(row.reference, REFERENCE)} for row in rows]


async def led(conn: AsyncConnection, actor: Actor, service: str) -> list[dict[str, Any]]:
    """The newest exceptions that staff of a service made, for its leaders: that, and by which reason; no content."""
    if actor.kind != "staff" or actor.role != "leader" or service not in actor.services:
        raise Unseen
    rows = await storage.exceptions_of(conn, [service], _LISTED)
    return [{**_shown(row), "subject": row.subject, "reference": None} for row in rows]


def _shown(row: storage.ExceptionRow) -> dict[str, Any]:
    return {
        "id": row.id, "kind": "exception", "category": row.category, "told": row.told, "reason": row.reason,
        "by": row.by, "service": row.service, "grants": list(row.grants), "at": rfc3339(row.at),
        "until": rfc3339(datetime.fromtimestamp(row.until, UTC)),
    }  # fmt: skip
