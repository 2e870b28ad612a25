"""Starts consent: read the settings, build the app, serve."""

import sys

from chassis.lifespan import serve
from chassis.settings import load
from consent.app import create_app, set_up_logs
from consent.model.law import LawInvalid
from consent.model.text_files import TextsInvalid
from consent.settings import Settings


def main() -> None:
    """Until SIGTERM. Exits with one sentence when settings, texts or law table are not safe to start with."""
    settings = load(Settings)
    set_up_logs(settings)
    try:
        app = create_app(settings)
    except TextsInvalid as error:
        sys.exit(f"cannot start: SAMLOGG_CONSENT_TEXTS: {error}")
    except LawInvalid as error:
        sys.exit(f"cannot start: SAMLOGG_LAW_TABLE, SAMLOGG_LAW_APPROVAL: {error}")
    serve(app, host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
