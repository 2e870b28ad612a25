"""What another law table would do to what exists: how many subjects it touches, by what changes; never whom."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.handlers import applying
from consent.handlers.granting import Plan
from consent.handlers.state import content_categories, known_of
from consent.model.law import Law
from consent.model.requests import asked_for, needed
from consent.model.state import by_law
from consent.storage import RequestRow

_BATCH = 500
_FOREVER = 2**62
_SEERS = {"self": "the person's own sight", "parental": "others' sight by law"}

Reach = Mapping[tuple[str, str, str, str], int]
"""Kind, recipient, category and action of sight by law: when it ends."""


async def preview(conn: AsyncConnection, old: Law, new: Law, now: datetime) -> dict[str, int]:
    """Counts of subjects, by what would change for them when `new` takes the place of `old`. Reads only."""
    counts: Counter[str] = Counter()
    after: str | None = None
    while subjects := await storage.subjects_after(conn, after, _BATCH):
        after = subjects[-1]
        for changes in await _changes(conn, old, new, subjects, now):
            counts.update(changes)
            counts["touched"] += bool(changes)
            counts["subjects"] += 1
    return {"subjects": 0, "touched": 0, **counts}


async def _changes(
    conn: AsyncConnection, old: Law, new: Law, subjects: Sequence[str], now: datetime
) -> Iterable[set[str]]:
    """For each subject, what would be another."""
    known, categories = await known_of(conn, subjects), tuple((await content_categories(conn)).values())
    requests = await storage.requests_about(conn, subjects, new.ends)
    planned = await applying.plans_for(conn, new, subjects, now)
    found = []
    for subject in subjects:
        before, after = (_reach(by_law(law, known[subject], categories, now)) for law in (old, new))
        found.append({
            *_sight(before, after), *_grants(planned.get(subject, ())),
            *_requests(old, new, requests.get(subject, ()), now),
        })  # fmt: skip
    return found


def _reach(grants: Iterable[Mapping[str, Any]]) -> Reach:
    return {
        (grant["kind"], grant["recipient"], category, action): _FOREVER if grant["until"] is None else grant["until"]
        for grant in grants for category in grant["categories"] for action in grant["actions"]
    }  # fmt: skip


def _sight(before: Reach, after: Reach) -> Iterator[str]:
    for place in before.keys() | after.keys():
        was, will, who = before.get(place, 0), after.get(place, 0), _SEERS[place[0]]
        if was != will:
            verb = "ends" if not will else "begins" if not was else "ends earlier" if will < was else "lasts longer"
            yield f"{who} {verb}"


def _grants(plans: Sequence[Plan]) -> Iterator[str]:
    if any(plan.end for plan in plans):
        yield "a consent ends, or goes on within other limits"
    if any(plan.begin for plan in plans):
        yield "a consent begins, or goes on within other limits"


def _requests(old: Law, new: Law, rows: Iterable[RequestRow], now: datetime) -> Iterator[str]:
    """Open requests of which others are asked, or others decide."""
    on = new.day_of(now)
    for row in rows:
        if row.rules.until > now.timestamp():
            if asked_for(old, row.rules, on) != asked_for(new, row.rules, on):
                yield "others are asked"
            if any(needed(old, row.rules, cell, on) != needed(new, row.rules, cell, on) for cell in row.rules.cells):
                yield "others decide"
