"""The whole published state of a subject, as the database has it now."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.handlers.tables import current_law
from consent.model.errors import Unseen
from consent.model.law import ASKED_LIKE_OTHERS, Category, Law
from consent.model.requests import asked_for
from consent.model.state import Live, OpenRequest, by_law, whole
from consent.storage import RequestRow


async def state_of(conn: AsyncConnection, subject: str, now: datetime) -> dict[str, Any]:
    """Version, grants (by consent and by law) and open requests: the value of the record on `consent.state.v1`.

    Reads only. Whoever publishes it needs no lock: a version that is read late is followed by a newer one.
    Unseen when there is no such subject.
    """
    law = current_law()
    on, epoch = law.day_of(now), int(now.timestamp())
    row = await storage.subject_row(conn, subject)
    if row is None:
        raise Unseen
    guardians = await storage.guardians(conn, subject)
    seers = [guardian for guardian, sees in guardians.items() if sees]
    known = await content_categories(conn)
    live = [
        Live(grant.id, grant.begins, grant.terms)
        for grant in await storage.grants_of(conn, subject, epoch)
        if not grant.ended
    ]
    open_requests = [
        OpenRequest(found.rules.id, found.asker, tuple(sorted(asked_for(law, found.rules, on))))
        for found in await requests_of(conn, law, subject)
        if found.rules.until > epoch
    ]
    seen = by_law(law, subject, row.birth_date, seers, list(known.values()), now)
    return whole(subject, row.version, live, seen, open_requests)


async def content_categories(conn: AsyncConnection) -> dict[str, Category]:
    """Every category that consent can be asked for: the directory's, and who takes part."""
    return ASKED_LIKE_OTHERS | await storage.categories(conn)


async def requests_of(conn: AsyncConnection, law: Law, subject: str) -> list[RequestRow]:
    """All requests about a subject; the last day of each is over when the next one begins."""
    return await storage.requests_of(conn, subject, law.ends)
