"""Routes about attachments: attaching an agency, its sealed credential, and detaching."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import answer
from chassis.permit import Signed
from chassis.problems import Problem
from chassis.routes import route
from directory.api.fields import Slug, StaffId
from directory.api.parts import ADMIN, HeaderText, Parts, shown, status
from directory.api.shapes import AttachmentIn, AttachmentOut, CredentialOut
from directory.handlers import attachments, confirming, staff
from directory.storage import Change

Id = StaffId
"""Attachments, too, have UUID4 text as ids."""


def make_routes(parts: Parts) -> APIRouter:
    """What an administrator and the agency's own machine may do."""
    router = APIRouter()
    signed_by = Depends(parts.signed)

    @router.post(
        "/agencies/{agency}/attachments", name="attach-agency", openapi_extra=ADMIN, status_code=201,
        response_model=AttachmentOut,
    )  # fmt: skip
    async def attach(
        request: Request, agency: Slug, body: AttachmentIn, signed: Annotated[Signed, signed_by],
        idempotency_key: HeaderText = None,
    ) -> JSONResponse:  # fmt: skip
        """Attach an agency's own service; its Kafka user is made by the provisioner and sealed to the key."""
        once = await parts.once(signed, request, idempotency_key)
        async with parts.engine.begin() as conn:
            admin = await staff.administrator(conn, signed.actor)
            earlier = await once.earlier(conn)
            made = None if earlier is None else earlier.resource
            if made is None:
                asked = (tuple(body.services), body.public_key.jwk(), tuple(body.ports))
                made = await attachments.attach(conn, agency, *asked, Change(admin.id, parts.now()), admin)
                await once.remember(conn, 201, made)
            return answer(await _representation(conn, made, admin), 201)

    @router.get("/attachments/{attachment}", name="attachment", openapi_extra=ADMIN, response_model=AttachmentOut)
    async def attachment(attachment: Id, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """An attachment, and whether its last change is confirmed."""
        async with parts.engine.connect() as conn:
            return answer(await _representation(conn, attachment, await staff.administrator(conn, signed.actor)))

    @router.post(
        "/attachments/{attachment}/detachment", name="detach-agency", openapi_extra=ADMIN,
        response_model=AttachmentOut, responses={202: {"model": AttachmentOut}},
    )  # fmt: skip
    async def detach(attachment: Id, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """End an attachment. 200 when no gateway can answer its machine any more, else 202."""
        async with parts.engine.begin() as conn:
            admin = await staff.administrator(conn, signed.actor)
            await attachments.detach(conn, attachment, Change(admin.id, parts.now()), admin)
        done = await confirming.wait_confirmed(parts.engine, "attachment", attachment, parts.wait)
        async with parts.engine.connect() as conn:
            return answer(await _representation(conn, attachment, admin), 200 if done else 202)

    @router.get(
        "/attachments/{attachment}/credential", name="credential", openapi_extra=route(basis="agency"),
        response_model=CredentialOut,
    )  # fmt: skip
    async def credential(attachment: Id, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """The agency's own credential, sealed so that nobody else can open it."""
        async with parts.engine.connect() as conn:
            found = await attachments.credential_of(conn, attachment, signed.actor)
        if found is None:
            raise Problem(404, "not-provisioned", "The credential has not been made yet.", headers={"Retry-After": "1"})
        topics = {port: f"agency.{found['opaque']}.{port}.v1" for port in ("feed", "inbox")}
        told = {"user": found["user"], "sealed": found["sealed"], "bootstrap": parts.bootstrap, **topics}
        return answer(shown(CredentialOut, told))

    return router


async def _representation(conn: AsyncConnection, id_: str, admin: staff.Admin) -> object:
    row = await attachments.of_admin(conn, id_, admin)
    body = {name: row["body"][name] for name in ("agency", "services", "ports", "opaque")}
    told = {
        "id": id_, **body, "active": row["active"], "provisioned": await attachments.has_credential(conn, id_),
        "status": status(confirmed=row["confirmed"] >= row["version"]),
    }  # fmt: skip
    return shown(AttachmentOut, told)
