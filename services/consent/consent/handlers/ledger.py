"""The access ledger: records appended, once each, and a person's records erased."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.causes import PartFailure
from chassis.clock import rfc3339
from chassis.permit import Actor
from consent import storage
from consent.model import tree
from consent.model.ledger import SALT_BYTES, Pseudonyms, canonical, entry
from consent.model.looks import searched
from consent.storage import LedgerRow

SHORTER = "the tree is shorter than a checkpoint"


class LedgerStopped(PartFailure):
    """Nothing is appended or signed: what is stored contradicts what was signed. Its text names the contradiction."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record on its way into the ledger.

    chain: the subject it concerns, or its caller where no subject was found. about: the look that a `held-back` record
    takes back. content: the whole record, kept as it is but for people's ids, which become pseudonyms.
    """

    id: str
    kind: str
    chain: str
    subject: str | None
    content: Mapping[str, Any]
    actor_kind: str | None = None
    actor: str | None = None
    categories: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    about: str | None = None


async def append(conn: AsyncConnection, names: Pseudonyms, records: Sequence[Record]) -> int:
    """Append those records that are not there yet, in their order; returns how many.

    Those that waited for the ledger go first. Each gets the next place in the tree and its chain's next number. The
    tree is locked before ids are looked up: of two that bring the same record, the second finds it. LedgerStopped when
    the tree contradicts what was signed.
    """
    if not records:
        return 0
    bodies = [canonical(names.within(record.content)) for record in records]  # before the lock: it is everybody's
    found = await storage.lock_tree(conn)
    if found.stopped is not None:
        raise LedgerStopped(found.stopped)
    if found.size < (found.signed or 0):
        raise LedgerStopped(SHORTER)
    waited = [_thawed(record) for record in await storage.take_waiting(conn)]
    bodies = [*(canonical(names.within(record.content)) for record in waited), *bodies]
    records = [*waited, *records]
    chains = {id_: names.of(id_) for id_ in {record.chain for record in records}}
    seen = await storage.taken(conn, [record.id for record in records])
    heads = await storage.chain_heads(conn, chains.values())
    salts = os.urandom(SALT_BYTES * len(records))
    rows: list[LedgerRow] = []
    for number, (record, body) in enumerate(zip(records, bodies, strict=True)):
        if record.id in seen:
            continue
        seen.add(record.id)
        chain = chains[record.chain]
        last, previous = heads.get(chain, (0, None))
        made = entry(chain, body, last + 1, previous, salts[number * SALT_BYTES : (number + 1) * SALT_BYTES])
        heads[chain] = made.sequence, made.leaf
        rows.append(
            LedgerRow(
                found.size + len(rows), record.id, record.kind, chain, made.sequence, record.subject,
                record.actor_kind, record.actor, ",".join(record.categories), ",".join(record.grants), record.about,
                made.salt, made.canonical, made.leaf, *searched(record.kind, record.content),
            )
        )  # fmt: skip
    if rows:
        await storage.append(conn, rows, tree.grow(found.size, found.edge, [row.leaf for row in rows]))
    return len(rows)


async def append_act(conn: AsyncConnection, names: Pseudonyms, act: Record, now: datetime) -> None:
    """Append what somebody did in their own matter, or have it wait, in this transaction, while the ledger is stopped:
    nobody is kept from withdrawing because what is stored contradicts what was signed.
    """
    try:
        await append(conn, names, [act])
    except LedgerStopped:
        await storage.keep_waiting(conn, [asdict(act)], now)


def _thawed(kept: Mapping[str, Any]) -> Record:
    return Record(**{**kept, "categories": tuple(kept["categories"]), "grants": tuple(kept["grants"])})


async def erase(conn: AsyncConnection, names: Pseudonyms, subject: str) -> int:
    """Destroy what the ledger says about somebody: content, salts and ids; returns how many records.

    What writes made goes with it. The leaves stay, and with them the tree and everybody's proofs. Record ids stay as
    well: without them a record that comes again would be taken for a new one.
    """
    await storage.forget_made(conn, subject)
    await storage.forget_waiting(conn, subject)
    return await storage.erase_chain(conn, names.of(subject))


def own_act(
    id_: str, at: str, subject: str, actor: Actor, route: str, *,
    categories: Iterable[str] = (), grants: Iterable[str] = (), reason: str | None = None, action: str = "none",
    basis: str = "self", on_behalf_of: str | None = None, manner: str | None = None,
) -> Record:  # fmt: skip
    """The record of an act that consent itself decided without the gateway; `reason` when it was refused.

    on_behalf_of, manner: whose word it was and how it came, where the actor only registered it.
    """
    touched, under = tuple(sorted(categories)), tuple(sorted(grants))
    content = {
        "id": id_, "at": at, "subject": subject,
        "actor": {
            "kind": actor.kind, "id": actor.id, "services": list(actor.services), "role": actor.role,
            "agency": actor.agency,
        },
        "route": route, "action": action, "categories": list(touched), "grants": list(under), "basis": basis,
        "purpose": None, "outcome": "answered" if reason is None else "refused", "reason": reason,
    }  # fmt: skip
    if on_behalf_of is not None:
        content |= {"on_behalf_of": on_behalf_of, "manner": manner}
    return Record(id_, "look", subject, subject, content, actor.kind, actor.id, touched, under)


async def refuse(
    conn: AsyncConnection, names: Pseudonyms, actor: Actor, subject: str, id_: str, route: str, now: datetime
) -> None:
    """Put on the subject's record that this actor was turned down; nothing where there is no such subject."""
    if await storage.subject_row(conn, subject) is not None:
        refused = own_act(id_, rfc3339(now), subject, actor, route, reason="not-found")
        await append_act(conn, names, refused, now)
