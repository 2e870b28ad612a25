"""Queries of what is known from the directory: categories and services."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.model.law import Category
from consent.storage.tables import directory_entry


@dataclass(frozen=True, slots=True)
class Service:
    """A service that may ask and be given consent. kind: what sort of service it is; names: by language."""

    id: str
    agency: str | None
    names: Mapping[str, str]
    kind: str | None = None

    def name(self, language: str) -> str:
        """Its name in a language, in bokmål where there is none, else its id."""
        return self.names.get(language) or self.names.get("nb") or self.id


async def keep_entries(conn: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Keep newer states; an older version than the one held changes nothing. Returns kind and id of what was changed.

    A closed row (unreadable record) keeps the version held: only a readable one not below it opens the key again.
    """
    changed = []
    for row in sorted(rows, key=lambda row: (row["kind"], row["id"])):
        statement = upsert(directory_entry).values(**row)
        held, new = directory_entry.c, statement.excluded
        is_news = (new.version > held.version) | ((new.version == held.version) & (held.closed != new.closed))
        done = await conn.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "id"],
                set_={"version": new.version, "body": new.body, "closed": new.closed},
                where=is_news,
            ).returning(directory_entry.c.id)
        )
        if done.first() is not None:
            changed.append((row["kind"], row["id"]))
    return changed


async def held_entry(conn: AsyncConnection, kind: str, id_: str) -> tuple[int, Mapping[str, Any], bool]:
    """Version, body and whether it is closed of the entry held; version 0 when it is not known."""
    query = select(directory_entry).where(directory_entry.c.kind == kind, directory_entry.c.id == id_)
    row = (await conn.execute(query)).first()
    return (0, {}, False) if row is None else (row.version, row.body, row.closed)


async def categories(conn: AsyncConnection) -> dict[str, Category]:
    """Every category of content that is known and not closed. Anything but a clear `special: false` is special."""
    query = select(directory_entry).where(directory_entry.c.kind == "category", ~directory_entry.c.closed)
    return {row.id: Category(row.id, row.body.get("special") is not False) for row in await conn.execute(query)}


async def services(conn: AsyncConnection) -> dict[str, Service]:
    """Every active service."""
    query = select(directory_entry).where(directory_entry.c.kind == "service", ~directory_entry.c.closed)
    return {
        row.id: Service(row.id, row.body.get("agency"), _names(row.body.get("name")), row.body.get("service_kind"))
        for row in await conn.execute(query)
        if row.body.get("active") is True
    }


async def service_kinds(conn: AsyncConnection) -> dict[str, str | None]:
    """What kind of service each is, those that no longer take part too."""
    kind = directory_entry.c.body["service_kind"].astext
    query = select(directory_entry.c.id, kind).where(directory_entry.c.kind == "service")
    return {row.id: row[1] for row in await conn.execute(query)}


def _names(found: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
