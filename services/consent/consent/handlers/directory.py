"""What consent knows of the directory: categories, services, who works here, and the business clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage

CLOCK = "clock"
KINDS = frozenset({"category", "service", "staff", CLOCK})


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the state topic. body None: it could not be read, which closes its key."""

    kind: str
    id: str
    version: int
    body: Mapping[str, Any] | None


async def ahead(conn: AsyncConnection) -> timedelta:
    """How far the business clock is ahead, as the directory last said; a record that cannot be read moves nothing."""
    _, body, _ = await storage.held_entry(conn, CLOCK, "business")
    return timedelta(seconds=int(body.get("ahead", 0)))


async def keep(conn: AsyncConnection, entries: Iterable[Entry]) -> int:
    """Keep these states, in the order of the topic; returns how many keys are news.

    A record older than the one held changes nothing. An unreadable one closes its key until a readable one comes whose
    version is not below the one held (design.md rule 2). When the categories change, what the law yields changes for
    every subject: the leader goes through them all (handlers/applying.py).
    """
    held: dict[tuple[str, str], tuple[int, Mapping[str, Any], bool]] = {}
    for entry in entries:
        key = (entry.kind, entry.id)
        if key not in held:
            held[key] = await storage.held_entry(conn, *key)
        version, body, _ = held[key]
        if entry.body is None:
            held[key] = (version, body, True)
        elif entry.version >= version:
            held[key] = (entry.version, entry.body, False)
    rows = [
        {"kind": kind, "id": id_, "version": version, "body": dict(body), "closed": closed}
        for (kind, id_), (version, body, closed) in held.items()
    ]
    before = await storage.categories(conn)
    changed = await storage.keep_entries(conn, rows)
    if any(kind == "category" for kind, _ in changed) and await storage.categories(conn) != before:
        await storage.call_for_law(conn)
    return len(changed)
