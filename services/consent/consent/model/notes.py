"""Signed notes of the ledger (C2SP signed-note): checkpoints, receipts, and a witness's cosignatures."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent.model.tree import HASH_BYTES

NAME = r"^[^\s+]{1,120}$"
"""Of a key: no white space and no plus. The ledger's name, its origin, is its key's."""

LEDGER, WITNESS = b"\x01", b"\x04"
"""Signature types: Ed25519 over the text; Ed25519 over the text with a time before it (C2SP tlog-cosignature)."""

_ID_BYTES, _TIME_BYTES, _SIGNATURE_BYTES = 4, 8, 64
_LARGEST_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class BadNote(ValueError):
    """Not a note in this form, or not signed by the key. Its text tells which, never what was there."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with the name it signs under."""

    name: str
    kind: bytes
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that tell a key among others of the same name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """As it is written down: `<name>+<id>+<base64>`."""
        return f"{self.name}+{self.id.hex()}+{_base64(self.kind + self.public)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed of the whole tree. `note` is the text with its signatures."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain at some size of the tree; number 0 and no leaf where there is none."""

    chain: str
    sequence: int
    leaf: bytes


class Signer:
    """Signs for one ledger. The signature over the same text is always the same one."""

    def __init__(self, origin: str, seed: bytes) -> None:
        self.origin = origin
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = Key(origin, LEDGER, self._private.public_key().public_bytes_raw())

    def checkpoint(self, size: int, root: bytes) -> Checkpoint:
        """The checkpoint of a tree."""
        return Checkpoint(size, root, self._signed(f"{self.origin}\n{size}\n{_base64(root)}\n"))

    def receipt(self, size: int, root: bytes, head: Head) -> str:
        """The note by which a chain is known to be this long in the tree of this size.

        Its first line is no checkpoint's: nobody can pass one for the other.
        """
        lines = (f"{self.origin} receipt", size, _base64(root), head.chain, head.sequence, _base64(head.leaf))
        return self._signed("".join(f"{line}\n" for line in lines))

    def read(self, note: str) -> Checkpoint:
        """A checkpoint that this very key has signed; BadNote for everything else."""
        text, lines = _parts(note)
        if not any(_fits(self.key, line, text.encode()) for line in lines):
            raise BadNote("not signed by this key")
        said = text.removesuffix("\n").split("\n")
        if len(said) != 3 or said[0] != self.origin or not _LARGEST_SIZE.fullmatch(said[1]):
            raise BadNote("not a checkpoint of this ledger")
        root = _bytes(said[2])
        if len(root) != HASH_BYTES:
            raise BadNote("not a checkpoint of this ledger")
        return Checkpoint(int(said[1]), root, note)

    def _signed(self, text: str) -> str:
        signature = self._private.sign(text.encode())
        return f"{text}\n— {self.origin} {_base64(self.key.id + signature)}\n"


def key(text: str) -> Key:
    """A public key as it is written down; BadNote when it is not one."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not re.match(NAME, parts[0]):
        raise BadNote("not a key")
    material = _bytes(parts[2])
    found = Key(parts[0], material[:1], material[1:])
    if found.kind not in (LEDGER, WITNESS) or len(found.public) != HASH_BYTES or found.id.hex() != parts[1]:
        raise BadNote("not a key")
    return found


def cosigned(note: str, answer: str, witness: Key) -> str:
    """The note with the witness's line out of its answer; BadNote when no line there is its signature of this note."""
    text, _ = _parts(note)
    for line in answer.splitlines():
        signed = _signature(witness, line)
        if signed is None or len(signed) != _TIME_BYTES + _SIGNATURE_BYTES:
            continue
        message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signed[:_TIME_BYTES]) + text.encode()
        if _verifies(witness, signed[_TIME_BYTES:], message):
            return f"{note}{line}\n"
    raise BadNote("not signed by the witness")


def _parts(note: str) -> tuple[str, list[str]]:
    at = note.rfind("\n\n")
    if at < 0 or not note.endswith("\n"):
        raise BadNote("not a signed note")
    return note[: at + 1], note[at + 2 : -1].split("\n")


def _fits(by: Key, line: str, message: bytes) -> bool:
    signed = _signature(by, line)
    return signed is not None and _verifies(by, signed, message)


def _signature(by: Key, line: str) -> bytes | None:
    """What the line says after the key's id, if it speaks for this key."""
    words = line.split(" ")
    if len(words) != 3 or words[:2] != ["—", by.name]:
        return None
    try:
        signed = _bytes(words[2])
    except BadNote:
        return None
    return signed[_ID_BYTES:] if signed[:_ID_BYTES] == by.id else None


def _verifies(by: Key, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(by.public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("not base64") from error
