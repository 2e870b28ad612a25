"""The routes of consent: parse, call a handler, shape the answer."""

from consent.api.errors import install
from consent.api.leases import leases
from consent.api.parts import Parts
from consent.api.routes import router

__all__ = ["Parts", "install", "leases", "router"]
