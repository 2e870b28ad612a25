"""Loading a district's whole document: checked, compared with what is there, and only the difference written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, func, insert, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from directory import model, storage
from directory.handlers.staff import invite
from directory.storage import Change

_LEAVING = ("service", "staff", "agency")
"""What is switched off when the document no longer lists it, in this order: nothing outlives what it hangs on."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """changed: entries written. invitations: code by new member of staff. ended: listed, but left for good."""

    changed: int
    invitations: Mapping[str, str]
    ended: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inviting:
    """How invitations are made. secret keys the hash that is kept of each code."""

    secret: bytes
    valid: timedelta


async def load(
    conn: AsyncConnection, document: model.Document, change: Change, inviting: Inviting, *, synthetic: bool
) -> Loaded:
    """Make the directory say what the document says; loading it again changes nothing. model.Refused with all findings.

    Somebody who was deactivated stays so, whatever the document lists: a new start needs a new staff id.
    """
    await storage.one_at_a_time(conn)
    district = document.district.id
    model.check(document, await _kept(conn, district), synthetic=synthetic)
    wanted = model.entities(document)
    rows = await _rows(conn, district, wanted)
    _own(district, wanted, rows)
    changed = await _switch_off(conn, district, wanted, rows, change)
    invitations, ended = {}, []
    for one in wanted:
        row = rows.get((one.kind, one.id))
        if row is not None and row["district"] != district:
            continue
        if one.kind == "staff" and row is not None and not row["active"]:
            ended.append(one.id)
            continue
        version = await storage.save(conn, one.kind, one.id, change, body=one.body, active=True, district=district)
        changed += version is not None
        if one.kind == "staff" and row is None:
            invitations[one.id] = await invite(conn, one.id, inviting.secret, change.at + inviting.valid)
    changed += await _guide(conn, document, change)
    return Loaded(changed, invitations, tuple(ended))


async def _kept(conn: AsyncConnection, district: str) -> model.Kept:
    agencies = await storage.listed(conn, "agency")
    categories = await storage.listed(conn, "category", district=district)
    services = await storage.listed(conn, "service")
    own = {row["id"]: row["body"]["agency"] for row in services if row["district"] == district}
    attachments = await storage.listed(conn, "attachment")
    return model.Kept(
        orgnrs={row["body"]["orgnr"]: row["id"] for row in agencies if row["district"] != district},
        categories=frozenset(row["id"] for row in categories),
        attached={
            service: row["body"]["agency"]
            for row in attachments
            for service in row["body"]["services"]
            if service in own
        },
        used=frozenset(row["body"]["agency"] for row in services if row["district"] != district)
        & frozenset(row["id"] for row in agencies if row["district"] == district),
        guide=await storage.newest_guide(conn, district) is not None,
    )


async def _rows(conn: AsyncConnection, district: str, wanted: list[model.Entity]) -> dict[tuple[str, str], RowMapping]:
    """What is there of the document's entries and of this district's others."""
    table = storage.entity
    named = [and_(table.c.kind == one.kind, table.c.id == one.id) for one in wanted]
    query = select(table).where((table.c.district == district) | _any(named))
    return {(row["kind"], row["id"]): row for row in (await conn.execute(query)).mappings()}


def _any(conditions: list[Any]) -> Any:
    found = conditions[0]
    for condition in conditions[1:]:
        found = found | condition
    return found


def _own(district: str, wanted: list[model.Entity], rows: Mapping[tuple[str, str], RowMapping]) -> None:
    """What another district keeps may be repeated, but not changed, here."""
    foreign = [
        model.Finding(one.kind, "kept-by-another-district")
        for one in wanted
        if (row := rows.get((one.kind, one.id))) is not None
        and row["district"] != district
        and not (row["active"] and row["body"] == one.body)
    ]
    if foreign:
        raise model.Refused(*foreign)


async def _switch_off(
    conn: AsyncConnection, district: str, wanted: list[model.Entity],
    rows: Mapping[tuple[str, str], RowMapping], change: Change,
) -> int:  # fmt: skip
    listed = {(one.kind, one.id) for one in wanted}
    gone = [
        key
        for key, row in rows.items()
        if key not in listed and row["district"] == district and row["active"] and row["kind"] in _LEAVING
    ]
    for kind, id_ in sorted(gone, key=lambda key: (_LEAVING.index(key[0]), key[1])):
        await storage.save(conn, kind, id_, change, active=False)
    return len(gone)


async def _guide(conn: AsyncConnection, document: model.Document, change: Change) -> int:
    """A guide that differs gets the next version; older ones stay, because logs were opened under them."""
    if document.guide is None:
        return 0
    district = document.district.id
    source = model.plain(document.guide)
    before = await storage.newest_guide(conn, district)
    if before is not None and before["source"] == source:
        return 0
    version = 1 if before is None else int(before["version"]) + 1
    body = model.plain(model.merged(document.guide))
    await conn.execute(
        insert(storage.guide).values(district=district, version=version, since=change.at, source=source, body=body)
    )
    return 1


async def revision(conn: AsyncConnection, district: str) -> int:
    """Grows with every change of the district's entries or guide; editors name it with If-Match."""
    entity, guide = storage.entity, storage.guide
    newest = await conn.scalar(select(func.max(entity.c.seq)).where(entity.c.district == district))
    guides = await conn.scalar(select(func.max(guide.c.version)).where(guide.c.district == district))
    return int(newest or 0) + int(guides or 0)
