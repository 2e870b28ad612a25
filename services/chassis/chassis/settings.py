"""Settings of a process: read once at start, from SAMLOGG_* variables or secret files, and refused when unsafe."""

import base64
import binascii
import os
import sys
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field, SecretBytes, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_KEY_BYTES = 32


def _key(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        raw = base64.b64decode(value.strip(), validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64") from error
    if len(raw) != _KEY_BYTES:
        raise ValueError(f"must be {_KEY_BYTES} bytes, is {len(raw)}")
    if raw == bytes(_KEY_BYTES):
        raise ValueError("must not be all zeros")
    return raw


Key = Annotated[SecretBytes, BeforeValidator(_key)]
"""32 secret bytes, given as base64. An empty or zero key stops the start."""


class Settings(BaseSettings):
    """What every service needs. Each service adds its own fields in its `settings.py`."""

    model_config = SettingsConfigDict(env_prefix="SAMLOGG_", extra="ignore", hide_input_in_errors=True)

    mode: Literal["synthetic", "production"] = "production"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    replica: str = Field(default="0", pattern=r"^[a-z0-9-]{1,32}$")
    database_url: SecretStr
    kafka_bootstrap: str
    kafka_user: str
    kafka_password: SecretStr
    kafka_tls: bool = False
    inner_key: Key
    pool_size: int = Field(default=8, ge=1, le=100)

    @property
    def synthetic(self) -> bool:
        """True where only synthetic people may be registered."""
        return self.mode == "synthetic"


S = TypeVar("S", bound=Settings)


def load(kind: type[S]) -> S:
    """Read `kind` from the environment and the folder SAMLOGG_SECRETS_DIR; exit with one clear sentence on an error."""
    given: dict[str, Any] = {"_secrets_dir": os.environ.get("SAMLOGG_SECRETS_DIR")}
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        name = "SAMLOGG_" + "_".join(str(part) for part in first["loc"]).upper() if first["loc"] else "settings"
        sys.exit(f"cannot start: {name}: {first['msg']}")
