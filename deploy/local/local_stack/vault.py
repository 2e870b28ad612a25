"""Secrets of this one machine: made once, kept in files that only their user can read, handed out as folders."""

import base64
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

KEY_BYTES = 32


class Vault:
    """The folder of secrets. What was made once stays the same until the folder is removed."""

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "kept"
        self._given = folder
        self._lock = threading.Lock()
        self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (folder, self._kept):
            path.chmod(0o700)

    def key(self, name: str) -> str:
        """32 random bytes as base64."""
        return self._once(name, lambda: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())

    def word(self, name: str) -> str:
        """A password of 256 random bits, in letters that need no quoting in URLs, SQL or properties."""
        return self._once(name, lambda: secrets.token_urlsafe(KEY_BYTES))

    def path(self, name: str) -> Path:
        """The file that holds a secret which was already made."""
        return self._kept / name

    def folder_of(self, owner: str, values: Mapping[str, str]) -> Path:
        """A folder with one file for each value, as if it were mounted for `owner`; replaced whole at each start."""
        folder = self._given / owner
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for name, value in values.items():
            write_private(folder / name, value)
        return folder

    def _once(self, name: str, make: Callable[[], str]) -> str:
        path = self._kept / name
        with self._lock:  # two parts that ask at once must get the same
            if not path.exists():
                write_private(path, make())
        return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else could read at any moment; an old one is replaced whole."""
    write_private_bytes(path, text.encode())


def write_private_bytes(path: Path, content: bytes) -> None:
    """The same with bytes."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
