"""Where gateways ask for leases, and where an operator asks who leads. Not part of the API: no agency can reach it."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from chassis.permit import Signed
from chassis.problems import Problem
from consent.handlers.leader import Leader


class _Heartbeat(msgspec.Struct, forbid_unknown_fields=True):
    incarnation: str
    positions: dict[str, tuple[int, int]]


def leases(leader: Leader, signed: Any) -> APIRouter:
    """POST /inner/heartbeat for gateways and GET /inner/leader for operators. `signed` is the chassis dependency."""
    router = APIRouter(include_in_schema=False)

    @router.post("/inner/heartbeat")
    async def heartbeat(request: Request, by: Annotated[Signed, Depends(signed)]) -> JSONResponse:
        if by.actor.kind != "gateway":
            raise Problem(403, "not-allowed", "Only gateways ask for leases.")
        try:
            asked = msgspec.json.decode(await request.body(), type=_Heartbeat)
        except msgspec.MsgspecError as error:
            raise Problem(422, "invalid", "This is not a heartbeat.") from error
        seconds = await leader.heartbeat(asked.incarnation, asked.positions)
        if seconds is None:
            return JSONResponse({"leader": await leader.address()}, status_code=421)
        return JSONResponse({"lease": seconds})

    @router.get("/inner/leader")
    async def summary() -> dict[str, Any]:
        return leader.summary()

    return router
