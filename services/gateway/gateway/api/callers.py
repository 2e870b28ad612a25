"""Who asks, as the doors need to know it."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.types import Scope

from chassis.permit import Actor


class Caller(Protocol):
    """Who asks, as the identity side found out."""

    @property
    def actor(self) -> Actor:
        """For the decision and the record."""

    @property
    def audience(self) -> str:
        """Whose handles the caller uses."""


Identify = Callable[[Scope], Awaitable[Caller | None]]
"""The caller, None for nobody; Problem for credentials that do not hold."""
