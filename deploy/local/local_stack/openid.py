"""The OpenID provider of this machine: three issuers, a page to log in at, and machine tokens by JWT grant.

It is a mock: whoever can reach it may be anybody. It listens on loopback only, and only synthetic people are let in.
"""

import json
import tomllib
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_stack import java
from local_stack.ports import LOOPBACK
from local_stack.processes import Command

AUDIENCE, CLIENT, APP = "samlogg", "samlogg-gateway", "samlogg-app"
CITIZEN, STAFF, MACHINE = "idporten", "ansattporten", "maskinporten"
_MAIN = "no.nav.security.mock.oauth2.StandaloneMockOAuth2ServerKt"
_SECONDS = {MACHINE: 120, CITIZEN: 3600, STAFF: 3600}
_PAGE = Path(__file__).parents[1] / "login.html"


@dataclass(frozen=True, slots=True)
class Issuers:
    """The addresses of the issuers."""

    citizen: str
    staff: str
    machine: str


def issuers(port: int) -> Issuers:
    """Where the issuers are when the provider listens there."""
    return Issuers(*(f"http://{LOOPBACK}:{port}/{name}" for name in (CITIZEN, STAFF, MACHINE)))


def clients(district: Path) -> dict[str, str]:
    """The machine clients that are registered: one for each agency of the district, by its id, with its orgnr.

    At the real Maskinporten an organisation registers its client, and the token names the organisation.
    """
    if not district.exists():
        return {}
    return {one["id"]: one["orgnr"] for one in tomllib.loads(district.read_text())["agencies"]}


def configuration(registered: dict[str, str], page: Path) -> dict[str, Any]:
    """The provider's configuration: everybody says at the page who they are; a machine is its organisation."""
    return {
        "interactiveLogin": True,
        "loginPagePath": str(page),
        "httpServer": "NettyWrapper",
        "tokenCallbacks": [
            _tokens(MACHINE, {client: {"aud": [AUDIENCE], "scope": AUDIENCE, "consumer": organisation(orgnr)}
                              for client, orgnr in registered.items()}),
            *(_tokens(issuer, {APP: {"aud": [AUDIENCE]}}) for issuer in (CITIZEN, STAFF)),
        ],
    }  # fmt: skip


def organisation(orgnr: str) -> dict[str, str]:
    """The claim `consumer`, as Maskinporten writes it."""
    return {"authority": "iso6523-actorid-upis", "ID": f"0192:{orgnr}"}


def _tokens(issuer: str, claims: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the issuer adds to the tokens of each client."""
    return {
        "issuerId": issuer, "tokenExpiry": _SECONDS[issuer],
        "requestMappings": [
            {"requestParam": "client_id", "match": client, "claims": added} for client, added in claims.items()
        ],
    }  # fmt: skip


def command(state: Path, jars: Sequence[Path], port: int, district: Path, log: Path) -> Command:
    """How to start the provider; its configuration is written anew."""
    folder = state / "openid"
    folder.mkdir(exist_ok=True)
    (folder / "configuration.json").write_text(json.dumps(configuration(clients(district), _PAGE), indent=1))
    argv = java.command(state, jars, _MAIN, heap="96m", options=("-Xss512k",))
    told = {
        "SERVER_HOSTNAME": LOOPBACK,
        "SERVER_PORT": str(port),
        "JSON_CONFIG_PATH": "openid/configuration.json",
        "LOG_LEVEL_ROOT": "WARN",
    }
    return Command(argv, state, java.environment(told), log)


def answers(port: int) -> bool:
    """Every issuer publishes its metadata."""
    try:
        for issuer in (issuers(port).citizen, issuers(port).staff, issuers(port).machine):
            address = f"{issuer}/.well-known/openid-configuration"
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  loopback
                answer.read()
    except (OSError, ValueError):
        return False
    return True
