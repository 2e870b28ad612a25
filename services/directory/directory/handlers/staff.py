"""Who acts for services: invitations, redeeming them, leaving, and the right to administer."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from directory import model, storage
from directory.storage import Change

_FIRST_ADMIN_LOCK = 7_264_103
_CODE_BYTES = 24
_PART = "directory"


def hashed(code: str, secret: bytes) -> str:
    """What is kept of an invitation code."""
    return hmac.new(secret, b"invitation\0" + code.encode(), hashlib.sha256).hexdigest()


async def invite(conn: AsyncConnection, staff: str, secret: bytes, expires: datetime, code: str | None = None) -> str:
    """A new one-time code for this member; earlier ones that were not used are void. It is told once and never kept."""
    fresh = code or secrets.token_urlsafe(_CODE_BYTES)
    table = storage.invitation
    await conn.execute(delete(table).where(table.c.staff == staff, table.c.redeemed.is_(None)))
    await conn.execute(insert(table).values(code=hashed(fresh, secret), staff=staff, expires=expires))
    return fresh


async def invite_again(conn: AsyncConnection, staff: str, secret: bytes, expires: datetime) -> str:
    """Another code for somebody who has not joined yet. model.Unknown, or model.Refused when they have."""
    row = await storage.find(conn, "staff", staff, lock=True)
    if row is None or not row["active"]:
        raise model.Unknown
    if row["identity"] is not None:
        raise model.Refused(model.Finding("staff", "has-joined"))
    return await invite(conn, staff, secret, expires)


async def ensure_first_admin(conn: AsyncConnection, code: str, secret: bytes, expires: datetime, now: datetime) -> bool:
    """Until somebody administers, one admin record stands open for this code; True while it does.

    Replicas that start together make one. Once an administrator has joined, the code is worth nothing.
    """
    await conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _FIRST_ADMIN_LOCK})
    staff = await storage.listed(conn, "staff", active=None)
    if any(row["identity"] is not None and row["body"]["role"] == "admin" for row in staff):
        return False
    first = next((row["id"] for row in staff if row["district"] is None and row["active"]), None)
    if first is None:
        first = str(uuid4())
        body = {"name": "", "title": "", "role": "admin", "services": []}
        await storage.save(conn, "staff", first, Change(_PART, now), body=body, active=True)
    await invite(conn, first, secret, expires, code)
    return True


async def redeem(conn: AsyncConnection, code_hash: str, actor: Actor, now: datetime) -> str:
    """Bind the caller's login to the invited member, once; the staff id. model.InvitationRefused otherwise.

    Two who redeem the same code at once wait for each other at the invitation's row: one of them wins.
    """
    if actor.login is not None:
        await conn.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:login, 0))"), {"login": actor.login})
    table = storage.invitation
    found = (await conn.execute(select(table).where(table.c.code == code_hash).with_for_update())).mappings().first()
    invitation, row = None, None
    if found is not None:
        invitation = model.Invitation(found["staff"], found["expires"], found["redeemed"])
        row = await storage.find(conn, "staff", found["staff"], lock=True)
    by = model.Redeemer(actor.kind, actor.assurance, actor.login, await _bound(conn, actor))
    open_ = row is not None and row["active"] and row["identity"] is None
    identity = model.redeemed(invitation, open_=open_, by=by, now=now)
    if invitation is None:
        raise model.InvitationRefused("not-valid")
    await conn.execute(update(table).where(table.c.code == code_hash).values(redeemed=now))
    await storage.save(conn, "staff", invitation.staff, Change(invitation.staff, now), identity=identity)
    return invitation.staff


async def _bound(conn: AsyncConnection, actor: Actor) -> str | None:
    if actor.id is not None:
        return actor.id
    table = storage.entity
    bound = select(table.c.id).where(table.c.identity == actor.login, table.c.active)
    found: str | None = await conn.scalar(bound)
    return found


async def deactivate(conn: AsyncConnection, staff: str, change: Change) -> None:
    """End a member's right to act, for good; again changes nothing. model.Unknown when there is no such member."""
    if await storage.find(conn, "staff", staff, lock=True) is None:
        raise model.Unknown
    await storage.save(conn, "staff", staff, change, active=False)


@dataclass(frozen=True, slots=True)
class Admin:
    """An administrator by the directory's own record. district: the only one to administer, or None for all."""

    id: str
    district: str | None


async def administrator(conn: AsyncConnection, actor: Actor) -> Admin:
    """The caller's own record, which is fresher than any gateway's view of it. model.NotAllowed otherwise."""
    if actor.kind != "staff" or actor.id is None or actor.role != "admin" or actor.assurance != "high":
        raise model.NotAllowed
    row = await storage.find(conn, "staff", actor.id)
    if row is None or not row["active"] or row["identity"] is None or row["body"]["role"] != "admin":
        raise model.NotAllowed
    return Admin(row["id"], row["district"])
