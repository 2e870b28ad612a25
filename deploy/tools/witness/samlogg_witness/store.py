"""What a witness keeps in its folder: its private key, and what it saw last of each ledger."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samlogg_witness.notes import HASH_BYTES, Malformed, from_base64, to_base64
from samlogg_witness.rules import Seen


class Unusable(Exception):
    """The folder is not one that a witness may go on with: it would forget what it saw, and sign a rewritten ledger."""


class Store:
    """One folder, used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(folder / "lock")
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """At the first start: nothing seen yet, and then a key."""
        if (self._folder / "key").exists():
            return
        if (self._folder / "seen.json").exists() and self.read():
            raise Unusable("the key is gone: put it back, or begin anew in another folder")
        self.write({})
        _write(self._folder / "key", Ed25519PrivateKey.generate().private_bytes_raw())

    def key(self) -> Ed25519PrivateKey:
        """Made at the first start; readable by its owner only."""
        try:
            return Ed25519PrivateKey.from_private_bytes((self._folder / "key").read_bytes())
        except (OSError, ValueError):
            raise Unusable("the key cannot be read") from None

    def read(self) -> dict[str, Seen]:
        """By origin. A file that is gone or broken is an error, never a fresh start."""
        try:
            found = json.loads((self._folder / "seen.json").read_text(encoding="utf-8"))
            seen = {origin: Seen(one["size"], from_base64(one["root"]), one["key"]) for origin, one in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, Malformed):
            raise Unusable("what was seen last cannot be read: put seen.json back") from None
        for one in seen.values():
            if not (type(one.size) is int and one.size >= 0 and len(one.root) == HASH_BYTES and type(one.key) is str):
                raise Unusable("what was seen last cannot be read: put seen.json back")
        return seen

    def write(self, seen: Mapping[str, Seen]) -> None:
        """All of it, durable when this returns: a reader finds the old or the new, nothing between."""
        told = {origin: {"size": one.size, "root": to_base64(one.root), "key": one.key} for origin, one in seen.items()}
        _write(self._folder / "seen.json", json.dumps(told, indent=1, sort_keys=True).encode())

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _locked(path: Path) -> IO[bytes]:
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Unusable("another witness runs in this folder") from None
    return file


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
