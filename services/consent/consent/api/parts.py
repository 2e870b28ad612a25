"""What every route needs, and how a write is made once, committed, and only then waited for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.clock import Clock
from chassis.idempotency import Earlier, Once
from chassis.permit import Permit, Signed
from chassis.problems import Problem, not_found
from consent import storage
from consent.api.bodies import Person
from consent.handlers import changes
from consent.handlers.changes import Confirmations, Status
from consent.handlers.requests import Office
from consent.model.ledger import Pseudonyms
from consent.model.notes import Signer
from consent.model.people import Claim

Verified = Callable[[Request], Awaitable[Signed]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes need. secret: for cursors and idempotency keys. seconds: how long a write waits. names, signer:
    what the ledger calls people, and who signs it."""

    engine: AsyncEngine
    office: Office
    confirmations: Confirmations
    verified: Verified
    clock: Clock
    secret: bytes
    seconds: float
    names: Pseudonyms
    signer: Signer


@dataclass(frozen=True, slots=True)
class Writing:
    """A signed request, the key under which it has one effect, and when it came, on the monotonic clock."""

    parts: Parts
    signed: Signed
    once: Once
    came: float

    async def make(
        self, status: int, do: Callable[[AsyncConnection], Awaitable[str | None]]
    ) -> tuple[str | None, Earlier | None]:
        """One transaction: what an earlier request under this key made, or what `do` makes now (None: nothing)."""
        async with self.parts.engine.begin() as conn:
            earlier = await self.once.earlier(conn)
            if earlier is not None:
                return earlier.resource, earlier
            made = await do(conn)
            if made is not None:
                await self.once.remember(conn, status, made)
            return made, None

    async def status(self, change: str | None) -> Status:
        """How a change stands once it has been waited for."""
        if change is not None:
            await self.settled(change)
        async with self.parts.engine.connect() as conn:
            return await changes.status(conn, change)

    async def settled(self, change: str) -> None:
        """Wait until the change is confirmed, but no longer than a write may take in all.

        Counted from when it came: on a busy day the write itself takes long, and whoever then waits the whole time has
        lost the gateway, which learns nothing and is asked again.
        """
        await self.parts.confirmations.wait(change, max(0.0, self.came + self.parts.seconds - monotonic()))


def reading(parts: Parts) -> Any:
    """The dependency of routes that read."""
    return Depends(parts.verified)


def writing(parts: Parts) -> Any:
    """The dependency of routes that write. The same key for another path or body is refused."""

    async def write(
        request: Request,
        signed: Annotated[Signed, Depends(parts.verified)],
        key: Annotated[str | None, Header(alias="Idempotency-Key")] = None,
    ) -> Writing:
        came = monotonic()
        content = request.url.path.encode() + b"\0" + await request.body()
        return Writing(parts, signed, Once(storage.idempotency, parts.secret, signed, key, content), came)

    return Depends(write)


def known(signed: Signed) -> str:
    """The subject that the gateway found; not-found when it found none."""
    if signed.subject is None:
        raise not_found()
    return an_id(signed.subject)


def allowed(signed: Signed) -> Permit:
    """The permit; not-found where there is none, or where it is about what cannot be anybody's id."""
    permit = signed.content()
    an_id(permit.subject)
    return permit


def an_id(text: str) -> str:
    """A canonical id; not-found for anything else, so that a wrong id looks like one that is not there."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise not_found() from error


def only(signed: Signed, kind: str) -> None:
    """403 unless this kind of actor asks: the gateway sees to it; this is the second lock."""
    if signed.actor.kind != kind:
        raise Problem(403, "not-allowed", "You may not do this.")


def claimed(parts: Parts, person: Person) -> Claim:
    """What is said of a person; InvalidNationalId, NationalIdNotAccepted."""
    registry, today = parts.office.registry, parts.office.law.day_of(parts.clock.now())
    number = registry.accept(person.national_id.get_secret_value(), today)
    return Claim(number, person.given_name, person.family_name, person.birth_date, person.language)
