"""Start: read the settings, build the gateway, serve with a protocol whose last step can be checked."""

import sys

from chassis import lifespan, logs
from chassis.settings import load
from gateway.api.wire import DoorProtocol
from gateway.app import SERVICE, create_app
from gateway.handlers.identity import Unsafe, refuse_unsafe
from gateway.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    settings = load(Settings)
    logs.setup(SERVICE, settings.replica)
    try:
        refuse_unsafe(settings)
        app = create_app(settings)
    except (Unsafe, OSError, ValueError) as error:
        sys.exit(f"cannot start: {error}")
    lifespan.serve(app, host=settings.host, port=settings.port, http=DoorProtocol)


if __name__ == "__main__":
    main()
