"""Agencies' own services on the bus: attaching, the sealed credential that comes back, and detaching."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from directory import model, storage
from directory.handlers.staff import Admin
from directory.storage import Change

_OPAQUE_BYTES = 8


async def attach(
    conn: AsyncConnection, agency: str, services: tuple[str, ...], public_key: Mapping[str, str],
    ports: tuple[str, ...], change: Change, admin: Admin,
) -> str:  # fmt: skip
    """Attach some of an agency's services; the attachment's id. The provisioner makes its user when it sees it.

    model.Unknown when there is no such agency, model.Refused when a service is not its own or the key does not fit.
    """
    await storage.one_at_a_time(conn)
    found = await storage.find(conn, "agency", agency, lock=True)
    if found is None or not found["active"] or admin.district not in (None, found["district"]):
        raise model.Unknown
    rows = await storage.listed(conn, "service", ids=services)
    key = model.fitting_key(public_key)
    asked = model.Attachment(agency, services, secrets.token_hex(_OPAQUE_BYTES), key, ports)
    attachment = model.opened(asked, {row["id"]: row["body"]["agency"] for row in rows})
    id_ = str(uuid4())
    await storage.save(
        conn, "attachment", id_, change, body=model.plain(attachment), active=True, district=found["district"]
    )
    return id_


async def detach(conn: AsyncConnection, id_: str, change: Change, admin: Admin) -> None:
    """End an attachment and drop its credential; doing it again changes nothing."""
    await of_admin(conn, id_, admin)
    await storage.save(conn, "attachment", id_, change, active=False)
    await conn.execute(delete(storage.credential).where(storage.credential.c.attachment == id_))


async def of_admin(conn: AsyncConnection, id_: str, admin: Admin) -> RowMapping:
    """An attachment that this administrator may see and end. model.Unknown otherwise."""
    row = await storage.find(conn, "attachment", id_)
    if row is None or admin.district not in (None, row["district"]):
        raise model.Unknown
    return row


async def provisioned(conn: AsyncConnection, id_: str, user: str, sealed: str, now: datetime) -> bool:
    """Keep the sealed credential; the newest counts. False when the attachment is unknown or has ended meanwhile."""
    row = await storage.find(conn, "attachment", id_, lock=True)
    if row is None or not row["active"]:
        return False
    values = {"user": user, "sealed": sealed, "at": now}
    await conn.execute(
        insert(storage.credential).values(attachment=id_, **values)
        .on_conflict_do_update(index_elements=["attachment"], set_=values)
    )  # fmt: skip
    return True


async def has_credential(conn: AsyncConnection, id_: str) -> bool:
    """Has the provisioner answered?"""
    table = storage.credential
    return await conn.scalar(select(table.c.attachment).where(table.c.attachment == id_)) is not None


async def credential_of(conn: AsyncConnection, id_: str, actor: Actor) -> Mapping[str, Any] | None:
    """The agency's own credential, or None while the provisioner has not made it. model.Unknown for everybody else."""
    row = await storage.find(conn, "attachment", id_)
    if row is None or not row["active"] or actor.kind != "machine" or actor.agency != row["body"]["agency"]:
        raise model.Unknown
    agency = await storage.find(conn, "agency", row["body"]["agency"])
    if agency is None or not agency["active"]:
        raise model.Unknown
    table = storage.credential
    found = (await conn.execute(select(table).where(table.c.attachment == id_))).mappings().first()
    if found is None:
        return None
    return {"user": found["user"], "sealed": found["sealed"], "opaque": row["body"]["opaque"]}
