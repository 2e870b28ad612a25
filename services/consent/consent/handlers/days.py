"""What time alone brings: a grant ends by its date, others decide from a birthday on, and those who may act are warned.

The leader takes the subjects that are due, some at a time. Each is due again when the next thing comes, and at once
when anything of it has changed; `as_of` says up to which day this has been done, so that a long silence loses nothing.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.events import Event
from chassis.outbox import announce
from consent import messages, storage
from consent.handlers import applying, changes, granting
from consent.handlers.granting import Plan, Spoken, counting
from consent.handlers.state import TURN, standing_of
from consent.model.births import Unborn
from consent.model.ending import Ending, Running, endings, next_mark, reason
from consent.model.law import Law, answerers, next_turn
from consent.model.requests import Cell, asked_for, needed, waits_for
from consent.storage import RequestRow

KIND = "day"
"""Of the changes that come from it."""

_WARNING_IDS = UUID("9b8e2f0a-4b53-5c0e-9d7f-0e6b6a1d3c47")


@dataclass(frozen=True, slots=True)
class _Due:
    """One subject with what is said about it, and what its grants are."""

    subject: str
    as_of: date
    requests: Sequence[RequestRow]
    words: Mapping[str, Spoken]
    running: Sequence[Running]
    over: Sequence[str]
    plans: Sequence[Plan]


async def some(conn: AsyncConnection, law: Law, limit: int, now: datetime) -> Sequence[str]:
    """Do what time has brought for the next subjects that are due; those it was done for."""
    taken = await storage.lock_due(conn, int(now.timestamp()), limit)
    if not taken:
        return ()
    changed: list[dict[str, Any]] = []
    began: list[dict[str, Any]] = []
    ended: dict[str, str] = {}
    warned: list[tuple[str, RequestRow, Ending]] = []
    next_due: dict[str, int | None] = {}
    for number, one in enumerate(await _gathered(conn, law, taken, now)):
        if number % TURN == 0:
            await asyncio.sleep(0)
        body = _brought(law, one, now)
        if body is not None:
            id_ = changes.new_id()
            changed.append({"id": id_, "subject": one.subject, "kind": KIND, "body": body, "created_at": now})
            began += [{**row, "began": id_} for plan in one.plans for row in plan.begin]
            ended.update(dict.fromkeys(body["ended"], id_))
        by_id = {row.rules.id: row for row in one.requests}
        warned += [(one.subject, by_id[e.request], e) for e in endings(law, one.running, int(now.timestamp()))]
        next_due[one.subject] = _next(law, one, now)
    if changed:
        generation = await storage.generation(conn)
        await storage.raise_all(conn, [row["subject"] for row in changed], generation, changed)
        await storage.end_grants(conn, ended)
        await storage.add_grants(conn, began)
    await _warn(conn, law, warned, now)
    await storage.set_due(conn, next_due, law.day_of(now))
    return list(taken)


async def _gathered(conn: AsyncConnection, law: Law, taken: Mapping[str, date | None], now: datetime) -> Sequence[_Due]:
    subjects, epoch = list(taken), int(now.timestamp())
    stands = await standing_of(conn, law, subjects, now)
    requests, grants = stands.requests, stands.grants
    words = await storage.words_about(conn, [row.rules.id for rows in requests.values() for row in rows])
    over = await storage.grants_over(conn, subjects, epoch)
    plans = await applying.plans_for(conn, law, subjects, now, stands)
    ends = {id_ for planned in plans.values() for plan in planned for id_ in plan.end}
    return [
        _Due(
            subject, as_of or law.day_of(now), requests.get(subject, ()), words,
            [
                Running(grant.id, grant.request, grant.begins, grant.terms, grant.told)
                for grant in grants.get(subject, ())
                if grant.request is not None and not grant.ended and grant.id not in ends
            ],
            over.get(subject, ()),
            plans.get(subject, ()),
        )
        for subject, as_of in taken.items()
    ]  # fmt: skip


def _brought(law: Law, one: _Due, now: datetime) -> dict[str, Any] | None:
    """The change that time makes; None: what is published stays as it is."""
    today, told = law.day_of(now), granting.body_of(one.plans)
    ended = [*told["ended"], *one.over]
    before, after = _asked(law, one, one.as_of), _asked(law, one, today)
    opened = list(_opened(law, one, before, after, today))
    if not (ended or told["began"] or opened or before != after):
        return None
    return {"began": told["began"], "ended": ended, "opened": opened}


def _open(law: Law, row: RequestRow, on: date) -> bool:
    return row.rules.until > law.starts(on)


def _asked(law: Law, one: _Due, on: date) -> dict[str, frozenset[str]]:
    """Whom each open request asks on this day, as the published state says it."""
    return {row.rules.id: asked_for(law, row.rules, on) for row in one.requests if _open(law, row, on)}


def _opened(
    law: Law, one: _Due, before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]], today: date
) -> Iterator[dict[str, Any]]:
    """Requests that somebody is asked to answer who was not asked, or had answered, when this was last done."""
    for row in one.requests:
        id_ = row.rules.id
        if id_ not in after or row.taken_back:
            continue
        spoken = one.words[id_]
        waited = _waited(law, row, spoken, one.as_of) if id_ in before else frozenset()
        fresh = (after[id_] - before.get(id_, frozenset())) | (_waited(law, row, spoken, today) - waited)
        if fresh:
            yield {"request": id_, "asker": f"service:{row.asker}", "asked": sorted(fresh)}


def _waited(law: Law, row: RequestRow, spoken: Spoken, on: date) -> frozenset[str]:
    return waits_for(law, row.rules, row.rules.cells, counting(law, row.rules, spoken, on), on)


def _next(law: Law, one: _Due, now: datetime) -> int | None:
    """When time brings the next thing: a grant's end, a warning, a request's end, or a day on which others decide."""
    epoch, today = int(now.timestamp()), law.day_of(now)
    moments = [next_mark(law, one.running, epoch)]
    open_ones = [row for row in one.requests if _open(law, row, today)]
    moments += [row.rules.until for row in open_ones]
    if open_ones:
        turn = next_turn(law, open_ones[0].rules.born, today, open_ones[0].rules.facts)
        moments.append(None if turn is None else law.starts(turn))
    begun = [grant["ends"] for plan in one.plans for grant in plan.begin]
    moments += [epoch + 1] if begun else []  # their marks are looked at once they are there
    return min((moment for moment in moments if moment is not None), default=None)


async def _warn(
    conn: AsyncConnection, law: Law, warned: Sequence[tuple[str, RequestRow, Ending]], now: datetime
) -> None:
    """Say that grants end soon; each mark of a grant once, whoever asks again."""
    events = [_warning(law, subject, row, ending, now) for subject, row, ending in warned]
    await announce(conn, storage.outbox, messages.EVENTS, *events)
    await storage.note_told(conn, {grant: ending.mark for _, _, ending in warned for grant in ending.grants})


def _warning(law: Law, subject: str, row: RequestRow, ending: Ending, now: datetime) -> Event:
    rules, today, last = row.rules, law.day_of(now), law.day_of_epoch(ending.ends)
    deciding = _turns(law, row, today)
    why = reason(ending.ends, rules.until, deciding)
    people = set(asked_for(law, rules, today))
    if why == "others-decide" and isinstance(rules.born, Unborn):
        people = set()  # that a due date passes is for whoever asked to see to: the mother is not reminded of it
    elif why == "others-decide":
        people |= {person for cell in rules.cells for person in needed(law, rules, cell, last)}
    data = messages.ConsentEndingSoon(
        request=rules.id, subject=subject, asker=f"service:{row.asker}", grants=list(ending.grants),
        people=sorted(people), ends=rfc3339(datetime.fromtimestamp(ending.ends, UTC)), days=ending.mark, reason=why,
    )  # fmt: skip
    id_ = str(uuid5(_WARNING_IDS, f"{' '.join(ending.grants)} {ending.mark}"))
    return Event(id_, messages.ENDING_SOON, messages.SOURCE, subject, now, data.model_dump(by_alias=True), None, None)


def _turns(law: Law, row: RequestRow, today: date) -> Iterable[int]:
    cells: Mapping[Cell, Any] = row.rules.cells
    for category in set(cells.values()):
        until = answerers(law, category, row.rules.born, today, row.rules.facts).until
        if until is not None:
            yield law.starts(until)
