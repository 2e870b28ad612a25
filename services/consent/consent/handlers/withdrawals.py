"""Withdrawing: decided from the own database alone, and called pending until it is confirmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.handlers import granting, ledger
from consent.handlers.state import requests_of
from consent.model.errors import Unseen
from consent.model.law import Law
from consent.model.requests import Cell, needed
from consent.storage import ChangeRow, GrantRow, RequestRow, Words

Status = Literal["confirmed", "pending"]
ROUTE = "consent.withdraw"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The caller's own act, and nothing else."""

    id: str
    status: Status
    categories: tuple[str, ...]


async def withdraw(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str, recipient: str, category: str | None, *,
    record: str | None, now: datetime,
) -> Withdrawal | None:  # fmt: skip
    """Take back what was agreed to for a recipient, or one category of it; None when none of it is the actor's.

    The subject may withdraw all of it, a guardian what their yes was needed for. Repeated, it gives the earlier act
    with its state of today. The record goes straight into the ledger, in this transaction: also that of a refusal.
    record: id of the access record if the gateway gave one.
    """
    id_ = record or str(uuid4())
    found = await _withdraw(conn, law, actor, subject, recipient, category, now)
    if found is None:
        chain = subject if await storage.subject_row(conn, subject) else None
        if chain is not None:
            refused = ledger.own_act(id_, rfc3339(now), subject, actor, ROUTE, reason="not-found")
            await ledger.append(conn, [refused])
        return None
    act = ledger.own_act(
        id_, rfc3339(now), subject, actor, ROUTE, categories=found.body["categories"], grants=found.body["ended"]
    )
    await ledger.append(conn, [act])
    return _shown(found)


async def _withdraw(
    conn: AsyncConnection, law: Law, actor: Actor, subject: str, recipient: str, category: str | None, now: datetime
) -> ChangeRow | None:
    if actor.kind != "person" or actor.id is None or await storage.lock_subject(conn, subject) is None:
        return None
    requests = [row for row in await requests_of(conn, law, subject) if row.rules.until > now.timestamp()]
    words: Words = await storage.words_about(conn, [row.rules.id for row in requests])
    grants = await storage.grants_of(conn, subject, int(now.timestamp()))
    targets = {
        row.rules.id: cells
        for row in requests
        if (cells := _targets(law, row, words, grants, actor.id, recipient, category, now))
    }
    if not targets:
        return await storage.last_withdrawal(conn, subject, actor.id, recipient, category)
    await _say_no(conn, law, actor, targets, now)
    spoken = await storage.words_about(conn, targets)
    plans = [granting.plan(law, row, spoken[row.rules.id], grants, now) for row in requests if row.rules.id in targets]
    body = {
        "by": actor.id, "recipient": recipient, "category": category,
        "categories": sorted({cell.category for cells in targets.values() for cell in cells}),
    }  # fmt: skip
    change = await granting.carry_out(conn, subject, plans, "withdrawn", body, now)
    [made] = await storage.changes_by_id(conn, [change])
    return made


def _targets(
    law: Law, row: RequestRow, words: Words, grants: Sequence[GrantRow], person: str, recipient: str,
    category: str | None, now: datetime,
) -> list[Cell]:  # fmt: skip
    """Cells that are in force or that the person has said yes to, and that this person may take back."""
    spoken, live = words[row.rules.id], [grant for grant in grants if grant.request == row.rules.id and not grant.ended]
    found = []
    for cell in row.rules.cells:
        if recipient != f"service:{cell.service}" or category not in (None, cell.category):
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
    conn: AsyncConnection, law: Law, actor: Actor, targets: Mapping[str, Sequence[Cell]], now: datetime
) -> None:
    await storage.add_answers(
        conn,
        [
            {
                "request": request, "person": actor.id, **cell._asdict(), "said": "no", "way": "withdrawal",
                "assurance": actor.assurance, "text_version": None, "language": None, "law_version": law.version,
                "at": now,
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
    return _shown(found[0])


def _shown(found: ChangeRow) -> Withdrawal:
    return Withdrawal(found.id, "confirmed" if found.confirmed else "pending", tuple(found.body["categories"]))
