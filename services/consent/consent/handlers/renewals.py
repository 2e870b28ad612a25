"""Renewing what ends: the service that asked asks again for what is in force, with another last day.

The old grants run until their end, the new ones begin when all have said yes: there is no gap, and nobody has to hurry.
"""

from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from consent import storage
from consent.handlers import changes, granting
from consent.handlers.answers import one_request
from consent.handlers.requests import WHY, Fresh, Made, Office, keep, known_cells
from consent.model.errors import AlreadyRenewed, NothingToRenew, PeriodInvalid, PurposeUnknown, RequestTakenBack, Unseen
from consent.model.requests import check_until


@dataclass(frozen=True, slots=True)
class Renewal:
    """Until when it is asked for now; why: None where the reason is the same."""

    until: date
    why: str | None = field(repr=False)


async def renew(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, request: str, wanted: Renewal, now: datetime
) -> Made:
    """Ask again for the cells of a request that are in force: what was refused or taken back is not asked for anew.

    Unseen for staff of another service; RequestTakenBack, NothingToRenew, AlreadyRenewed where it cannot be;
    PeriodInvalid unless it ends later than the request did.
    """
    law, today = office.law, office.law.day_of(now)
    row = await changes.lock(conn, subject)
    found = await one_request(conn, law, subject, request)
    if actor.kind != "staff" or found.asker not in actor.services:
        raise Unseen
    if found.taken_back:
        raise RequestTakenBack
    live = await storage.grants_of(conn, subject, int(now.timestamp()))
    own = [grant for grant in live if grant.request == request and not grant.ended]
    wished = frozenset(cell for cell in found.rules.cells if any(granting.covers(grant, cell) for grant in own))
    if not wished:
        raise NothingToRenew
    if await storage.is_renewed(conn, request):
        raise AlreadyRenewed
    check_until(law, wanted.until, today)
    if wanted.until <= found.last_day:
        raise PeriodInvalid
    if found.rules.purpose not in office.texts.purposes(today):
        raise PurposeUnknown
    cells, controllers = await known_cells(conn, found.asker, wished)
    why = found.why if wanted.why is None else await office.registry.keys.seal(subject, wanted.why, WHY)
    held = frozenset(await storage.guardians(conn, subject))
    fresh = Fresh(found.asker, found.level, found.rules.purpose, cells, controllers, wanted.until, why, held, request)
    return await keep(conn, law, actor, subject, row.born, fresh, now)
