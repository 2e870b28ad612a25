"""Routes about the business clock: what time it is to all services, and, in synthetic installations, moving it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from chassis.clock import rfc3339
from chassis.http import answer
from chassis.permit import Signed
from directory import model
from directory.api.parts import ADMIN, Parts, shown, status
from directory.api.shapes import ClockIn, ClockOut
from directory.handlers import confirming, moving, staff
from directory.storage import Change

_PENDING: dict[int | str, dict[str, Any]] = {202: {"model": ClockOut}}


def make_routes(parts: Parts) -> APIRouter:
    """What an administrator of the whole installation may do."""
    router = APIRouter()
    signed_by = Depends(parts.signed)

    async def told(code: int = 200) -> JSONResponse:
        async with parts.engine.connect() as conn:
            held = await moving.ahead(conn)
            done = not held or await confirming.confirmed(conn, moving.KIND, moving.ID)
        value = {
            "now": rfc3339(parts.now()), "ahead_seconds": int(held.total_seconds()), "status": status(confirmed=done)
        }  # fmt: skip
        return answer(shown(ClockOut, value), code)

    @router.get("/clock", name="clock", openapi_extra=ADMIN, response_model=ClockOut)
    async def read(signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """What time it is."""
        async with parts.engine.connect() as conn:
            await staff.administrator(conn, signed.actor)
        return await told()

    @router.put("/clock", name="move-clock", openapi_extra=ADMIN, response_model=ClockOut, responses=_PENDING)
    async def move(body: ClockIn, signed: Annotated[Signed, signed_by]) -> JSONResponse:
        """Let it be another time, forward only. 200 when every gateway able to answer goes by it, else 202."""
        async with parts.engine.begin() as conn:
            admin = await staff.administrator(conn, signed.actor)
            if admin.district is not None:
                raise model.NotAllowed
            await moving.move(conn, parts.clock, body.to, Change(admin.id, parts.now()))
        await moving.catch_up(parts.engine, parts.clock)
        done = await confirming.wait_confirmed(parts.engine, moving.KIND, moving.ID, parts.wait)
        return await told(200 if done else 202)

    return router
