"""What a privacy officer reads: who saw what over a period, counts, and the record of processing. Never content."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import ledger
from consent.handlers.requests import Office
from consent.handlers.state import content_categories
from consent.model import looks as rules
from consent.model.errors import PeriodTooLong, Unseen
from consent.model.law import Law
from consent.model.ledger import Pseudonyms
from consent.model.looks import Wanted
from consent.model.processing import Processing
from consent.model.words import OFFICER

BASIS = f"role:{OFFICER}"
FEWEST = 5
"""Fewer people than this behind a number, and the number is not told."""
_LONGEST = timedelta(days=366)
_ROUTE = "consent.audit-looks"


@dataclass(frozen=True, slots=True)
class Page:
    """Looks of a period, the newest first, and the time and id to go on from (None: that was all)."""

    items: list[dict[str, Any]]
    next: tuple[str, str] | None


async def looks(
    conn: AsyncConnection, names: Pseudonyms, actor: Actor, wanted: Wanted, before: tuple[datetime, str] | None,
    limit: int, now: datetime,
) -> Page:  # fmt: skip
    """Looks at anybody, and a record of this look for each person it is about, in the same transaction.

    The caller commits it before it answers: who is looked into by the officer finds that in the own list.
    """
    page = await _page(conn, actor, wanted, None, before, limit)
    about = sorted({item["subject"] for item in page.items if item["subject"] is not None})
    acts = [
        ledger.own_act(
            str(uuid4()), rfc3339(now), subject, actor, _ROUTE, categories=("looks",), action="read", basis=BASIS
        )
        for subject in about
    ]
    await ledger.append(conn, names, acts)
    return page


async def looks_at(
    conn: AsyncConnection, actor: Actor, subject: str, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> Page:
    """Looks at one subject; the gateway has recorded this one."""
    return await _page(conn, actor, wanted, subject, before, limit)


async def _page(
    conn: AsyncConnection, actor: Actor, wanted: Wanted, subject: str | None, before: tuple[datetime, str] | None,
    limit: int,
) -> Page:  # fmt: skip
    _officer(actor)
    if wanted.begins is None or wanted.ends is None or not timedelta(0) < wanted.ends - wanted.begins <= _LONGEST:
        raise PeriodTooLong
    rows = await storage.looks_of_all(conn, wanted, subject=subject, before=before, limit=limit + 1)
    items = [
        {**rules.item(row.look.canonical, row.look.held, row.look.actor), "subject": row.subject}
        for row in rows[:limit]
    ]
    last = (rfc3339(rows[limit - 1].at), items[-1]["id"]) if len(rows) > limit else None
    return Page(items, last)


async def statistics(conn: AsyncConnection, law: Law, actor: Actor, first: date, last: date) -> list[dict[str, Any]]:
    """Looks per local day, service, action and outcome. A number with fewer than FEWEST people behind it is None.

    The cells are always these, whole days and without sums: no two answers can be told apart to find a small number.
    """
    _officer(actor)
    if not timedelta(0) <= last - first < _LONGEST:
        raise PeriodTooLong
    found = await storage.count_looks(conn, law.starts(first), law.ends(last), law.zone.key)
    return [_cell(row) for row in found]


async def processing(
    conn: AsyncConnection, office: Office, record: Processing, actor: Actor, wishes: Sequence[str], now: datetime
) -> dict[str, Any]:
    """The record of processing (GDPR art. 30), with the categories, services, law table and texts that there are now.

    Controllers are the agencies whose services take part: each for what it reads and writes.
    """
    _officer(actor)
    services = (await storage.services(conn)).values()
    language = record.language(wishes)
    live = {
        "categories": sorted(await content_categories(conn)),
        "services": sorted(one.name(language) for one in services),
        "law": [office.law.version],
        "texts": [f"{text.language} {text.version}" for text in office.texts.all_in_use(office.law.day_of(now))],
    }
    return {
        "items": record.rows(language, live), "next": None, "version": record.version, "language": language,
        "controllers": sorted({one.agency for one in services if one.agency}),
    }  # fmt: skip


def _cell(row: storage.Count) -> dict[str, Any]:
    return {
        "day": row.day.isoformat(), "service": row.service, "action": row.action, "outcome": row.outcome,
        "looks": row.looks if row.people >= FEWEST else None,
    }  # fmt: skip


def _officer(actor: Actor) -> None:
    """The gateway sees to the role; this is the second lock."""
    if actor.kind != "staff" or actor.role != OFFICER:
        raise Unseen
