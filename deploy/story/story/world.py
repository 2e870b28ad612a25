"""Where everything is that the story talks to; filled by whoever started the system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Control(Protocol):
    """The hand that may end and watch processes; parts are named `logbook`, `consent`, `gateway-2` and so on."""

    def kill(self, part: str, signal: int) -> None:
        """Send a signal to the part's process; whoever started it starts it again."""

    def wait_ready(self, part: str) -> None:
        """Return when the part makes progress again; raises when it does not within a fair time."""

    def check(self) -> None:
        """Raise what went wrong with a part that nobody killed, if anything did."""


@dataclass(frozen=True, slots=True)
class World:
    """Addresses are without a closing slash; the first gateway is the one that people log in at.

    `folder` is the story's own: it keeps the school's key pairs and its attachment's id between runs.
    `ledger_key` and `witness_key` are known from elsewhere than from the ledger: whoever verifies trusts these two.
    `databases` (service -> PostgreSQL address) are only counted in, to see that each effect is there once.
    """

    gateways: tuple[str, ...]
    citizen: str
    staff: str
    machine: str
    audience: str
    zipkin: str
    mailbox: Path
    first_admin_code: Path
    district: Path
    police_status: str
    police_folder: Path
    folder: Path
    ledger_key: str
    witness_key: str
    databases: Mapping[str, str]
    gateway_parts: tuple[str, ...]
    consent_part: str
    logbook_part: str


def read(world: Mapping[str, Any]) -> World:
    """The world from plain data, as whoever started the system describes it; KeyError names what is missing."""
    oidc, police = world["oidc"], world["police"]
    gateways = tuple(str(url).rstrip("/") for url in world["gateways"])
    parts = world.get("parts", {})
    return World(
        gateways=gateways,
        citizen=str(oidc["citizen"]).rstrip("/"),
        staff=str(oidc["staff"]).rstrip("/"),
        machine=str(oidc["machine"]).rstrip("/"),
        audience=str(oidc.get("audience", "samlogg")),
        zipkin=str(world["zipkin"]).rstrip("/"),
        mailbox=Path(world["mailbox"]),
        first_admin_code=Path(world["first_admin_code"]),
        district=Path(world["district"]),
        police_status=str(police["status_url"]).rstrip("/"),
        police_folder=Path(police["folder"]),
        folder=Path(world["folder"]),
        ledger_key=str(world["ledger_key"]),
        witness_key=str(world["witness_key"]),
        databases=dict(world["databases"]),
        gateway_parts=tuple(parts.get("gateways", [f"gateway-{n}" for n in range(1, len(gateways) + 1)])),
        consent_part=str(parts.get("consent", "consent")),
        logbook_part=str(parts.get("logbook", "logbook")),
    )
