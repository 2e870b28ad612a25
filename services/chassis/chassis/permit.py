"""The signed request from the gateway to a service, and the permit inside it.

In the gateway only `decide` makes a Permit; everywhere else only `verify` does (design.md section 3, rule 1).
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import msgspec
from fastapi import Request
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from chassis.problems import Problem

HEADER = "samlogg-request"
LONGEST_SECONDS = 5.0
_ALGORITHMS = ["HS256"]
_PROTECTED = {"alg": "HS256", "typ": "JWT"}

Action = Literal["read", "contribute"]
Assurance = Literal["low", "substantial", "high"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is a person id, a staff id or an attachment id; None for somebody logged in but not matched."""

    kind: Literal["person", "staff", "machine", "gateway"]
    id: str | None
    services: tuple[str, ...] = ()
    role: str | None = None
    agency: str | None = None
    assurance: Assurance = "low"
    login: str | None = None
    """Keyed hash of issuer and subject; only for redeeming an invitation."""


class Cell(NamedTuple):
    """One category that is allowed, under which grant, and from when on (epoch seconds, None: no limit back)."""

    category: str
    grant: str
    back: int | None = None


class Kept(NamedTuple):
    """What is kept from this reader although the cells allow its category: whole categories, and single items.

    own: the reader, whose own words stay theirs. What stands under something kept is kept with it.
    """

    categories: tuple[str, ...]
    items: tuple[str, ...]
    own: str

    def hides(self, category: object, item: object, by: object = None) -> bool:
        """Is this item, written by this actor, kept from the reader?"""
        return by != self.own and (category in self.categories or item in self.items)


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to one action on some categories of one subject. Code that fetches content demands one.

    masked: nothing that tells where the subject is to be found (address protection).
    """

    subject: str
    action: Action
    purpose: str
    cells: tuple[Cell, ...]
    masked: bool = False
    kept: Kept | None = None

    def categories(self) -> frozenset[str]:
        """Every category that the permit allows."""
        return frozenset(cell.category for cell in self.cells)

    def allows(self, category: str, at: datetime | None = None) -> bool:
        """May this category be seen or written, for something that happened at `at`?"""
        moment = None if at is None else at.timestamp()
        return any(
            cell.category == category and (moment is None or cell.back is None or cell.back <= moment)
            for cell in self.cells
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """What the gateway vouches for in one inner request."""

    actor: Actor
    subject: str | None
    route: str
    record: str | None
    permit: Permit | None
    expires: float

    def content(self) -> Permit:
        """The permit, or the usual not-found where there is none."""
        if self.permit is None:
            raise Problem(404, "not-found", "There is nothing here that you may see.")
        return self.permit


def sign(
    key: OctKey,
    *,
    audience: str,
    method: str,
    path: str,
    body: bytes,
    actor: Actor,
    subject: str | None,
    route: str,
    permit: Permit | None,
    record: str | None,
    now: float,
    seconds: float = LONGEST_SECONDS,
) -> str:
    """A compact HMAC JWS for exactly this request. `path` includes the query; `now` is Unix time; ends in `seconds`."""
    claims: dict[str, Any] = {
        "aud": audience, "iat": now, "exp": now + min(seconds, LONGEST_SECONDS), "jti": uuid4().hex,
        "m": method, "p": path, "b": hashlib.sha256(body).hexdigest(),
        "actor": {
            "kind": actor.kind, "id": actor.id, "services": actor.services, "role": actor.role, "agency": actor.agency,
            "assurance": actor.assurance, "login": actor.login,
        },
        "subject": subject, "route": route, "record": record, "permit": None,
    }  # fmt: skip
    if permit is not None:
        cells = [(cell.category, cell.grant, cell.back) for cell in permit.cells]
        claims["permit"] = {
            "action": permit.action, "purpose": permit.purpose, "cells": cells, "masked": permit.masked,
            "kept": permit.kept,
        }  # fmt: skip
    payload = msgspec.json.encode(claims)
    return jws.serialize_compact(_PROTECTED, payload, key, algorithms=_ALGORITHMS)


def verify(token: str, key: OctKey, *, audience: str, method: str, path: str, body: bytes, now: float) -> Signed:
    """What the gateway signed, if exactly this request and not ended; else Problem 401 `not-signed`."""
    refused = Problem(401, "not-signed", "This door only answers the gateway.")
    try:
        claims = msgspec.json.decode(jws.deserialize_compact(token, key, algorithms=_ALGORITHMS).payload)
    except (JoseError, ValueError, msgspec.MsgspecError) as error:
        raise refused from error
    asked = (claims["aud"], claims["m"], claims["p"], claims["b"])
    if asked != (audience, method, path, hashlib.sha256(body).hexdigest()) or claims["exp"] <= now:
        raise refused
    actor = Actor(**{**claims["actor"], "services": tuple(claims["actor"]["services"])})
    permit = None
    if claims["permit"] is not None:
        cells = tuple(Cell(*cell) for cell in claims["permit"]["cells"])
        said = claims["permit"]
        permit = Permit(claims["subject"], said["action"], said["purpose"], cells, said["masked"], _kept(said["kept"]))
    return Signed(actor, claims["subject"], claims["route"], claims["record"], permit, claims["exp"])


def _kept(said: Sequence[Any] | None) -> Kept | None:
    return None if said is None else Kept(tuple(said[0]), tuple(said[1]), said[2])


def signed_request(key: bytes, audience: str, wall: Callable[[], float]) -> Callable[[Request], Awaitable[Signed]]:
    """A FastAPI dependency: the verified request. The subject in the path must be the one that was signed."""
    jwk = OctKey.import_key(key)

    async def signed(request: Request) -> Signed:
        target = request.scope["raw_path"].decode("ascii")
        query = request.scope["query_string"].decode("ascii")
        body = await request.body()
        found = verify(
            request.headers.get(HEADER, ""), jwk, audience=audience, method=request.method,
            path=f"{target}?{query}" if query else target, body=body, now=wall(),
        )  # fmt: skip
        subject = request.path_params.get("subject")
        if subject is not None and str(subject) != found.subject:
            raise Problem(401, "not-signed", "This door only answers the gateway.")
        return found

    return signed
