"""A gateway as a process of its own, for tests that stop parts of it: everything is real but who logs in."""

from typing import Any

from chassis import lifespan, logs
from chassis.settings import load
from gateway.api.wire import DoorProtocol
from gateway.app import SERVICE, create_app
from gateway.settings import Settings
from tests.gateway.door_parts import Known, identify


def main() -> None:
    """Serve until told to stop."""
    settings = load(Settings)
    logs.setup(SERVICE, settings.replica)
    app = create_app(settings)

    async def known(scope: Any) -> Known:
        return await identify(scope)

    app.door._identify = known
    lifespan.serve(app, host=settings.host, port=settings.port, http=DoorProtocol)


if __name__ == "__main__":
    main()
