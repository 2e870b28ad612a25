"""Settings of consent, on top of those that every service has."""

from pathlib import Path

from pydantic import Field, SecretStr

from chassis.settings import Key
from chassis.settings import Settings as Common


class Settings(Common):
    """hash_key: look-up hashes of national ids, cursors and idempotency keys. leader_url: this replica's own address.

    confirmation_seconds: how long a write waits to be confirmed before it is answered as pending: one lease, and below
    the gateway's deadline for an inner request. consent_texts: a file in the form of `data/texts.toml` instead of the
    packaged one.
    """

    keys_database_url: SecretStr
    key_encryption_key: Key
    hash_key: Key
    leader_url: str = Field(pattern=r"^https?://[^\s/]{1,253}/?$")
    confirmation_seconds: float = Field(default=5.0, ge=0.0, le=30.0)
    consent_texts: Path | None = None
