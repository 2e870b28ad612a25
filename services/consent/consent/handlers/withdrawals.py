"""Withdrawing: decided from the own database alone, and called pending until it is confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import granting, ledger, sharing
from consent.handlers.ledger import refuse
from consent.handlers.looks import named, words_for
from consent.handlers.state import requests_of
from consent.model.errors import Unseen
from consent.model.grants import Narrowing
from consent.model.law import Law
from consent.model.ledger import Pseudonyms
from consent.model.requests import Cell, needed
from consent.storage import ChangeRow, GrantRow, RequestRow, Words

Status = Literal["confirmed", "pending"]
ROUTE = "consent.withdraw"
_NEWEST = 2**62
"""Above every word: a narrowing that is being said now counts whatever was said before."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is taken back: all of a recipient's (None: everybody's) or one category of it; or of that only a part.

    staff: one member of the service's staff. back: what lies before a time. until: what would come after one. Times are
    epoch seconds. With any of these the rest stays in force, in a grant of its own.
    """

    recipient: str | None
    category: str | None = None
    staff: str | None = None
    back: int | None = None
    until: int | None = None

    def narrowed(self) -> dict[str, Any]:
        """Which part of the grant; empty when it is the whole."""
        said = {"staff": self.staff, "back": self.back, "until": self.until}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The caller's own act, and nothing else. `part`: what was taken back."""

    id: str
    status: Status
    part: Part


@dataclass(frozen=True, slots=True)
class Voice:
    """In whose name something is taken back, and with what assurance.

    came: of words that came otherwise than by a log-in, how (`manner`, `given`, `registered_by`): kept with the change.
    """

    person: str
    assurance: str
    came: Mapping[str, str] = field(default_factory=dict)


async def withdraw(
    conn: AsyncConnection, law: Law, names: Pseudonyms, actor: Actor, subject: str, part: Part, *,
    record: str | None, now: datetime,
) -> Withdrawal | None:  # fmt: skip
    """Take back what was agreed to for a recipient, or a part of it; None when none of it is the actor's.

    The subject may withdraw all of it, a guardian what their yes was needed for. Repeated, it gives the earlier act
    with its state of today. The record goes straight into the ledger, in this transaction: also that of a refusal.
    record: id of the access record if the gateway gave one.
    """
    id_ = record or str(uuid4())
    found = None
    if actor.kind == "person" and actor.id is not None and await storage.lock_subject(conn, subject) is not None:
        found = await take_back(conn, law, Voice(actor.id, actor.assurance), subject, part, now)
    if found is None:
        await refuse(conn, names, actor, subject, id_, ROUTE, now)
        return None
    act = ledger.own_act(
        id_, rfc3339(now), subject, actor, ROUTE, categories=found.body["categories"], grants=found.body["ended"]
    )
    await ledger.append_act(conn, names, act, now)
    return shown(found)


async def take_back(
    conn: AsyncConnection, law: Law, voice: Voice, subject: str, part: Part, now: datetime
) -> ChangeRow | None:
    """End what this voice ends, as one change; the caller has locked the subject and sees to the ledger.

    Where there is nothing to end, somebody's own repeated act gives the earlier one, or None. A registered one is a
    change all the same, that ends nothing: its registrar must not learn from it who takes part.
    """
    requests, words, grants = await _said(conn, law, subject, now)
    targets = {
        row.rules.id: cells for row in requests if (cells := _targets(law, row, words, grants, voice.person, part, now))
    }
    narrowed, narrowings = part.narrowed(), await storage.narrowings_of(conn, subject)
    if narrowed:
        service = (part.recipient or "").removeprefix("service:")
        narrowings.append(Narrowing(voice.person, service, part.category, _NEWEST, part.staff, part.back, part.until))
    elif targets:
        await _say_no(conn, law, voice, targets, now)
        words = await storage.words_about(conn, targets)
    plans = [
        granting.plan(law, row, words[row.rules.id], narrowings, grants, now)
        for row in requests
        if row.rules.id in targets
    ]
    if voice.person == subject and not narrowed:
        plans.append(await sharing.taken_back(conn, law, grants, part.recipient, part.category, now))
    idle = not any(plans) if narrowed else not targets and not any(plans)
    if idle and not voice.came:
        return await storage.last_withdrawal(conn, subject, voice.person, part.recipient or "", part.category, narrowed)
    if narrowed and not idle:
        await storage.add_narrowing(conn, subject, narrowings[-1], now)
    body = {
        "by": voice.person, **voice.came, "recipient": part.recipient, "category": part.category, "narrowed": narrowed,
        "categories": sorted(
            {cell.category for cells in targets.values() for cell in cells}
            | ({part.category} if part.category is not None and any(plans) else set())
        ),
    }  # fmt: skip
    change = await granting.carry_out(conn, subject, [] if idle else plans, "withdrawn", body, now)
    [made] = await storage.changes_by_id(conn, [change])
    return made


async def _said(
    conn: AsyncConnection, law: Law, subject: str, now: datetime
) -> tuple[list[RequestRow], Words, list[GrantRow]]:
    """Requests whose time is not over, what everybody has said about them, and the grants."""
    requests = [row for row in await requests_of(conn, law, subject) if row.rules.until > now.timestamp()]
    words = await storage.words_about(conn, [row.rules.id for row in requests])
    return requests, words, await storage.grants_of(conn, subject, int(now.timestamp()))


async def may_end(conn: AsyncConnection, law: Law, actor: Actor, subject: str, now: datetime) -> frozenset[str]:
    """The recipients from whom this actor may take back what was agreed to, all of it or some."""
    if actor.kind != "person" or actor.id is None:
        return frozenset()
    requests, words, grants = await _said(conn, law, subject, now)
    recipients = {f"service:{cell.service}" for row in requests for cell in row.rules.cells}
    person = actor.id
    let_see = {grant.terms.recipient for grant in grants if grant.request is None and grant.kind == "consent"}
    return (frozenset(let_see) if person == subject else frozenset()) | frozenset(
        recipient
        for recipient in recipients
        if any(_targets(law, row, words, grants, person, Part(recipient), now) for row in requests)
    )


def _targets(
    law: Law, row: RequestRow, words: Words, grants: Sequence[GrantRow], person: str, part: Part, now: datetime
) -> list[Cell]:
    """Cells that are in force or that the person has said yes to, and that this person may take back."""
    spoken, live = words[row.rules.id], [grant for grant in grants if grant.request == row.rules.id and not grant.ended]
    found = []
    for cell in row.rules.cells:
        if part.recipient not in (None, f"service:{cell.service}") or part.category not in (None, cell.category):
            continue
        word = spoken.get((person, cell))
        mine = word is not None and word.said == "yes"
        granted = [grant for grant in live if granting.covers(grant, cell)]
        decides = person in needed(law, row.rules, cell, law.day_of(now))
        theirs = person == row.rules.subject or (mine and decides)
        if theirs and (mine or granted):
            found.append(cell)
    return sorted(found)


async def _say_no(
    conn: AsyncConnection, law: Law, voice: Voice, targets: Mapping[str, Sequence[Cell]], now: datetime
) -> None:
    await storage.add_answers(
        conn,
        [
            {
                "request": request, "person": voice.person, **cell._asdict(), "said": "no", "way": "withdrawal",
                "assurance": voice.assurance, "text_version": None, "language": None, "law_version": law.version,
                "at": now, "given": voice.came.get("given"),
            }
            for request, cells in targets.items()
            for cell in cells
        ],
    )  # fmt: skip


async def withdrawal(conn: AsyncConnection, actor: Actor, subject: str, id_: str) -> Withdrawal:
    """The state of one's own withdrawal; Unseen for anybody else's and for none."""
    found = await storage.changes_by_id(conn, [id_])
    if not found or found[0].kind != "withdrawn" or found[0].subject != subject:
        raise Unseen
    if actor.kind != "person" or actor.id is None or found[0].body["by"] != actor.id:
        raise Unseen
    return shown(found[0])


def shown(found: ChangeRow) -> Withdrawal:
    """The act in a change of kind `withdrawn`."""
    body = found.body
    part = Part(body["recipient"], body["category"], **body["narrowed"])
    return Withdrawal(found.id, "confirmed" if found.confirmed else "pending", part)


async def told(conn: AsyncConnection, found: Withdrawal, actor: Actor, wishes: Sequence[str]) -> dict[str, Any]:
    """The act as it is told: its state, and in plain words what ends and what earlier readers keep."""
    words, names = await words_for(conn, actor, wishes), await storage.directory_names(conn)
    part = found.part
    service = None
    if part.recipient is not None and part.recipient.startswith("person:"):
        what = [words.category(part.category, names.categories.get(part.category, {}))] if part.category else []
        text = words.ended_for_person(what, confirmed=found.status == "confirmed")
        return {"id": found.id, "status": found.status, "text": text, "language": words.language}
    if part.recipient is not None:
        service = named(names.services, part.recipient.removeprefix("service:"), words)
    chosen = [] if part.category is None else [part.category]
    categories = [words.category(id_, names.categories.get(id_, {})) for id_ in chosen]
    narrowed: dict[str, Any] = {} if part.staff is None else {"staff": part.staff}
    if part.back is not None:
        narrowed["back_to"] = datetime.fromtimestamp(part.back, UTC)
    if part.until is not None:
        narrowed["until"] = datetime.fromtimestamp(part.until - 1, UTC)  # the last moment of the last day
    text = words.ended(service, categories, narrowed, confirmed=found.status == "confirmed")
    return {"id": found.id, "status": found.status, "text": text, "language": words.language}
