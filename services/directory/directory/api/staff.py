"""Routes about staff: redeeming an invitation, inviting again, and leaving. Names are never told."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import answer
from chassis.permit import Signed
from chassis.routes import route
from directory import model, storage
from directory.api.fields import StaffId
from directory.api.parts import ADMIN, HeaderText, Parts, shown, status
from directory.api.shapes import InvitationOut, RedeemIn, StaffOut
from directory.handlers import confirming
from directory.handlers import staff as people
from directory.storage import Change

_PENDING: dict[int | str, dict[str, Any]] = {202: {"model": StaffOut}}


def make_routes(parts: Parts) -> APIRouter:
    """What an administrator, and somebody invited, may do."""
    router = APIRouter()
    signed_by = Depends(parts.signed)

    @router.post(
        "/invitations/redeem", name="redeem-invitation", response_model=StaffOut, responses=_PENDING,
        openapi_extra=route(basis="authenticated", lease="none"),
    )  # fmt: skip
    async def redeem(
        request: Request, body: RedeemIn, signed: Annotated[Signed, signed_by], idempotency_key: HeaderText = None
    ) -> JSONResponse:
        """Bind the login to the invited member of staff, once."""
        once = await parts.once(signed, request, idempotency_key)
        async with parts.engine.begin() as conn:
            earlier = await once.earlier(conn)
            if earlier is None:
                member = await people.redeem(conn, people.hashed(body.code, parts.secret), signed.actor, parts.now())
                await once.remember(conn, 200, member)
            else:
                member = earlier.resource
        return await _told(parts, member)

    @router.get("/staff/{staff}", name="staff", openapi_extra=ADMIN, response_model=StaffOut)
    async def member(staff: StaffId, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """A member's right to act, and whether its last change is confirmed."""
        async with parts.engine.connect() as conn:
            await _admin_of(conn, signed, staff)
            return answer(await _representation(conn, staff))

    @router.post("/staff/{staff}/invitation", name="invite-staff", openapi_extra=ADMIN, response_model=InvitationOut)
    async def invite(staff: StaffId, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """Another one-time code for somebody who has not joined; the one before is void."""
        async with parts.engine.begin() as conn:
            await _admin_of(conn, signed, staff)
            code = await people.invite_again(conn, staff, parts.secret, parts.now() + parts.invitation_valid)
        return JSONResponse(shown(InvitationOut, {"staff": staff, "code": code}))

    @router.post(
        "/staff/{staff}/deactivation", name="deactivate-staff", openapi_extra=ADMIN, response_model=StaffOut,
        responses=_PENDING,
    )  # fmt: skip
    async def deactivate(staff: StaffId, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """End a member's right to act, for good. 200 when no gateway can answer them any more, else 202."""
        async with parts.engine.begin() as conn:
            admin = await _admin_of(conn, signed, staff)
            await people.deactivate(conn, staff, Change(admin.id, parts.now()))
        return await _told(parts, staff)

    return router


async def _admin_of(conn: AsyncConnection, signed: Signed, member: str) -> people.Admin:
    """The administrator who asks, if this member is theirs to administer. model.Unknown otherwise."""
    admin = await people.administrator(conn, signed.actor)
    row = await storage.find(conn, "staff", member)
    if row is None or admin.district not in (None, row["district"]):
        raise model.Unknown
    return admin


async def _told(parts: Parts, member: str) -> JSONResponse:
    done = await confirming.wait_confirmed(parts.engine, "staff", member, parts.wait)
    async with parts.engine.connect() as conn:
        return answer(await _representation(conn, member), 200 if done else 202)


async def _representation(conn: AsyncConnection, member: str) -> object:
    row = await storage.find(conn, "staff", member)
    if row is None:
        raise model.Unknown
    told = {
        "staff": member, "role": row["body"]["role"], "services": row["body"]["services"], "active": row["active"],
        "joined": row["identity"] is not None, "status": status(confirmed=row["confirmed"] >= row["version"]),
    }  # fmt: skip
    return shown(StaffOut, told)
