"""A gateway that decides as ours does and records nothing, to measure what recording costs. Only under tests."""

from chassis import lifespan, logs
from chassis.settings import load
from gateway.api.wire import DoorProtocol
from gateway.app import SERVICE, create_app
from gateway.settings import Settings
from tests.bench.bare import nowhere


def main() -> None:
    """Serve as `python -m gateway` does."""
    settings = load(Settings)
    logs.setup(SERVICE, settings.replica)
    app = create_app(settings, record=nowhere)
    lifespan.serve(app, host=settings.host, port=settings.port, http=DoorProtocol)


if __name__ == "__main__":
    main()
