"""The keys of the ledger and of its witness on this machine, as they are written down (LEDGER.md)."""

import base64
import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_stack.vault import Vault

ORIGIN = "samlogg.example/ledger"
WITNESS = "witness.example"
_SIGNS, _COSIGNS = b"\x01", b"\x04"


def ledger_key(vault: Vault) -> str:
    """The ledger's public key: whoever verifies should have it from elsewhere than from the ledger."""
    return _public(ORIGIN, _SIGNS, vault.key("ledger"))


def witness_key(vault: Vault) -> str:
    """The witness's public key."""
    return _public(WITNESS, _COSIGNS, vault.key("witness"))


def _public(name: str, kind: bytes, seed: str) -> str:
    public = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed)).public_key().public_bytes_raw()
    id_ = hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]
    return f"{name}+{id_.hex()}+{base64.b64encode(kind + public).decode()}"
