"""Start: read the settings, build the service, serve."""

from chassis import lifespan, logs
from chassis.settings import load
from notify.app import SERVICE, create_app
from notify.settings import Settings


def main() -> None:
    """Serve until told to stop."""
    settings = load(Settings)
    logs.setup(SERVICE, settings.replica)
    lifespan.serve(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
