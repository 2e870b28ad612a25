"""Starts the logbook: read the settings, build the app, serve."""

from chassis.lifespan import serve
from chassis.settings import load
from logbook.app import create_app, set_up_logs
from logbook.settings import Settings


def main() -> None:
    """Until SIGTERM."""
    settings = load(Settings)
    set_up_logs(settings)
    serve(create_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
