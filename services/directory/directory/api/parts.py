"""What the routes need, and what they share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Header, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock
from chassis.idempotency import Once
from chassis.permit import Signed
from chassis.routes import route
from directory import storage

ADMIN = route(basis="role:admin")
PUBLIC = route(basis="public", lease="none")
HeaderText = Annotated[str | None, Header(max_length=200)]


@dataclass(frozen=True, slots=True)
class Parts:
    """signed: the dependency that verifies the gateway's request. secret: keys hashes and cursors.

    wait: seconds that an answer may wait for a change to be confirmed. bootstrap: Kafka, as agencies reach it.
    """

    engine: AsyncEngine
    signed: Callable[..., Any]
    now: Callable[[], datetime]
    clock: Clock
    secret: bytes
    synthetic: bool
    wait: float
    invitation_valid: timedelta
    bootstrap: str

    async def once(self, signed: Signed, request: Request, key: str | None) -> Once:
        """The write under its Idempotency-Key. A login that is not matched yet is known by its keyed hash."""
        actor = signed.actor if signed.actor.login is None else replace(signed.actor, id=signed.actor.login)
        return Once(storage.idempotency, self.secret, replace(signed, actor=actor), key, await request.body())


def shown(shape: type[BaseModel], value: object) -> object:
    """The value as JSON types, and nothing but what the shape names."""
    return shape.model_validate(value, strict=False).model_dump(mode="json", by_alias=True)


def status(*, confirmed: bool) -> str:
    """In words: is the change known to everybody able to answer?"""
    return "confirmed" if confirmed else "pending"
