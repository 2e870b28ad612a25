"""Keys and signed notes: C2SP `signed-note`, `tlog-checkpoint` and `tlog-cosignature`, and the ledger's receipt."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from samlogg_verify.reading import Unreadable
from samlogg_verify.report import Wrong
from samlogg_verify.tree import HASH_BYTES

LEDGER, WITNESS = 1, 4
"""Signature types: Ed25519 over the text; Ed25519 over the text with a time before it."""
_LARGEST_NOTE = 1 << 16
_MOST_SIGNATURES = 64
_NAME = re.compile(r"[^\s+]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")
CHAIN = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Key:
    """Whose signature is looked for."""

    name: str
    type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """First four bytes of the hash over name, type and key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]


@dataclass(frozen=True, slots=True)
class Note:
    """A signed text. Nothing in it counts before a signature was checked."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger at one size."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """One list at one size of the ledger: number and hash of its last entry."""

    size: int
    root: bytes
    chain: str
    sequence: int
    leaf: bytes


def base64_bytes(value: object, length: int | None = None) -> bytes:
    """Strict base64 in its one form; raises Unreadable."""
    if isinstance(value, str):
        try:
            found = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            found = None
        if found is not None and length in (None, len(found)) and base64.b64encode(found).decode() == value:
            return found
    raise Unreadable("The file has a hash, salt or signature that is not written as it should be.")


def key(text: object, wanted: int = LEDGER) -> Key:
    """`<name>+<id>+<base64 of type and key>`; raises Unreadable."""
    fault = Unreadable("A key is not written as it should be.")
    if not isinstance(text, str) or len(parts := text.strip().split("+", 2)) != 3:
        raise fault
    name, id_, encoded = parts
    material = base64_bytes(encoded, HASH_BYTES + 1)
    if not _NAME.fullmatch(name) or material[0] not in (LEDGER, WITNESS):
        raise fault
    found = Key(name, material[0], material[1:])
    if found.id.hex() != id_:
        raise fault
    if found.type != wanted:
        raise Unreadable("This is a key of another kind: a ledger's and a witness's are not the same.")
    return found


def note(value: object) -> Note:
    """Text and signature lines; raises Unreadable."""
    fault = Unreadable("A checkpoint or receipt in the file is not written as it should be.")
    if not isinstance(value, str) or len(value) > _LARGEST_NOTE or "\n\n" not in value or not value.endswith("\n"):
        raise fault
    if any(character < " " and character != "\n" for character in value):
        raise fault
    end = value.rindex("\n\n")
    lines = value[end + 2 : -1].split("\n")
    signatures = []
    for line in lines:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "—" or not _NAME.fullmatch(words[1]) or len(lines) > _MOST_SIGNATURES:
            raise fault
        signed = base64_bytes(words[2])
        if len(signed) < 5:
            raise fault
        signatures.append((words[1], signed[:4], signed[4:]))
    return Note(value[: end + 1], tuple(signatures))


def check_signature(found: Note, by: Key) -> int | None:
    """The note carries this key's signature, or Wrong is raised. A witness's time (POSIX seconds) is returned."""
    mine = [signed for name, id_, signed in found.signatures if name == by.name and id_ == by.id]
    if not mine:
        raise Wrong(("unknown-key",), f"The signature is not by the key of {by.name} that you trust: unknown key.")
    try:
        text = found.text.encode()
    except UnicodeEncodeError:
        raise Unreadable("A checkpoint or receipt in the file is not text.") from None
    moment = None
    for signed in mine:
        message = text
        if by.type == WITNESS:
            moment = int.from_bytes(signed[:8])
            message, signed = b"cosignature/v1\ntime %d\n" % moment + text, signed[8:]
        try:
            Ed25519PublicKey.from_public_bytes(by.public).verify(signed, message)
        except (InvalidSignature, ValueError):
            raise Wrong(("signature",), f"The signature of {by.name} does not fit: the text was changed.") from None
    return moment


def checkpoint(found: Note, origin: str) -> Checkpoint:
    """What a checked checkpoint says; one of another ledger is Wrong."""
    lines = found.text.removesuffix("\n").split("\n")
    if len(lines) != 3:
        raise Unreadable("A checkpoint in the file is not written as it should be.")
    _of(lines[0], origin)
    return Checkpoint(_size(lines[1]), base64_bytes(lines[2], HASH_BYTES))


def receipt(found: Note, origin: str) -> Receipt:
    """What a checked receipt says; one of another ledger is Wrong."""
    lines = found.text.removesuffix("\n").split("\n")
    if len(lines) != 6 or not CHAIN.fullmatch(lines[3]) or not lines[0].endswith(" receipt"):
        raise Unreadable("A receipt in the file is not written as it should be.")
    _of(lines[0].removesuffix(" receipt"), origin)
    sequence = _size(lines[4])
    leaf = base64_bytes(lines[5], HASH_BYTES if sequence else 0)
    return Receipt(_size(lines[1]), base64_bytes(lines[2], HASH_BYTES), lines[3], sequence, leaf)


def _of(found: str, origin: str) -> None:
    if found != origin:
        raise Wrong(("other-ledger",), f"This is from another ledger ({found[:100]}), not from {origin}.")


def _size(text: str) -> int:
    if not _SIZE.fullmatch(text):
        raise Unreadable("A checkpoint or receipt in the file has a number that is not written as it should be.")
    return int(text)
