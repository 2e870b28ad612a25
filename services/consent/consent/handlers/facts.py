"""Recording what the law table must know of a subject: responsibility, care, capacity, a decision under fifteen.

A new fact ends what does not hold under it, sight by law as well as grants, and is confirmed like a withdrawal. Nothing
is ever changed: of several facts the one recorded last counts, so that a mistake is put right by another fact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import applying, changes, granting
from consent.handlers.requests import Made, Office
from consent.handlers.state import content_categories, requests_of, state_of
from consent.model.births import Unborn
from consent.model.errors import CategoryUnknown, FactNotYours, FactPeriodInvalid, FactUnfit, SamePerson, Unseen
from consent.model.facts import Fact, Kind, check
from consent.model.law import Law
from consent.model.people import Claim, check_birth_dates, check_different, check_due
from consent.model.requests import asked_for

KIND = "law-fact"
REGISTER = "register"
"""Of the changes that come from a person register, and the source of what it says."""
REFERENCE = "law_fact.reference"
"""Where the reference is sealed."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is recorded: the fact, the people it names, and the decision or register it rests on."""

    kind: Kind
    value: str
    begins: date
    ends: date | None
    what: str | None
    people: tuple[Claim, ...]
    reference: str = field(repr=False)


async def record(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, said: Statement, now: datetime
) -> Made:
    """Keep a fact, with the change that tells what it ends and begins.

    Unseen for staff of a service that has not asked about the subject; FactNotYours where the table gives this kind of
    fact to others; FactUnfit, FactPeriodInvalid, CategoryUnknown, SamePerson, BirthDateInvalid for what cannot be.
    """
    law = office.law
    service = await recorded_by(conn, law, actor, subject, said.kind, law.day_of(now))
    check(Fact(said.kind, said.value, said.begins, said.ends, what=said.what), len(said.people))
    if said.what is not None and said.what not in await content_categories(conn):
        raise CategoryUnknown
    check_birth_dates(said.people, law.day_of(now))
    check_different(said.people)
    source = f"asker:{service}"
    people = [one.id for one in await office.registry.find_or_add(conn, said.people, source, now)]
    if subject in people:
        raise SamePerson
    await changes.lock(conn, subject)
    change, before = changes.new_id(), await asked_now(conn, law, subject, now)
    recorder = Recorder(source, actor.id or "", said.reference, change)
    if said.kind == "pregnancy":
        await _pregnancy(conn, law, subject, said, recorder, now)
    fact = Fact(said.kind, said.value, said.begins, said.ends, frozenset(people), said.what)
    number = await keep(conn, office, subject, fact, recorder, now)
    await settle(conn, law, subject, before, KIND, {"fact": number}, now, change=change)
    return Made(str(number), subject, change)


async def recorded_by(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str, kind: Kind, on: date
) -> str:  # fmt: skip
    """The actor's service in whose name this kind of fact is recorded; Unseen, FactNotYours."""
    service = (await _recorders(conn, law, actor, subject, on)).get(kind)
    if service is None:
        raise FactNotYours
    return service


async def _pregnancy(
    conn: AsyncConnection, law: Law, subject: str, said: Statement, recorder: "Recorder", now: datetime
) -> None:  # fmt: skip
    """Another due date, or that a pregnancy has ended: then nobody is asked or sees anything any more. Told by mistake,
    another due date takes it back; what had ended has ended. A birth is told of elsewhere."""
    row, today = await storage.person_by_id(conn, subject), law.day_of(now)
    if row is None or not isinstance(row.born, Unborn) or said.value == "born" or said.ends is not None:
        raise FactUnfit
    ended = said.value == "ended"
    if ended and not row.born.since <= said.begins <= today:
        raise FactPeriodInvalid
    if ended:
        await storage.close_requests(conn, subject, recorder.by, now)
    else:
        await storage.set_expected(conn, subject, check_due(said.begins, today).due, recorder.source)
    standing = {"version": 0, "ended_on": said.begins if ended else None, "changed_at": now}
    await storage.set_standing(conn, subject, standing)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Who records a fact, what it rests on, and the change that will tell it."""

    source: str
    by: str
    reference: str = field(repr=False)
    change: str


async def keep(
    conn: AsyncConnection, office: Office, subject: str, fact: Fact, recorder: Recorder, now: datetime
) -> int:
    """Write a fact; the caller has locked the subject and sees to the change."""
    values = {
        "subject": subject, "kind": fact.kind, "value": fact.value, "what": fact.what, "people": sorted(fact.people),
        "begins": fact.begins, "ends": fact.ends, "source": recorder.source, "recorded_by": recorder.by,
        "change": recorder.change, "recorded_at": now,
        "reference": await office.registry.keys.seal(subject, recorder.reference, REFERENCE),
    }  # fmt: skip
    return await storage.add_fact(conn, values)


Asked = Mapping[str, frozenset[str]]
"""Who is asked by each request that is open."""


async def asked_now(conn: AsyncConnection, law: Law, subject: str, now: datetime) -> Asked:
    """Who is asked today, by request that somebody can still answer."""
    return {
        row.rules.id: asked_for(law, row.rules, law.day_of(now))
        for row in await requests_of(conn, law, subject)
        if row.rules.until > now.timestamp() and not row.taken_back
    }


async def settle(
    conn: AsyncConnection, law: Law, subject: str, before: Asked, kind: str, body: Mapping[str, Any], now: datetime, *,
    change: str,
) -> None:  # fmt: skip
    """Write what follows of something that was recorded of the subject: grants that end or begin under it, and who is
    asked who was not before. One change, confirmed like a withdrawal. Where a register changed grants, the subject and
    those who are asked are told once that there is something to see."""
    plans = (await applying.plans_for(conn, law, [subject], now)).get(subject, ())
    askers = {row.rules.id: row.asker for row in await requests_of(conn, law, subject)}
    after = await asked_now(conn, law, subject, now)
    asks = [
        {"request": request, "asker": f"service:{askers[request]}", "asked": sorted(new)}
        for request, asked in after.items()
        if (new := asked - before.get(request, frozenset()))
    ]
    told = {**body, "opened": asks} if asks else dict(body)
    if plans and kind == REGISTER:
        named = {subject}.union(*after.values()) - {person for one in asks for person in one["asked"]}
        told["noted"] = sorted(named)
    await granting.carry_out(conn, subject, plans, kind, told, now, change=change)


async def _asking(conn: AsyncConnection, law: Law, actor: Actor, subject: str) -> set[str]:
    """The actor's services that have asked about the subject; Unseen when there is none."""
    asked = {row.asker for row in await requests_of(conn, law, subject)} & set(actor.services)
    if actor.kind != "staff" or not asked:
        raise Unseen
    return asked


async def _recorders(conn: AsyncConnection, law: Law, actor: Actor, subject: str, on: date) -> dict[str, str]:
    """The kinds of facts that the actor records, each with the service in whose name."""
    asked, services = await _asking(conn, law, actor, subject), await storage.services(conn)
    found: dict[str, str] = {}
    for row in law.records:
        if actor.role in row.roles and row.source.holds(on) and row.source.verified():
            for service in sorted(asked & services.keys(), reverse=True):
                if not row.sectors or services[service].kind in row.sectors:
                    found[row.kind] = service
    return found


async def _told_where(conn: AsyncConnection, law: Law, actor: Actor, subject: str, now: datetime) -> bool:
    """May this member of staff know where the subject is to be found?"""
    circle = (await state_of(conn, law, subject, now))["circle"]
    return circle is None or any(f"service:{one}" in circle for one in actor.services)


async def listed(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, now: datetime
) -> Sequence[dict[str, Any]]:
    """Every fact of the subject, the oldest first, with its reference: for the subject, and for staff of a service
    that has asked, as far as they may record that kind. Unseen for anybody else."""
    rows = await storage.fact_rows(conn, subject)
    if not (actor.kind == "person" and actor.id == subject):
        mine = await _recorders(conn, office.law, actor, subject, office.law.day_of(now))
        rows = [row for row in rows if row.fact.kind in mine]
        if not await _told_where(conn, office.law, actor, subject, now):  # which service recorded it says where
            own = {f"asker:{one}" for one in actor.services}
            rows = [row if row.source in own else replace(row, source="asker") for row in rows]
    return [
        {
            "id": str(row.fact.order), "kind": row.fact.kind, "value": row.fact.value, "what": row.fact.what,
            "people": sorted(row.fact.people), "begins": row.fact.begins.isoformat(),
            "ends": None if row.fact.ends is None else row.fact.ends.isoformat(), "source": row.source,
            "reference": await office.registry.keys.open(subject, row.reference, REFERENCE),
            "at": rfc3339(row.recorded_at), "status": "confirmed" if row.confirmed else "pending",
        }
        for row in rows
    ]  # fmt: skip
