"""What every route goes through: the signed request, its permit, and for a write one transaction under one key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock
from chassis.http import etag
from chassis.idempotency import Once
from chassis.keys import SubjectKeys
from chassis.permit import Permit, Signed
from chassis.problems import not_found
from logbook import handlers, storage
from logbook.api import shapes
from logbook.handlers import Work
from logbook.model import Guide

Verified = Callable[[Request], Awaitable[Signed]]
Do = Callable[[Work], Awaitable[str | None]]
Shown = tuple[dict[str, Any], str]
"""A representation and its entity tag."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes need. `guide_of`: a district's guide as directory last said it. `secret`: for keyed hashes."""

    engine: AsyncEngine
    keys: SubjectKeys
    verified: Verified
    guide_of: Callable[[str], Guide | None]
    secret: bytes
    clock: Clock


@dataclass(frozen=True, slots=True)
class Reading:
    """A signed request with a permit to read."""

    signed: Signed
    permit: Permit


@dataclass(frozen=True, slots=True)
class Writing:
    """A signed request with a permit to contribute, and the key under which it has one effect."""

    parts: Parts
    signed: Signed
    permit: Permit
    once: Once

    async def item(self, status: int, service: str | None, do: Do) -> JSONResponse:
        """Do it, and show the item that it made or changed."""
        return await self._written(status, service, do, show_item)

    async def log(self, status: int, service: str | None, do: Do) -> JSONResponse:
        """Do it, and show the log."""
        return await self._written(status, service, do, show_log)

    async def _written(
        self,
        status: int,
        service: str | None,
        do: Do,
        show: Callable[[Parts, AsyncConnection, Signed, str], Awaitable[Shown]],
    ) -> JSONResponse:
        """One transaction. A replay does nothing, and shows what is there today under today's permit."""
        parts = self.parts
        async with parts.engine.begin() as conn:
            earlier = await self.once.earlier(conn)
            if earlier is None:
                made = await do(self._work(conn, service))
                if made is None:
                    raise not_found()
                await self.once.remember(conn, status, made)
            else:
                status, made = earlier.status, earlier.resource
            body, tag = await show(parts, conn, self.signed, made)
        return JSONResponse(body, status, {"ETag": tag})

    def _work(self, conn: AsyncConnection, service: str | None) -> Work:
        parts, signed = self.parts, self.signed
        return Work(
            conn, parts.keys, self.permit, signed.actor, parts.clock.now(), lambda: str(uuid4()), service, signed.record
        )  # fmt: skip


def reading(parts: Parts) -> Callable[..., Awaitable[Reading]]:
    """The dependency of every route that reads."""

    async def read(request: Request, subject: UUID) -> Reading:
        signed = await parts.verified(request)  # not as a dependency of its own: most of what is asked here is a read
        return Reading(signed, _permit(signed, str(subject), "read"))

    return read


def writing(parts: Parts) -> Callable[..., Awaitable[Writing]]:
    """The dependency of every route that writes. The same key for another path or body is refused."""

    async def write(
        request: Request,
        subject: UUID,
        signed: Annotated[Signed, Depends(parts.verified)],
        key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=200)] = None,
    ) -> Writing:
        permit = _permit(signed, str(subject), "contribute")
        content = request.url.path.encode() + b"\0" + await request.body()
        return Writing(parts, signed, permit, Once(storage.idempotency, parts.secret, signed, key, content))

    return write


def _permit(signed: Signed, subject: str, action: str) -> Permit:
    """The permit, if it is for this subject and action. The gateway sees to it; this is the second lock."""
    permit = signed.content()
    if permit.action != action or permit.subject != subject:
        raise not_found()
    return permit


async def show_item(parts: Parts, conn: AsyncConnection, signed: Signed, item_id: str) -> Shown:
    """The item under the permit of this very request, or not-found."""
    reader = shapes.reader_of(signed)
    found = await handlers.read_item(conn, parts.keys, reader.permit, item_id)
    if found is None:
        raise not_found()
    body = shapes.item_body(reader, found)
    return body, shapes.item_tag(found, body)


async def show_log(parts: Parts, conn: AsyncConnection, signed: Signed, _: str = "") -> Shown:
    """The open log under the permit of this very request, or not-found."""
    reader = shapes.reader_of(signed)
    view = await handlers.log_view(conn, parts.keys, reader.permit, parts.clock.now())
    if view is None:
        raise not_found()
    body = shapes.log_body(reader, view)
    return body, etag(body)
