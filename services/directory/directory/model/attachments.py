"""How an agency is attached: which services, which ports, and the public key that its credential is sealed to."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from directory.model.refusals import Finding, Refused

PORTS = ("listen", "contribute")
SHORTEST_KEY_BITS = 2048
LONGEST_KEY_BITS = 8192


@dataclass(frozen=True, slots=True)
class Attachment:
    """opaque: random, names the agency's topics and user (design.md rule 6)."""

    agency: str
    services: tuple[str, ...]
    opaque: str
    public_key: Mapping[str, str]
    ports: tuple[str, ...]


def fitting_key(jwk: Mapping[str, str]) -> dict[str, str]:
    """The public RSA key to seal to, and nothing else of what was sent. Refused: private, short or odd keys."""
    if {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set(jwk):
        raise Refused(Finding("public_key", "private-key"))
    if jwk.get("kty") != "RSA" or jwk.get("alg", "RSA-OAEP-256") != "RSA-OAEP-256" or jwk.get("use", "enc") != "enc":
        raise Refused(Finding("public_key", "not-for-sealing"))
    modulus, exponent = _number(jwk.get("n", "")), _number(jwk.get("e", ""))
    if not SHORTEST_KEY_BITS <= modulus.bit_length() <= LONGEST_KEY_BITS or modulus % 2 == 0:
        raise Refused(Finding("public_key", "key-too-weak"))
    if exponent < 65537 or exponent % 2 == 0 or exponent >= modulus:
        raise Refused(Finding("public_key", "key-too-weak"))
    return {"kty": "RSA", "n": jwk["n"], "e": jwk["e"], "alg": "RSA-OAEP-256", "use": "enc"}


def opened(attachment: Attachment, services: Mapping[str, str]) -> Attachment:
    """The attachment, if each service is the agency's own. services: active service -> its agency."""
    findings = [
        Finding(f"services/{place}", "not-a-service-of-this-agency")
        for place, service in enumerate(attachment.services)
        if services.get(service) != attachment.agency
    ]
    findings += [Finding(f"ports/{n}", "unknown-port") for n, port in enumerate(attachment.ports) if port not in PORTS]
    for name, listed in (("services", attachment.services), ("ports", attachment.ports)):
        if not listed or len(set(listed)) != len(listed):
            findings.append(Finding(name, "empty-or-doubled"))
    if findings:
        raise Refused(*findings)
    return attachment


def _number(text: str) -> int:
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    except (binascii.Error, ValueError) as error:
        raise Refused(Finding("public_key", "not-readable")) from error
