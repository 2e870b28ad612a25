"""Settings of consent, on top of those that every service has."""

from pathlib import Path
from typing import Annotated, Self, get_args

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from chassis.settings import Key
from chassis.settings import Settings as Common
from consent.model import notes
from consent.model.national_id import Series


def _witness(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = notes.key(value)
    if found.kind != notes.WITNESS:
        raise notes.BadNote("is a ledger's key, not a witness's")
    return found


Witness = Annotated[notes.Key, BeforeValidator(_witness)]
"""A witness's public key as it is written down (LEDGER.md)."""


def _listed(value: str) -> list[str]:
    return [one.strip() for one in value.split(",")]


class Settings(Common):
    """hash_key: look-up hashes of national ids, cursors and idempotency keys. leader_url: this replica's own address.

    confirmation_seconds: how long a write waits to be confirmed before it is answered as pending: one lease, and below
    the gateway's deadline for an inner request. consent_texts: a folder in the form of `data/texts` instead of the
    packaged one. test_series: in a synthetic installation, whose test numbers are taken (`skatteetaten`, `nhn`, `nav`,
    with commas between). ledger_signing_key, ledger_origin: the seed of the Ed25519 key and the name that the ledger's
    checkpoints are signed with; both stay as long as the database. witness_url, witness_key: who signs them too.
    register_url, register_token: a person register's feed (REGISTERS.md) and the bearer token for it; without one
    nothing is followed. A stand-in is followed in synthetic installations only.
    law_table: a file in the form of `data/law.toml` instead of the packaged one. law_approval: a file that approves its
    rows (version, by, at, rows). municipality: whose own rows count.
    """

    keys_database_url: SecretStr
    key_encryption_key: Key
    hash_key: Key
    leader_url: str = Field(pattern=r"^https?://[^\s/]{1,253}/?$")
    confirmation_seconds: float = Field(default=5.0, ge=0.0, le=30.0)
    consent_texts: Path | None = None
    test_series: str | None = None
    law_table: Path | None = None
    law_approval: Path | None = None
    municipality: str | None = Field(default=None, min_length=1, max_length=80)
    ledger_signing_key: Key
    ledger_origin: str = Field(pattern=notes.NAME)
    witness_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]{1,253}$")
    witness_key: Witness | None = None
    register_url: str | None = Field(default=None, pattern=r"^https?://[^\s?#]{1,253}$")
    register_token: SecretStr | None = None

    @field_validator("test_series")
    @classmethod
    def _known_series(cls, value: str | None) -> str | None:
        if value is not None and not set(_listed(value)) <= set(get_args(Series)):
            raise ValueError(f"must be some of {', '.join(get_args(Series))}")
        return value

    @property
    def series(self) -> frozenset[Series]:
        """Whose test numbers are taken; none in production, and then real ones are."""
        if not self.synthetic:
            return frozenset()
        given = ["skatteetaten"] if self.test_series is None else _listed(self.test_series)
        return frozenset(one for one in get_args(Series) if one in given)

    @model_validator(mode="after")
    def _no_test_numbers(self) -> Self:
        if self.test_series is not None and not self.synthetic:
            raise ValueError("production takes nobody's numbers: SAMLOGG_TEST_SERIES is for synthetic installations")
        return self

    @model_validator(mode="after")
    def _register_over_tls(self) -> Self:
        if self.register_url is not None and not self.synthetic and not self.register_url.startswith("https://"):
            raise ValueError("SAMLOGG_REGISTER_URL must be https: what a register says is about people")
        return self

    @model_validator(mode="after")
    def _witness_whole(self) -> Self:
        if (self.witness_url is None) != (self.witness_key is None):
            raise ValueError("SAMLOGG_WITNESS_URL and SAMLOGG_WITNESS_KEY are given together, or neither")
        return self
