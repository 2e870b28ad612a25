"""For operators, on a port of its own: live, ready and metrics. Nothing here says anything about a person."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from chassis import problems
from chassis.health import Health, routes


class _Server(uvicorn.Server):
    """A second server in the same loop: the first one alone listens to signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the door's server."""
        yield


def make_operations(health: Health) -> FastAPI:
    """The app on the operations port. `ready` is true only while the lease is held and looks can be recorded."""
    app = FastAPI(title="Samlogg gateway, operations", openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(routes(health))
    return app


async def serve_operations(app: FastAPI, host: str, port: int) -> None:
    """Serve until cancelled."""
    config = uvicorn.Config(
        app, host=host, port=port, lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(config)
    try:
        await server.serve()
    except asyncio.CancelledError:
        server.should_exit = True
        await server.shutdown()
        raise
