"""The route by which a district's whole document is loaded."""

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.http import require_match
from chassis.permit import Signed
from chassis.problems import Problem
from directory import model, storage
from directory.api import shapes
from directory.api.document import DocumentIn
from directory.api.fields import Slug
from directory.api.parts import ADMIN, HeaderText, Parts, shown, status
from directory.handlers import confirming, districts, reading, staff
from directory.storage import Change


def make_routes(parts: Parts) -> APIRouter:
    """PUT of the document; it may wait for the confirmation, and says whether it came."""
    router = APIRouter()
    inviting = districts.Inviting(parts.secret, parts.invitation_valid)

    @router.put("/districts/{district}", name="load-district", openapi_extra=ADMIN, response_model=shapes.LoadedOut)
    async def load(
        district: Slug, body: DocumentIn, signed: Annotated[Signed, Depends(parts.signed)],
        if_match: HeaderText = None,
    ) -> JSONResponse:  # fmt: skip
        """Make the directory say what the whole document says. The same document again changes nothing."""
        now = parts.now()
        async with parts.engine.begin() as conn:
            admin = await staff.administrator(conn, signed.actor)
            if admin.district not in (None, district):
                raise model.NotAllowed
            if if_match is not None:
                await _unchanged(conn, district, if_match)
            loaded = await districts.load(
                conn, body.document(district), Change(admin.id, now), inviting, synthetic=parts.synthetic
            )
        invitations = [{"staff": member, "code": code} for member, code in loaded.invitations.items()]
        done = await confirming.wait_confirmed(parts.engine, "district", district, parts.wait)
        told = {"changed": loaded.changed, "invitations": invitations, "ended": list(loaded.ended)}
        return JSONResponse(shown(shapes.LoadedOut, {**told, "status": status(confirmed=done)}))

    return router


async def _unchanged(conn: AsyncConnection, district: str, if_match: str) -> None:
    """An editor who names the state that was read is told when it is no longer so. Nobody else writes meanwhile."""
    await storage.one_at_a_time(conn)
    try:
        today = shown(shapes.DistrictOut, await reading.district(conn, district))
    except model.Unknown as error:
        raise Problem(412, "stale", "There is no such district yet.") from error
    require_match(if_match, today)
