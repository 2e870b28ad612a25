"""The HTTP door of the logbook."""

from logbook.api.doors import Parts
from logbook.api.errors import install
from logbook.api.routes import router

__all__ = ["Parts", "install", "router"]
