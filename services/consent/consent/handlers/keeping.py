"""Keeping a category or an item from those who see by law: asked for by the youth, its reason set by a professional.

It takes sight away, and so goes the way of a withdrawal: decided from the own database alone, recorded in the same
transaction, pending until every gateway able to answer knows of it. Nobody who sees by law is told: not by a grant, not
by an event, and whoever asks for the list without having anything to do with it finds nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import changes, ledger
from consent.handlers.ledger import refuse
from consent.handlers.requests import Office
from consent.handlers.state import content_categories, requests_of
from consent.model.errors import (
    AssuranceTooLow,
    CategoryUnknown,
    KeepNotYours,
    KeepTooMany,
    ReasonNeeded,
    ReasonUnknown,
    Unseen,
)
from consent.model.law import PARTICIPANTS, Law, age
from consent.model.ledger import Pseudonyms
from consent.model.own_say import By, Keeping, KeepRow, keepings
from consent.storage import KeepingRow, Service, SubjectRow

KIND = "kept"
"""Of the changes that come from it."""
KEEP, LIFT = "consent.keep-from-guardians", "consent.lift-keeping"
"""The routes, as the ledger records them."""
REFERENCE = "keeping.reference"
"""Where the reference is sealed."""
MOST = 300


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be kept: a category, or one item of it. reason, reference, service: from a professional alone."""

    category: str
    item: str | None = None
    reason: str | None = None
    reference: str | None = field(default=None, repr=False)
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a step was about, and the change that it waits for (None: it changed nothing that is published)."""

    keeping: str
    change: str | None


async def keep(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, subject: str, wanted: Wanted, *,
    record: str | None, now: datetime,
) -> Step | None:  # fmt: skip
    """Keep it from now on; None, with the refusal on record, for whoever has nothing to do with the subject.

    The subject keeps what the law table lets them at their age, and it counts at once. A professional of a service that
    has asked keeps on their own only with a reason. Repeated, it is the same keeping. KeepNotYours, CategoryUnknown,
    ReasonNeeded, ReasonUnknown, KeepTooMany, AssuranceTooLow.
    """
    about, services = await _present(conn, office.law, actor, subject)
    if about is None or services is None:
        await refuse(conn, names, actor, subject, record or str(uuid4()), KEEP, now)
        return None
    by: By = "subject" if actor.kind == "person" else "professional"
    service = await _allowed(conn, office.law, actor, about, wanted, by, services, now)
    held = [one for one in await _keepings(conn, subject) if one.counts()]
    for one in held:
        if (one.by, one.category, one.item) == (by, wanted.category, wanted.item):
            return Step(one.id, await _change_of(conn, subject, one.id))
    if len(held) >= MOST:
        raise KeepTooMany
    keeping, word = str(uuid4()), "asked" if by == "subject" else "set"
    asking = sorted({row.asker for row in await requests_of(conn, office.law, subject)})
    tell = [f"service:{one}" for one in asking] if by == "subject" else [f"person:{subject}"]
    change = await _changed(conn, subject, tell, now)
    keys, reference = office.registry.keys, wanted.reference
    sealed = None if reference is None else await keys.seal(subject, reference, REFERENCE)
    values = {
        "keeping": keeping, "subject": subject, "word": word, "category": wanted.category, "item": wanted.item,
        "reason": wanted.reason, "service": service, "reference": sealed, "change": change,
    }  # fmt: skip
    await storage.add_keeping(conn, {**values, **_by(actor, now)})
    await _record(conn, names, actor, subject, record, KEEP, wanted.category, now)
    return Step(keeping, change)


async def lift(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, subject: str, keeping: str, *,
    record: str | None, now: datetime,
) -> Step | None:  # fmt: skip
    """It is no longer kept: by the subject, what they asked for; by the service of the professional who set it, that.

    None, with the refusal on record, for anybody else. Lifted twice is lifted once.
    """
    _, services = await _present(conn, office.law, actor, subject)
    found = next((one for one in await _keepings(conn, subject) if one.id == keeping), None)
    if services is None or found is None or not _theirs(found, actor, services):
        await refuse(conn, names, actor, subject, record or str(uuid4()), LIFT, now)
        return None
    if not found.counts():
        return Step(keeping, await _change_of(conn, subject, keeping))
    change = await _changed(conn, subject, [], now)
    await _step(conn, subject, found, "lifted", change, actor, now)
    await _record(conn, names, actor, subject, record, LIFT, found.category, now)
    return Step(keeping, change)


def _theirs(found: Keeping, actor: Actor, services: frozenset[str]) -> bool:
    if found.by == "subject":
        return actor.kind == "person"
    return actor.kind == "staff" and found.service in services


@dataclass(frozen=True, slots=True)
class Judged:
    """What a professional says to it: a class of reason, or None: not to be respected; and what that rests on."""

    reason: str | None
    reference: str = field(repr=False)


async def judge(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, keeping: str, said: Judged, now: datetime
) -> Step:
    """Set the class of the reason for what the subject keeps, or turn it down: then it is kept no longer.

    Unseen for staff of services that have not asked, and for what is not kept by the subject; KeepNotYours where the
    table gives this to other roles or sectors; ReasonUnknown.
    """
    about, services = await _present(conn, office.law, actor, subject)
    found = next((one for one in await _keepings(conn, subject) if one.id == keeping), None)
    if about is None or actor.kind != "staff" or not services or found is None or found.by != "subject":
        raise Unseen
    if not found.counts():
        raise Unseen
    row = await _row(conn, office.law, about, found.category, "subject", now)
    service = await _professional(conn, actor, row, services)
    if said.reason is not None and said.reason not in row.reasons:
        raise ReasonUnknown
    sealed = await office.registry.keys.seal(subject, said.reference, REFERENCE)
    change, word = None, "reason"
    if said.reason is None:
        change, word = await _changed(conn, subject, [f"person:{subject}"], now), "turned-down"
    more = {"reason": said.reason, "reference": sealed, "service": service}
    await _step(conn, subject, found, word, change, actor, now, **more)
    return Step(keeping, change)


async def _present(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str
) -> tuple[SubjectRow | None, frozenset[str] | None]:
    """The subject, locked, and the actor's services that have asked about them (the subject's own: none needed); None
    for an actor who has nothing to do with it. AssuranceTooLow."""
    about = await storage.lock_subject(conn, subject)
    if about is None or actor.id is None:
        return about, None
    if actor.kind == "person":
        if actor.id != subject:
            return about, None
        if actor.assurance != "high":
            raise AssuranceTooLow
        return about, frozenset()
    asking = frozenset({row.asker for row in await requests_of(conn, law, subject)} & set(actor.services))
    return about, asking if actor.kind == "staff" and asking else None


async def _allowed(
    conn: AsyncConnection, law: Law, actor: Actor, about: SubjectRow, wanted: Wanted, by: By, services: frozenset[str],
    now: datetime,
) -> str | None:  # fmt: skip
    """In the name of which service it is kept; None: in the subject's own."""
    row = await _row(conn, law, about, wanted.category, by, now)
    if by == "subject":
        if wanted.reason is not None or wanted.reference is not None:
            raise KeepNotYours  # the class of the reason is a professional's to set
        return None
    service = await _professional(conn, actor, row, services, wanted.service)
    if wanted.reason is None or wanted.reference is None:
        raise ReasonNeeded
    if wanted.reason not in row.reasons:
        raise ReasonUnknown
    return service


async def _row(conn: AsyncConnection, law: Law, about: SubjectRow, category: str, by: By, now: datetime) -> KeepRow:
    categories, on = await content_categories(conn), law.day_of(now)
    if category not in categories or category == PARTICIPANTS:
        raise CategoryUnknown
    row = law.say.keep(categories[category], age(about.born, on), on, by)
    if row is None:
        raise KeepNotYours
    return row


async def _professional(
    conn: AsyncConnection, actor: Actor, row: KeepRow, services: frozenset[str], named: str | None = None
) -> str:
    """The service in whose name this member of staff speaks: the one named, or the first that fits; KeepNotYours."""
    among = services if named is None else services & {named}
    found = _speaking(row, actor, among, await storage.services(conn))
    if found is None:
        raise KeepNotYours
    return found


def _speaking(row: KeepRow, actor: Actor, services: frozenset[str], known: Mapping[str, Service]) -> str | None:
    fits = (one for one in sorted(services & known.keys()) if not row.sectors or known[one].kind in row.sectors)
    return next(fits, None) if actor.role in row.roles else None


async def _keepings(conn: AsyncConnection, subject: str) -> list[Keeping]:
    return keepings((await storage.keeping_words(conn, [subject])).get(subject, ()))


async def _change_of(conn: AsyncConnection, subject: str, keeping: str) -> str | None:
    """The newest change that a step of this keeping published."""
    rows = [row for row in await storage.keeping_rows(conn, subject) if row.word.keeping == keeping]
    return next((row.change for row in reversed(rows) if row.change is not None), None)


async def _changed(conn: AsyncConnection, subject: str, tell: Sequence[str], now: datetime) -> str:
    change = changes.new_id()
    await changes.record(conn, change, subject, KIND, {"tell": list(tell)}, now)
    return change


async def _step(
    conn: AsyncConnection, subject: str, found: Keeping, word: str, change: str | None, actor: Actor, now: datetime,
    **more: Any,
) -> None:  # fmt: skip
    values = {
        "keeping": found.id, "subject": subject, "word": word, "category": found.category, "item": found.item,
        "change": change, **more, **_by(actor, now),
    }  # fmt: skip
    await storage.add_keeping(conn, values)


def _by(actor: Actor, now: datetime) -> dict[str, Any]:
    return {"by_kind": actor.kind, "by": actor.id or "", "at": now}


async def _record(
    conn: AsyncConnection, names: Pseudonyms, actor: Actor, subject: str, record: str | None, route: str,
    category: str, now: datetime,
) -> None:  # fmt: skip
    """The act on the subject's record. A professional's names no category: who sees by law would find it by that."""
    categories = (category,) if actor.kind == "person" else ()
    act = ledger.own_act(record or str(uuid4()), rfc3339(now), subject, actor, route, categories=categories)
    await ledger.append_act(conn, names, act, now)


async def listed(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, now: datetime
) -> list[dict[str, Any]]:
    """Everything that was kept, the oldest first: for the subject, and for staff who may give its reason as far as they
    may. Unseen for anybody else, whether or not there is anything."""
    rows = await storage.keeping_rows(conn, subject)
    found = keepings(row.word for row in rows)
    if not (actor.kind == "person" and actor.id == subject):
        found = await _judged_by(conn, office.law, actor, subject, found, now)
    opened: list[dict[str, Any]] = []
    for one in found:
        own = [row for row in rows if row.word.keeping == one.id]
        opened.append(await _shown(office, subject, one, own))
    return opened


async def _judged_by(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str, found: Sequence[Keeping], now: datetime
) -> list[Keeping]:
    """Those whose reason this member of staff may give."""
    about = await storage.subject_row(conn, subject)
    services = frozenset({row.asker for row in await requests_of(conn, law, subject)} & set(actor.services))
    if about is None or actor.kind != "staff" or not services:
        raise Unseen
    known, categories, on = await storage.services(conn), await content_categories(conn), law.day_of(now)
    left = []
    for one in found:
        kind = categories.get(one.category)
        row = None if kind is None else law.say.keep(kind, age(about.born, on), on, one.by)
        if row is not None and _speaking(row, actor, services, known) is not None:
            left.append(one)
    return left


async def _shown(office: Office, subject: str, one: Keeping, rows: Sequence[KeepingRow]) -> dict[str, Any]:
    sealed = next((row.reference for row in reversed(rows) if row.reference is not None), None)
    reference = None if sealed is None else await office.registry.keys.open(subject, sealed, REFERENCE)
    return {
        "id": one.id, "kind": "keeping", "by": one.by, "category": one.category, "item": one.item, "state": one.state,
        "reason": one.reason, "reference": reference, "service": one.service, "at": rfc3339(rows[0].at),
        "status": "confirmed" if all(row.confirmed for row in rows) else "pending",
    }  # fmt: skip
