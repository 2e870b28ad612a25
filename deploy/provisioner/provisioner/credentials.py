"""A credential for an attachment: a new password, sealed to its public key so that only the agency can open it."""

import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from chassis.events import Event, new_event
from provisioner.messages import PROVISIONED, TOPIC, AttachmentProvisioned

__all__ = ["PROVISIONED", "TOPIC"]

_LEAST_BITS = 2048


class BadKey(ValueError):
    """The attachment's public key is none that a password may be sealed to; the text says why, without the key."""


def new_password() -> str:
    """256 random bits, in letters that need no quoting anywhere."""
    return secrets.token_urlsafe(32)


def public_key(given: Mapping[str, Any]) -> RSAKey:
    """The key, if it is an RSA public key of at least 2048 bits; BadKey otherwise."""
    if given.get("kty") != "RSA" or "d" in given:
        raise BadKey("not an RSA public key")
    if given.get("use", "enc") != "enc" or given.get("alg", "RSA-OAEP-256") != "RSA-OAEP-256":
        raise BadKey("not a key for RSA-OAEP-256")
    try:
        key = RSAKey.import_key({name: given[name] for name in ("kty", "n", "e")})
    except (KeyError, ValueError, JoseError) as error:
        raise BadKey("not readable as a JWK") from error
    if key.raw_value.key_size < _LEAST_BITS:
        raise BadKey("fewer than 2048 bits")
    return key


def seal(password: str, key: RSAKey) -> str:
    """A compact JWE (RSA-OAEP-256, A256GCM) whose `kid` is the key's thumbprint."""
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key.thumbprint()}
    return jwe.encrypt_compact(header, password.encode(), key, registry=registry)


def sealed_to(sealed: str) -> str | None:
    """The thumbprint of the key that it was sealed to; None if it does not say."""
    head = sealed.partition(".")[0]
    try:
        found = json.loads(urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("kid")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def provisioned(attachment: str, user: str, sealed: str, now: datetime) -> Event:
    """The event that carries the sealed password to the directory. Nobody keeps the open one."""
    data = AttachmentProvisioned(attachment=attachment, sealed=sealed, user=user).model_dump()
    return new_event("provisioner", PROVISIONED, attachment, data, now)
