"""Settings of consent, on top of those that every service has."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from chassis.settings import Key
from chassis.settings import Settings as Common
from consent.model import notes


def _witness(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = notes.key(value)
    if found.kind != notes.WITNESS:
        raise notes.BadNote("is a ledger's key, not a witness's")
    return found


Witness = Annotated[notes.Key, BeforeValidator(_witness)]
"""A witness's public key as it is written down (LEDGER.md)."""


class Settings(Common):
    """hash_key: look-up hashes of national ids, cursors and idempotency keys. leader_url: this replica's own address.

    confirmation_seconds: how long a write waits to be confirmed before it is answered as pending: one lease, and below
    the gateway's deadline for an inner request. consent_texts: a folder in the form of `data/texts` instead of the
    packaged one. ledger_signing_key, ledger_origin: the seed of the Ed25519 key and the name that the ledger's
    checkpoints are signed with; both stay as long as the database. witness_url, witness_key: who signs them too.
    """

    keys_database_url: SecretStr
    key_encryption_key: Key
    hash_key: Key
    leader_url: str = Field(pattern=r"^https?://[^\s/]{1,253}/?$")
    confirmation_seconds: float = Field(default=5.0, ge=0.0, le=30.0)
    consent_texts: Path | None = None
    ledger_signing_key: Key
    ledger_origin: str = Field(pattern=notes.NAME)
    witness_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]{1,253}$")
    witness_key: Witness | None = None

    @model_validator(mode="after")
    def _witness_whole(self) -> Self:
        if (self.witness_url is None) != (self.witness_key is None):
            raise ValueError("SAMLOGG_WITNESS_URL and SAMLOGG_WITNESS_KEY are given together, or neither")
        return self
