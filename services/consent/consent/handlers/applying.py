"""Applying the law to everybody there is: after another table or other categories, some subjects at a time.

Until a subject's turn the states that gateways hold say what the earlier table said, and reads go on under them. What a
person takes back meanwhile is published first.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.handlers import changes, granting, sharing
from consent.handlers.granting import Plan
from consent.handlers.state import TURN, Standing, standing_of, states_of
from consent.model.law import Law, next_turn

KIND = "law"
"""Of the changes that come from it."""

Held = Callable[[Mapping[str, Any]], bool]
"""Do gateways hold this very state, in this version?"""


def nothing(_: Mapping[str, Any]) -> bool:
    """It is not known what gateways hold."""
    return False


async def adopt(conn: AsyncConnection, law: Law) -> bool:
    """Where the states come from another table than this one, they are all to be made anew; are they?"""
    if not await storage.law_is_new(conn, law.mark):
        return False
    await storage.call_for_law(conn)
    return True


async def some(
    conn: AsyncConnection, law: Law, after: str | None, limit: int, now: datetime, held: Held = nothing
) -> Sequence[str]:
    """Apply the law to the next subjects that are behind, by id: those it was applied to, none when all are through.

    Grants that do not hold under the table any more end, and narrower or longer ones begin. A subject for whom gateways
    hold already what the law yields gets no new version: there is nothing to publish, and nothing to confirm.
    """
    generation = await storage.generation(conn)
    subjects = await storage.lock_behind(conn, generation, after, limit)
    if not subjects:
        return ()
    stands = await standing_of(conn, law, subjects, now)
    plans = await plans_for(conn, law, subjects, now, stands)
    rest = [one for one in subjects if one not in plans]
    same = {one["subject"] for one in await states_of(conn, law, rest, now, stands) if held(one)}
    await storage.pass_over(conn, {subject: _next_turn(law, stands, subject, now) for subject in same}, generation)
    changed = [one for one in subjects if one not in same]
    rows: list[dict[str, Any]] = []
    began: list[dict[str, Any]] = []
    ended: dict[str, str] = {}
    for subject in changed:
        id_, planned = changes.new_id(), plans.get(subject, ())
        body = granting.body_of(planned)
        rows.append({"id": id_, "subject": subject, "kind": KIND, "body": body, "created_at": now})
        began += [{**row, "began": id_} for plan in planned for row in plan.begin]
        ended.update({grant: id_ for plan in planned for grant in plan.end})
    if changed:
        await storage.raise_all(conn, changed, generation, rows)
        await storage.end_grants(conn, ended)
        await storage.add_grants(conn, began)
    return subjects


def _next_turn(law: Law, stands: Standing, subject: str, now: datetime) -> int | None:
    """When others decide under this law about what is still open: earlier than under the last one, maybe."""
    open_ones = [row.rules for row in stands.requests.get(subject, ()) if row.rules.until > now.timestamp()]
    turn = next_turn(law, open_ones[0].born, law.day_of(now), open_ones[0].facts) if open_ones else None
    return None if turn is None else law.starts(turn)


async def plans_for(
    conn: AsyncConnection, law: Law, subjects: Sequence[str], now: datetime, stands: Standing | None = None
) -> Mapping[str, Sequence[Plan]]:
    """What must change so that the grants of these subjects say what the table makes of everybody's words."""
    epoch = int(now.timestamp())
    if stands is None:
        stands = await standing_of(conn, law, subjects, now)
    requests, grants = stands.requests, stands.grants
    words = await storage.words_about(conn, [row.rules.id for rows in requests.values() for row in rows])
    narrowings = await storage.narrowings_about(conn, subjects)
    found: dict[str, list[Plan]] = {}
    for number, (subject, rows) in enumerate(requests.items()):
        if number % TURN == 0:
            await asyncio.sleep(0)
        for row in rows:
            if row.rules.until > epoch:
                said = narrowings.get(subject, ())
                plan = granting.plan(law, row, words[row.rules.id], said, grants.get(subject, ()), now)
                if plan:
                    found.setdefault(subject, []).append(plan)
    for subject, plan in (await sharing.plans_for(conn, law, subjects, grants, now)).items():
        found.setdefault(subject, []).append(plan)
    return found
