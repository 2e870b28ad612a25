"""The gateway's settings on top of the chassis ones. None of them turns a decision, a record or a check off."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from chassis import settings as chassis_settings
from chassis.settings import Key
from gateway.handlers.forward import safe_destination


class Settings(chassis_settings.Settings):
    """Where the services are, the keys they know us by, and the issuers whose word counts."""

    operations_port: int = Field(default=8001, ge=0, le=65535)
    contracts: Path = Path("services")
    """The folder that holds `<service>/contract/routes.json`."""

    consent_urls: str
    directory_url: str
    logbook_url: str
    notify_url: str

    inner_key_consent: Key
    inner_key_directory: Key
    inner_key_logbook: Key
    inner_key_notify: Key

    handle_key: Key
    session_key: Key
    identity_key: Key

    public_url: str
    audience: str = Field(min_length=1)
    issuer_citizen: str
    issuer_staff: str
    issuer_machine: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    client_key: SecretStr | None = None
    client_id_staff: str | None = None
    client_secret_staff: SecretStr | None = None

    @field_validator("consent_urls", "directory_url", "logbook_url", "notify_url")
    @classmethod
    def _addresses(cls, value: str) -> str:
        found = [url.strip() for url in value.split(",") if url.strip()]
        if not found or not all(safe_destination(url) for url in found):
            raise ValueError("must be an address like http://127.0.0.1:8100")
        return value

    @property
    def consent(self) -> list[str]:
        """Every replica of `consent`."""
        return [url.strip().rstrip("/") for url in self.consent_urls.split(",") if url.strip()]
