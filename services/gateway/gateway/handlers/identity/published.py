"""What an issuer publishes about itself, read with care: its addresses and its public keys."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from gateway.model.identity import TokenRefused

SMALLEST_RSA = 2048
_PUBLIC = frozenset({"kty", "kid", "alg", "n", "e", "crv", "x", "y"})
Key = RSAKey | ECKey


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the issuer says about itself (RFC 8414). `announces_issuer`: it names itself beside the code (RFC 9207)."""

    issuer: str
    jwks_uri: str
    authorization: str | None
    token: str | None
    end_session: str | None
    secret_in_form: bool
    announces_issuer: bool


def payload(raw: bytes) -> dict[str, Any]:
    """A JSON object. TokenRefused when it is anything else."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TokenRefused("token-malformed") from error
    if not isinstance(found, dict):
        raise TokenRefused("token-malformed")
    return cast("dict[str, Any]", found)


def metadata(found: Mapping[str, Any], issuer: str, *, plain_http: bool) -> Metadata:
    """ValueError when the issuer calls itself by another name, or points where we may not go."""
    name = found.get("issuer")
    if not isinstance(name, str) or name.rstrip("/") != issuer.rstrip("/"):
        raise ValueError("the issuer has another name")

    def address(member: str) -> str | None:
        value = found.get(member)
        if value is None:
            return None
        parts = urlsplit(value) if isinstance(value, str) else None
        if parts is None or not parts.hostname or parts.scheme not in ({"https", "http"} if plain_http else {"https"}):
            raise ValueError(f"{member} is no address to go to")
        return cast("str", value)

    jwks_uri = address("jwks_uri")
    if jwks_uri is None:
        raise ValueError("jwks_uri is missing")
    methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return Metadata(
        issuer=name, jwks_uri=jwks_uri, authorization=address("authorization_endpoint"),
        token=address("token_endpoint"), end_session=address("end_session_endpoint"),
        secret_in_form="client_secret_basic" not in methods and "client_secret_post" in methods,
        announces_issuer=found.get("authorization_response_iss_parameter_supported") is True,
    )  # fmt: skip


def keys(found: Mapping[str, Any]) -> dict[str, Key]:
    """The public signing keys by their id. Symmetric, short and other keys are passed over."""
    shown: dict[str, Key] = {}
    listed = found.get("keys")
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
            continue
        key = _key_of(entry)
        if key is not None:
            shown[entry["kid"]] = key
    if not shown:
        raise ValueError("no key that can be used")
    return shown


def _key_of(entry: dict[str, Any]) -> Key | None:
    public: dict[str, str | list[str]] = {name: value for name, value in entry.items() if name in _PUBLIC}
    try:
        if entry.get("kty") == "EC":
            return ECKey.import_key(public)
        if entry.get("kty") == "RSA" and _bits(entry.get("n")) >= SMALLEST_RSA:
            return RSAKey.import_key(public)
    except (JoseError, ValueError, TypeError):
        return None
    return None


def _bits(number: object) -> int:
    """The length of a base64url number."""
    text = number if isinstance(number, str) else ""
    return int.from_bytes(urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big").bit_length()
