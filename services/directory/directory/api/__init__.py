"""The directory's HTTP door: only the gateway is answered; reads are public, changes are for administrators."""

from fastapi import APIRouter

from directory.api import attachments, clock, districts, public, staff
from directory.api.errors import install
from directory.api.parts import Parts

__all__ = ["Parts", "install", "make_routes"]


def make_routes(parts: Parts) -> APIRouter:
    """Every route of the directory."""
    router = APIRouter()
    for module in (public, districts, staff, attachments, clock):
        router.include_router(module.make_routes(parts))
    return router
