"""The whole published state of a subject, as the database has it now."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.model.births import Unborn
from consent.model.errors import Unseen
from consent.model.law import ASKED_LIKE_OTHERS, Category, Law
from consent.model.own_say import keepings, kept
from consent.model.registers import GRADES, PLAIN, Standings
from consent.model.requests import asked_for
from consent.model.state import Known, Live, OpenRequest, by_law, inside, whole
from consent.storage import GrantRow, RequestRow, SubjectRow

_MARK_BYTES = 12
TURN = 10
"""So many subjects are worked on before others get their turn: heartbeats must not wait for hundreds."""


async def state_of(conn: AsyncConnection, law: Law, subject: str, now: datetime) -> dict[str, Any]:
    """Version, grants (by consent and by law) and open requests: the value of the record on `consent.state.v1`.

    Reads only. Whoever publishes it needs no lock: a version that is read late is followed by a newer one.
    Unseen when there is no such subject.
    """
    found = await states_of(conn, law, [subject], now)
    if not found:
        raise Unseen
    return found[0]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is asked about some subjects, and what is granted, each by subject."""

    requests: Mapping[str, Sequence[RequestRow]]
    grants: Mapping[str, Sequence[GrantRow]]


async def standing_of(conn: AsyncConnection, law: Law, subjects: Sequence[str], now: datetime) -> Standing:
    """Read both for these subjects."""
    requests = await storage.requests_about(conn, subjects, law.ends)
    return Standing(requests, await storage.grants_about(conn, subjects, int(now.timestamp())))


async def states_of(
    conn: AsyncConnection, law: Law, subjects: Sequence[str], now: datetime, stands: Standing | None = None
) -> list[dict[str, Any]]:
    """As state_of, for each of these subjects that there is. stands: of these and maybe others, where it was read."""
    on, epoch = law.day_of(now), int(now.timestamp())
    if stands is None:
        stands = await standing_of(conn, law, subjects, now)
    rows = await storage.subject_rows(conn, subjects)
    known = await _known(conn, rows)
    categories = tuple((await content_categories(conn)).values())
    grants, requests = stands.grants, stands.requests
    guarded = any(one.standings.get(id_, PLAIN).protected for id_, one in known.items())
    sectors = {id_: one.kind for id_, one in (await storage.services(conn)).items()} if guarded else {}
    keeping = await storage.keeping_words(conn, subjects)
    found = []
    for number, (subject, row) in enumerate(rows.items()):
        if number % TURN == 0:
            await asyncio.sleep(0)
        live = [
            Live(grant.id, grant.kind, grant.begins, grant.terms)
            for grant in grants.get(subject, ())
            if not grant.ended
        ]
        over = known[subject].expected_no_more
        open_requests = [
            OpenRequest(one.rules.id, one.asker, () if over else tuple(sorted(asked_for(law, one.rules, on))))
            for one in requests.get(subject, ())
            if one.rules.until > epoch and not known[subject].ended
        ]
        have = {one.asker for one in open_requests} | {grant.terms.recipient.partition(":")[2] for grant in live}
        told = inside(law, known[subject], {id_: sectors.get(id_) for id_ in have}, on) if guarded else None
        seen = by_law(law, known[subject], categories, now)
        hidden = kept(keepings(keeping.get(subject, ())))
        found.append(whole(subject, row.version, live, seen, open_requests, hidden, told))
    return found


def mark(found: Mapping[str, Any]) -> bytes:
    """What tells a published state from any other of the same subject, whatever their versions."""
    told = msgspec.json.encode({**found, "version": 0}, order="deterministic")
    return blake2b(told, digest_size=_MARK_BYTES).digest()


async def known_of(conn: AsyncConnection, subjects: Sequence[str]) -> Mapping[str, Known]:
    """Each of these subjects as the law table is asked about them."""
    return await _known(conn, await storage.subject_rows(conn, subjects))


async def _known(conn: AsyncConnection, rows: Mapping[str, SubjectRow]) -> Mapping[str, Known]:
    guardians, facts = await storage.guardians_of(conn, rows), await storage.facts_of(conn, rows)
    people = {
        id_: {id_, *guardians.get(id_, ())}.union(*(fact.people for fact in facts.get(id_, ()))) for id_ in rows
    }  # fmt: skip
    said = await storage.standings_of(conn, frozenset().union(*people.values()))
    return {
        id_: Known(
            id_, row.born, frozenset(person for person, sees in guardians.get(id_, {}).items() if sees),
            facts.get(id_, ()), _standings(row, people[id_], said) if said else {},
        )
        for id_, row in rows.items()
    }  # fmt: skip


def _standings(row: SubjectRow, people: AbstractSet[str], said: Standings) -> Standings:
    """Of the subject and those who answer. Who is not born is hidden as strictly as whoever expects them."""
    found = {person: said[person] for person in people & said.keys()}
    if isinstance(row.born, Unborn) and found:
        own = found.get(row.id, PLAIN)
        strictest = max((one.protection for one in found.values()), key=GRADES.index)
        found[row.id] = replace(own, protection=strictest)
    return found


async def content_categories(conn: AsyncConnection) -> dict[str, Category]:
    """Every category that consent can be asked for: the directory's, and who takes part."""
    return ASKED_LIKE_OTHERS | await storage.categories(conn)


async def requests_of(conn: AsyncConnection, law: Law, subject: str) -> list[RequestRow]:
    """All requests about a subject; the last day of each is over when the next one begins."""
    return await storage.requests_of(conn, subject, law.ends)
