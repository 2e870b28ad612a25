"""A withdrawal told to somebody: taken at once, with no witness, and marked with who registered it for whom."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.causes import caused_by_a_part
from chassis.clock import rfc3339
from chassis.keys import SubjectKeys
from chassis.permit import Actor
from consent import storage
from consent.handlers import ledger
from consent.handlers.ledger import refuse
from consent.handlers.registering import Whose, keep, sealed
from consent.handlers.requests import Office
from consent.handlers.state import requests_of
from consent.handlers.withdrawals import Part, Voice, Withdrawal, shown, take_back
from consent.model.errors import Unseen
from consent.model.law import Law
from consent.model.ledger import Pseudonyms
from consent.model.otherwise import COMPANION, Grounds, may_act

ROUTE = "consent.register-withdrawal"


@dataclass(frozen=True, slots=True)
class Told:
    """Whose withdrawal, of what, and how it was told. No part of the grounds is needed: it never fails for that."""

    person: str
    part: Part
    grounds: Grounds


async def withdraw(
    conn: AsyncConnection, office: Office, names: Pseudonyms, actor: Actor, subject: str, told: Told, *,
    record: str | None, now: datetime,
) -> Withdrawal | None:  # fmt: skip
    """Take back for somebody what they told the actor; None when the actor has nothing to do with the case.

    Any member of staff whose service asked or holds a grant may, and a companion whom the person named. The answer is
    the same whether or not there was anything to end: who takes part is not told by it. The record goes straight into
    the ledger, in this transaction: also that of a refusal.
    """
    id_ = record or str(uuid4())
    if await storage.lock_subject(conn, subject) is None:
        return None
    known = await storage.person_by_id(conn, told.person) is not None
    if not known or not await _may(conn, office.law, actor, subject, told.person, now):
        await refuse(conn, names, actor, subject, id_, ROUTE, now)
        return None
    given, manner = str(uuid4()), told.grounds.manner if actor.kind == "staff" else COMPANION
    grounds = replace(told.grounds, manner=manner, given_at=min(told.grounds.given_at, now))
    whose = Whose(subject, None, told.person, "withdrawal")
    await keep(conn, given, actor, whose, grounds, await _written(office.registry.keys, subject, grounds), now)
    came = {"manner": manner, "given": given, "registered_by": actor.id or ""}
    change = await take_back(conn, office.law, Voice(told.person, manner, came), subject, told.part, now)
    if change is None:  # never so: what is registered is always a change
        raise Unseen
    act = ledger.own_act(
        id_, rfc3339(now), subject, actor, ROUTE, categories=change.body["categories"], grants=change.body["ended"],
        on_behalf_of=told.person, manner=manner,
    )  # fmt: skip
    await ledger.append_act(conn, names, act, now)
    return shown(change)


async def _may(conn: AsyncConnection, law: Law, actor: Actor, subject: str, person: str, now: datetime) -> bool:
    """Has the actor to do with the case? Staff by their services, somebody else as this person's companion."""
    epoch = int(now.timestamp())
    if actor.kind == "person" and actor.id is not None:
        rows = await storage.companion_to(conn, actor.id, epoch)
        return any((row.subject, row.person) == (subject, person) and may_act(row.acts, "withdraw") for row in rows)
    if actor.kind != "staff" or actor.id is None:
        return False
    asking = {row.asker for row in await requests_of(conn, law, subject) if row.rules.until > epoch}
    holding = {grant.terms.recipient for grant in await storage.grants_of(conn, subject, epoch)}
    return any(service in asking or f"service:{service}" in holding for service in actor.services)


async def _written(keys: SubjectKeys, subject: str, grounds: Grounds) -> bytes | None:
    """What was written freely, sealed; None when the keys cannot be had now: the withdrawal counts without it."""
    try:
        return await sealed(keys, subject, grounds)
    except Exception as error:
        if not caused_by_a_part(error):
            raise
        return None


async def withdrawal(conn: AsyncConnection, actor: Actor, subject: str, id_: str) -> Withdrawal:
    """The state of a withdrawal that the actor registered; Unseen for anybody else's and for none."""
    found = await storage.changes_by_id(conn, [id_])
    if not found or found[0].kind != "withdrawn" or found[0].subject != subject or actor.id is None:
        raise Unseen
    given = await storage.given_by_id(conn, found[0].body["given"]) if "given" in found[0].body else None
    if given is None or (given.by_kind, given.by) != (actor.kind, actor.id):
        raise Unseen
    return shown(found[0])
