"""What this service is told by its environment (POLICE_...), checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


class UnsafeSettingsError(Exception):
    """A setting is missing or unsafe; the text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; `gateways` are tried in order, so that one may be away."""

    folder: Path
    gateways: tuple[str, ...]
    issuer: str
    client_id: str
    audience: str
    scope: str
    status_port: int
    kafka_tls: bool

    @property
    def database(self) -> Path:
        """The file of our own database."""
        return self.folder / "police.sqlite3"


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings; plain HTTP is accepted on the machine's own loopback only."""
    folder = environment.get("POLICE_FOLDER", "")
    if not folder:
        raise UnsafeSettingsError("POLICE_FOLDER must name a private folder for keys and the database.")
    gateways = tuple(part.strip().rstrip("/") for part in environment.get("POLICE_GATEWAY", "").split(",") if part)
    for url in (*gateways, environment.get("POLICE_ISSUER", "")):
        if url and not _safe(url):
            raise UnsafeSettingsError("POLICE_GATEWAY and POLICE_ISSUER must be https, except on loopback.")
    return Settings(
        folder=Path(folder),
        gateways=gateways,
        issuer=environment.get("POLICE_ISSUER", "").rstrip("/"),
        client_id=environment.get("POLICE_CLIENT_ID", "police"),
        audience=environment.get("POLICE_AUDIENCE", "samlogg"),
        scope=environment.get("POLICE_SCOPE", "samlogg"),
        status_port=int(environment.get("POLICE_STATUS_PORT", "0")),
        kafka_tls=environment.get("POLICE_KAFKA_TLS", "") == "1",
    )


def loopback(host: str | None) -> bool:
    """True if the name can only mean this machine."""
    return host in {"localhost", "::1"} or (host or "").startswith("127.")


def _safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and loopback(parts.hostname))
