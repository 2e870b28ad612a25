"""Asking for consent: a request is recorded, and the people it is about; nothing else is stored before they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from consent import storage
from consent.handlers import changes
from consent.handlers.ledger import refuse
from consent.handlers.people import Registry
from consent.handlers.state import content_categories
from consent.model.births import Born
from consent.model.errors import CategoryUnknown, PurposeUnknown, ServiceUnknown
from consent.model.facts import Responsibility
from consent.model.law import SYSTEM_CATEGORIES, Category, Law, circle, guardians_ever_needed
from consent.model.ledger import Pseudonyms
from consent.model.people import Claim, check_birth_dates, check_different, check_due, check_responsibility
from consent.model.registers import STRICT
from consent.model.requests import Asked, Cell, asked_for, asker_of, check_until
from consent.model.texts import Texts
from consent.storage import PersonRow

ROUTE = "consent.ask"
WHY = "request.why"
"""Where the reason is sealed."""

_ANY_SPECIAL = Category("", special=True)


@dataclass(frozen=True, slots=True)
class Order:
    """What a professional asks for. due: of a subject who is not born; then `subject` is the expectant mother."""

    asker: str | None
    subject: Claim
    guardians: tuple[Claim, ...]
    responsibility: Responsibility
    level: int
    why: str = field(repr=False)
    purpose: str
    cells: frozenset[Cell]
    until: date
    due: date | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What a write gave: what it made, about whom, and the change to wait for (None: nothing published changes)."""

    id: str
    subject: str
    change: str | None


@dataclass(frozen=True, slots=True)
class Office:
    """What the handlers of requests need, passed in once: law, texts and people."""

    law: Law
    texts: Texts
    registry: Registry


async def turned_away(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, order: Order, now: datetime
) -> bool:
    """May this service not ask about this person at all? Then they are told what is told of somebody who is not there,
    and it is on the person's own record.

    So it is with whoever is dead or whose record is nobody's, and under strict address protection for every service
    that the table does not name: whom the person already has to do with asks for it. Who is not born is where the
    mother is.
    """
    found = await office.registry.find(conn, order.subject.number)
    said = await storage.standings_of(conn, [] if found is None else [found])
    if found is None or found not in said:
        return False
    standing, services = said[found], await storage.services(conn)
    asker = services.get(asker_of(actor.services, order.asker))
    row = circle(office.law, standing.protection, office.law.day_of(now))
    inside = asker is not None and row is not None and row.admits(asker.kind)
    if not standing.over and (standing.protection != STRICT or inside):
        return False
    await refuse(conn, names, actor, found, str(uuid4()), ROUTE, now)
    return True


async def ask(conn: AsyncConnection, office: Office, actor: Actor, order: Order, now: datetime) -> Made:
    """Record a request of the actor's service; RuleBroken when something in it is not possible."""
    law = office.law
    today = law.day_of(now)
    asker = asker_of(actor.services, order.asker)
    check_until(law, order.until, today)
    if order.purpose not in office.texts.purposes(today):
        raise PurposeUnknown
    claims = [order.subject, *order.guardians]
    check_birth_dates(claims, today)
    check_different(claims)
    cells, controllers = await known_cells(conn, asker, order.cells)
    source = f"asker:{asker}"
    subject, *guardians = await office.registry.find_or_add(conn, claims, source, now)
    kind = order.responsibility
    if order.due is not None:
        guardians, kind, unborn = [subject], "mor", check_due(order.due, today)
        subject = await office.registry.expected(conn, subject, order.subject.family_name, unborn, source, now)
    else:
        decide = guardians_ever_needed(law, [*cells.values(), _ANY_SPECIAL], subject.born, today)
        check_responsibility(kind, len(guardians), guardians_decide=decide)
    await storage.ensure_subject(conn, subject.id, now)
    await changes.lock(conn, subject.id)
    held = await _responsible(conn, subject.id, guardians, kind, source, now)
    why = await office.registry.keys.seal(subject.id, order.why, WHY)
    fresh = Fresh(asker, order.level, order.purpose, cells, controllers, order.until, why, held)
    return await keep(conn, law, actor, subject.id, subject.born, fresh, now)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A request that is about to be recorded. why: sealed. held: who holds responsibility. renews: which other one."""

    asker: str
    level: int
    purpose: str
    cells: Mapping[Cell, Category]
    controllers: Mapping[str, str | None]
    until: date
    why: bytes = field(repr=False)
    held: frozenset[str]
    renews: str | None = None


async def keep(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str, born: Born, fresh: Fresh, now: datetime
) -> Made:
    """Record a request about a subject that the caller has locked, with the change that tells of it."""
    facts = (await storage.facts_of(conn, [subject])).get(subject, ())
    until = law.ends(fresh.until)
    found = Asked(str(uuid4()), subject, born, fresh.held, fresh.cells, fresh.purpose, until, facts)
    change = changes.new_id()
    values = {
        "id": found.id, "subject": subject, "asker": fresh.asker, "asked_by": actor.id or "", "level": fresh.level,
        "purpose": fresh.purpose, "why": fresh.why, "until": fresh.until, "change": change, "created_at": now,
        "renews": fresh.renews,
    }  # fmt: skip
    rows = [
        {
            **cell._asdict(),
            "special": category.special,
            "sector": category.sector,
            "controller": fresh.controllers[cell.service],
        }
        for cell, category in sorted(fresh.cells.items())
    ]
    await storage.add_request(conn, values, rows, fresh.held)
    asked = sorted(asked_for(law, found, law.day_of(now)))
    body = {"request": found.id, "asker": f"service:{fresh.asker}", "asked": asked}
    await changes.record(conn, change, subject, "requested", body, now)
    return Made(found.id, subject, change)


async def known_cells(
    conn: AsyncConnection, asker: str, cells: frozenset[Cell]
) -> tuple[dict[Cell, Category], dict[str, str | None]]:
    """Cells with their categories, and each service's agency; what the directory does not know is refused."""
    services = await storage.services(conn)
    categories = await content_categories(conn)
    if not {asker, *(cell.service for cell in cells)} <= services.keys():
        raise ServiceUnknown
    if any(cell.category not in categories or cell.category in SYSTEM_CATEGORIES for cell in cells):
        raise CategoryUnknown
    kinds = {cell: replace(categories[cell.category], sector=services[cell.service].kind) for cell in cells}
    return kinds, {id_: one.agency for id_, one in services.items()}


async def _responsible(
    conn: AsyncConnection, subject: str, guardians: Sequence[PersonRow], kind: Responsibility, source: str,
    now: datetime,
) -> frozenset[str]:  # fmt: skip
    """Everybody who holds responsibility: those on record and those named now.

    Only the first record gives sight by law. A later asker who names somebody else makes one more person who must agree
    to this request, never one more who may look at what is there.
    """
    held = await storage.guardians(conn, subject)
    rows = [
        {
            "subject": subject, "guardian": guardian.id, "kind": kind, "source": source, "sight": not held,
            "recorded_at": now,
        }
        for guardian in guardians
        if guardian.id not in held
    ]  # fmt: skip
    await storage.add_responsibility(conn, rows)
    return frozenset(held) | {guardian.id for guardian in guardians}
