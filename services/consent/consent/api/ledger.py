"""The routes by which anybody checks the ledger: its newest checkpoint, growth, proofs and receipts (LEDGER.md)."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from chassis.http import answer as answered
from chassis.permit import Signed
from chassis.problems import not_found
from chassis.routes import route
from consent.api.parts import Parts, allowed, reading
from consent.handlers import proofs

_PUBLIC = route(basis="public", lease="none")
_OWN = route(action="read", category="fixed:looks")
Size = Annotated[int, Query(ge=0, le=2**53 - 1)]


class LedgerView(BaseModel):
    """The ledger's public key and name, its newest checkpoint, and the newest that the witness has signed as well."""

    key: str
    origin: str
    checkpoint: str | None
    witnessed: str | None


class ConsistencyView(BaseModel):
    """`samlogg-consistency`: two checkpoints, and the proof that the second tree begins with the first."""

    kind: Literal["samlogg-consistency"]
    version: Literal[1]
    key: str
    first: str
    second: str
    proof: list[str]


class LookProofView(BaseModel):
    """`samlogg-look`: one entry, and the proof that it is in the checkpoint's tree."""

    kind: Literal["samlogg-look"]
    version: Literal[1]
    key: str
    checkpoint: str
    index: int
    salt: str
    entry: dict[str, Any]
    proof: list[str]


class ReceiptView(BaseModel):
    """`samlogg-receipt`: what a person saves."""

    kind: Literal["samlogg-receipt"]
    version: Literal[1]
    key: str
    checkpoint: str
    receipt: str


def ledger(parts: Parts) -> APIRouter:
    """What can be checked. A list, a receipt and a look's proof are given to the subject alone (proofs.may_prove)."""
    routes = APIRouter()
    reads = reading(parts)

    @routes.get("/ledger", response_model=LedgerView, openapi_extra=_PUBLIC)
    async def read_ledger(signed: Signed = reads) -> Response:
        del signed
        async with parts.engine.connect() as conn:
            return answered(await proofs.ledger(conn, parts.signer))

    @routes.get("/ledger/consistency", response_model=ConsistencyView, openapi_extra=_PUBLIC)
    async def read_consistency(first: Size, second: Size, signed: Signed = reads) -> Response:
        del signed
        async with parts.engine.connect() as conn:
            return answered(await proofs.consistency(conn, parts.signer, first, second))

    @routes.get("/subjects/{subject}/looks/receipt", response_model=ReceiptView, openapi_extra=_OWN)
    async def read_receipt(subject: str, signed: Signed = reads) -> Response:
        del subject
        own = _own(signed)
        async with parts.engine.connect() as conn:
            return answered(await proofs.receipt(conn, parts.signer, parts.names, own))

    @routes.get("/subjects/{subject}/looks/{look}/proof", response_model=LookProofView, openapi_extra=_OWN)
    async def read_look_proof(subject: str, look: str, signed: Signed = reads) -> Response:
        del subject
        own = _own(signed)
        async with parts.engine.connect() as conn:
            return answered(await proofs.look(conn, parts.signer, parts.names, own, look))

    return routes


def _own(signed: Signed) -> str:
    """The subject, if it is the subject who asks; else not-found."""
    subject = allowed(signed).subject
    if not proofs.may_prove(signed.actor, subject):
        raise not_found()
    return subject
