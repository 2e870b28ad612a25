"""Live and ready: ready is true only when the service makes progress, not when it answers a ping."""

from collections.abc import Callable

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], str | None]
"""None when fine, else a short reason without personal data."""


class Health:
    """What is wrong now, by part. Parts that have not reported yet are wrong."""

    def __init__(self, *expected: str) -> None:
        self._trouble: dict[str, str] = dict.fromkeys(expected, "not started")
        self._checks: dict[str, Check] = {}

    def fine(self, part: str) -> None:
        """The part made progress."""
        self._trouble.pop(part, None)

    def trouble(self, part: str, reason: str) -> None:
        """The part makes no progress, and why."""
        self._trouble[part] = reason

    def watch(self, part: str, check: Check) -> None:
        """Ask `check` each time somebody asks whether the process is ready."""
        self._checks[part] = check

    def reasons(self) -> dict[str, str]:
        """Part and reason of everything that is wrong; empty when ready."""
        found = dict(self._trouble)
        for part, check in self._checks.items():
            reason = check()
            if reason is not None:
                found[part] = reason
        return found


def routes(health: Health) -> APIRouter:
    """GET /live, /ready and /metrics. None of them holds anything about a person."""
    router = APIRouter(include_in_schema=False)

    @router.get("/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/ready")
    async def ready() -> JSONResponse:
        reasons = health.reasons()
        return JSONResponse({"ready": not reasons, "waiting": reasons}, status_code=503 if reasons else 200)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
