"""The agency's two RSA key pairs: one that its credential is sealed to, one that signs for its machine client."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from joserfc import jwe
from joserfc.jwk import RSAKey

SEALING = "sealing-key.json"
CLIENT = "client-key.json"


def key(folder: Path, name: str) -> RSAKey:
    """The named key pair; made at the first call, readable by its owner only (mode 0600)."""
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = RSAKey.generate_key(3072, auto_kid=True)
        write_private(path, json.dumps(made.as_dict(private=True)))
    return RSAKey.import_key(json.loads(path.read_text()))


def public_jwk(pair: RSAKey, use: str, algorithm: str) -> dict[str, Any]:
    """The half that may be shown to anyone, as a JSON Web Key."""
    return {**pair.as_dict(private=False), "use": use, "alg": algorithm}


def unseal(sealed: str, pair: RSAKey) -> str:
    """The password inside a compact JWE (RSA-OAEP-256, A256GCM); any other algorithm is refused."""
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    plaintext = jwe.decrypt_compact(sealed, pair, registry=registry).plaintext
    if plaintext is None:
        raise ValueError("the sealed credential is empty")
    return plaintext.decode()


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else could read at any moment; an old one is replaced whole."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
