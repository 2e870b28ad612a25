"""What the settings say about identity, and which combinations must not start."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from pydantic import SecretBytes, SecretStr

from gateway.handlers.identity.provider import Client
from gateway.handlers.identity.published import SMALLEST_RSA
from gateway.model.identity import Kind

_REAL = frozenset({"idporten.no", "ansattporten.no", "maskinporten.no"})
_TEST_LABELS = frozenset({"test", "ver1", "ver2", "mock", "localhost", "local", "example", "invalid", "internal"})


class Unsafe(ValueError):
    """Settings that must not start. The text is one clear sentence without any secret."""


class IdentitySettings(Protocol):
    """The settings that identity reads. A staff client is named only where it is another than the citizens'."""

    mode: Literal["synthetic", "production"]
    public_url: str
    audience: str
    issuer_citizen: str
    issuer_staff: str
    issuer_machine: str
    client_id: str
    client_secret: SecretStr | None
    client_key: SecretStr | None
    client_id_staff: str | None
    client_secret_staff: SecretStr | None
    handle_key: SecretBytes
    session_key: SecretBytes
    identity_key: SecretBytes


@dataclass(frozen=True, slots=True)
class Rules:
    """Identity's settings in the form it works with. `public_url` has no slash at its end."""

    public_url: str
    audience: str
    synthetic: bool
    issuers: Mapping[Kind, str]
    clients: Mapping[Kind, Client]
    session_key: bytes = field(repr=False)
    identity_key: bytes = field(repr=False)

    @property
    def cookie(self) -> str:
        """The session cookie's name. `__Host-` makes browsers refuse it from anybody but this very host over TLS."""
        return f"{self._prefix}samlogg"

    @property
    def login_cookie(self) -> str:
        """The name of the cookie that binds a login to the browser that began it."""
        return f"{self._prefix}samlogg-login"

    @property
    def tls(self) -> bool:
        """Is the door reached over TLS?"""
        return self.public_url.startswith("https://")

    @property
    def callback(self) -> str:
        """Where the provider sends the browser back to."""
        return f"{self.public_url}/callback"

    @property
    def _prefix(self) -> str:
        return "__Host-" if self.tls else ""


def rules(settings: IdentitySettings) -> Rules:
    """The rules, from settings that `refuse_unsafe` has let through."""
    key = None if settings.client_key is None else _private_key(settings.client_key.get_secret_value())
    citizen = Client(settings.client_id, _text(settings.client_secret), key)
    staff = citizen
    if settings.client_id_staff is not None:
        staff = Client(settings.client_id_staff, _text(settings.client_secret_staff), key)
    return Rules(
        public_url=settings.public_url.rstrip("/"),
        audience=settings.audience,
        synthetic=settings.mode == "synthetic",
        issuers={
            "citizen": settings.issuer_citizen, "staff": settings.issuer_staff, "machine": settings.issuer_machine,
        },
        clients={"citizen": citizen, "staff": staff},
        session_key=settings.session_key.get_secret_value(),
        identity_key=settings.identity_key.get_secret_value(),
    )  # fmt: skip


def refuse_unsafe(settings: IdentitySettings) -> None:
    """Raise Unsafe, with one clear sentence, when these settings could let somebody in who should be out."""
    _keys(settings)
    _door(settings)
    _clients(settings)
    for name in ("issuer_citizen", "issuer_staff", "issuer_machine"):
        _issuer(f"SAMLOGG_{name.upper()}", getattr(settings, name), settings.mode)
    names = [settings.issuer_citizen, settings.issuer_staff, settings.issuer_machine]
    if len({name.rstrip("/") for name in names}) < len(names):
        raise Unsafe("SAMLOGG_ISSUER_CITIZEN, _STAFF and _MACHINE must be three different issuers.")


def _keys(settings: IdentitySettings) -> None:
    found: dict[bytes, str] = {}
    for name in ("handle_key", "session_key", "identity_key"):
        value: bytes = getattr(settings, name).get_secret_value()
        if len(value) < 32 or not any(value):
            raise Unsafe(f"SAMLOGG_{name.upper()} must hold 32 secret bytes.")
        if value in found:
            raise Unsafe(f"SAMLOGG_{name.upper()} must be another key than SAMLOGG_{found[value].upper()}.")
        found[value] = name


def _door(settings: IdentitySettings) -> None:
    parts = urlsplit(settings.public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise Unsafe("SAMLOGG_PUBLIC_URL must be an address such as https://samlogg.kommune.no.")
    if parts.scheme == "http" and not _loopback(parts.hostname):
        raise Unsafe("SAMLOGG_PUBLIC_URL must be https: plain http is only allowed on this very machine.")
    if parts.scheme == "http" and settings.mode == "production":
        raise Unsafe("SAMLOGG_PUBLIC_URL must be https in production mode.")


def _clients(settings: IdentitySettings) -> None:
    for name in ("audience", "client_id"):
        if not getattr(settings, name).strip():
            raise Unsafe(f"SAMLOGG_{name.upper()} must not be empty.")
    if settings.audience in (settings.client_id, settings.client_id_staff):
        raise Unsafe("SAMLOGG_AUDIENCE must differ from SAMLOGG_CLIENT_ID, else an ID token would pass here.")
    if settings.client_key is None and not _text(settings.client_secret):
        raise Unsafe("SAMLOGG_CLIENT_SECRET or SAMLOGG_CLIENT_KEY must be set.")
    if settings.client_id_staff is not None and settings.client_key is None and not _text(settings.client_secret_staff):
        raise Unsafe("SAMLOGG_CLIENT_SECRET_STAFF or SAMLOGG_CLIENT_KEY must be set.")
    if settings.client_key is not None:
        _private_key(settings.client_key.get_secret_value())


def _private_key(text: str) -> RSAKey:
    try:
        key = RSAKey.import_key(json.loads(text) if text.lstrip().startswith("{") else text)
    except (JoseError, ValueError, TypeError):
        raise Unsafe("SAMLOGG_CLIENT_KEY must be a private RSA key, as JWK or PEM.") from None
    if not key.is_private or key.raw_value.key_size < SMALLEST_RSA:
        raise Unsafe(f"SAMLOGG_CLIENT_KEY must be a private RSA key of at least {SMALLEST_RSA} bits.")
    return key


def _issuer(name: str, issuer: str, mode: str) -> None:
    parts = urlsplit(issuer)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise Unsafe(f"{name} must be the address of an issuer.")
    if mode == "production":
        if parts.scheme != "https":
            raise Unsafe(f"{name} must be https in production mode.")
        if _is_test(host):
            raise Unsafe(f"{name} is a test issuer, which production mode does not trust.")
    elif host in _REAL:
        raise Unsafe(f"{name} is a production issuer: synthetic mode must not see real people.")


def _is_test(host: str) -> bool:
    if _loopback(host) or "." not in host or host.replace(".", "").isdigit():
        return True
    return not _TEST_LABELS.isdisjoint(host.split("."))


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
