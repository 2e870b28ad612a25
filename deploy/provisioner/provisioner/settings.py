"""What the provisioner is told by its environment (SAMLOGG_*, or files of the same names in SAMLOGG_SECRETS_DIR)."""

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

_BESIDE = Path(__file__).parents[2] / "topics.toml"


class Settings(BaseSettings):
    """users: a folder with one file per user of topics.toml, its name the user's, its content the password.

    replicas: of every topic; min.insync.replicas is one less. every: seconds between two whole looks.
    ready_file: made when Kafka is in line with topics.toml for the first time, removed at the start.
    """

    model_config = SettingsConfigDict(env_prefix="SAMLOGG_", extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap: str
    kafka_user: str
    kafka_password: SecretStr
    kafka_tls: bool = False
    topics: Path = _BESIDE
    users: Path
    replicas: int = Field(default=3, ge=1, le=9)
    every: float = Field(default=30.0, gt=0)
    ready_file: Path | None = None

    @property
    def _protocol(self) -> str:
        return "SASL_SSL" if self.kafka_tls else "SASL_PLAINTEXT"

    @property
    def confluent(self) -> dict[str, Any]:
        """Options of any confluent-kafka client."""
        return {
            "bootstrap.servers": self.kafka_bootstrap, "security.protocol": self._protocol,
            "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": self.kafka_user,
            "sasl.password": self.kafka_password.get_secret_value(), "client.id": "provisioner",
        }  # fmt: skip

    @property
    def aiokafka(self) -> dict[str, Any]:
        """Options of any aiokafka client."""
        return {
            "bootstrap_servers": self.kafka_bootstrap.split(","), "security_protocol": self._protocol,
            "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": self.kafka_user,
            "sasl_plain_password": self.kafka_password.get_secret_value(), "client_id": "provisioner",
        }  # fmt: skip


def load() -> Settings:
    """The settings; exits with one clear sentence if they cannot be read."""
    try:
        return Settings(_secrets_dir=os.environ.get("SAMLOGG_SECRETS_DIR"))  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        sys.exit(f"cannot start: SAMLOGG_{'_'.join(map(str, first['loc'])).upper()}: {first['msg']}")
