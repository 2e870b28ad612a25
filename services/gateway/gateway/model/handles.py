"""Handles: what one audience calls a subject. Reversible for us, without a table, and different for each audience."""

import base64
import binascii
from typing import Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NOBODY = "nobody"
"""The audience of a caller who is logged in but matched to nobody: no handle is ever made for it."""

What = Literal["subject", "event", "place"]

_KEY_BYTES = 64
_SEALED_BYTES = 32
_MOST_KEYS = 10_000
_NOTHING = base64.urlsafe_b64encode(bytes(_SEALED_BYTES)).rstrip(b"=").decode()


def agency_audience(agency: str) -> str:
    """One agency: its staff and its machines call a subject the same."""
    return f"agency:{agency}"


def person_audience(person: str) -> str:
    """One citizen, the same in every session."""
    return f"person:{person}"


def staff_audience(staff: str) -> str:
    """Staff who belong to no agency or to several: nobody shares their handles."""
    return f"staff:{staff}"


class Handles:
    """Makes and opens handles: AES-SIV of the 16 bytes of the id, under a key of its own per audience."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._ciphers: dict[str, AESSIV] = {}

    def to_handle(self, audience: str, subject: str, what: What = "subject") -> str:
        """43 characters of base64url, the same for the same id and audience. ValueError when `subject` is no UUID.

        what: an event's id never gives the handle that the same 16 bytes would give as a subject, nor does a place.
        """
        return _text(self._cipher(audience).encrypt(UUID(subject).bytes, [what.encode()]))

    def subject_of(self, audience: str, handle: str, what: What = "subject") -> str | None:
        """The id, or None when this audience was never given this handle.

        Text that cannot be a handle is opened all the same, so that it takes as long as another audience's handle.
        """
        sealed = _sealed(handle)
        try:
            opened = self._cipher(audience).decrypt(sealed or bytes(_SEALED_BYTES), [what.encode()])
        except InvalidTag:
            return None
        return str(UUID(bytes=opened)) if sealed is not None else None

    def _cipher(self, audience: str) -> AESSIV:
        found = self._ciphers.get(audience)
        if found is None:
            if len(self._ciphers) >= _MOST_KEYS:
                self._ciphers.pop(next(iter(self._ciphers)))
            info = b"samlogg handle 1\0" + audience.encode()
            found = AESSIV(HKDF(SHA256(), _KEY_BYTES, salt=None, info=info).derive(self._key))
            self._ciphers[audience] = found
        return found


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def _sealed(handle: str) -> bytes | None:
    """The bytes of a handle written in the one way we write it: a second spelling would be a second name."""
    fitting = len(handle) == len(_NOTHING)
    text = (handle if fitting else _NOTHING).encode("ascii", "replace")
    try:
        sealed = base64.b64decode(text + b"=", b"-_", validate=True)
    except binascii.Error:
        return None
    return sealed if fitting and _text(sealed) == handle else None
