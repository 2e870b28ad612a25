"""Settings of notify, on top of those that every service has."""

import ipaddress
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from chassis import settings as chassis_settings
from chassis.settings import Key


class Settings(chassis_settings.Settings):
    """hash_key keys the hashes of idempotency keys; smtp_tls is chosen by the host where it is not given."""

    keys_database_url: SecretStr
    key_encryption_key: Key
    hash_key: Key
    smtp_host: str = Field(min_length=1)
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_from: str = Field(pattern=r"^[^@\s<>]{1,64}@[A-Za-z0-9.-]{1,189}$")
    smtp_tls: Literal["none", "starttls", "tls"] | None = None
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_seconds: float = Field(default=10.0, gt=0, le=20)

    @model_validator(mode="after")
    def _no_plain_mail_beyond_this_machine(self) -> Self:
        if self.smtp_tls == "none" and not self.synthetic and not loopback(self.smtp_host):
            raise ValueError("mail beyond this machine needs TLS: set SAMLOGG_SMTP_TLS to starttls or tls")
        return self

    @property
    def tls(self) -> Literal["none", "starttls", "tls"]:
        """How the connection to the mail server is protected."""
        return self.smtp_tls or ("none" if loopback(self.smtp_host) else "starttls")


def loopback(host: str) -> bool:
    """Is this host the machine itself?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
