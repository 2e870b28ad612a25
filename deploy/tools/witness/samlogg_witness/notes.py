"""The text forms: keys, signed checkpoints, cosignatures, and what a ledger posts (C2SP signed-note, tlog-*)."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LEDGER, WITNESS = b"\x01", b"\x04"
HASH_BYTES = 32
MOST_PROOF_LINES = 63
_MOST_SIGNATURES = 64
_NAME = re.compile(r"[^\s+]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class Malformed(ValueError):
    """Not in the form that it should have. Its text tells what, never what was there."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key and the name it signs under."""

    name: str
    kind: bytes
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes that tell it among others."""
        return hashlib.sha256(self.name.encode() + b"\n" + self.kind + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """`<name>+<id>+<base64>`."""
        return f"{self.name}+{self.id.hex()}+{to_base64(self.kind + self.public)}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it was posted; its signatures are still to be checked."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    def signed_by(self, key: Key) -> bool:
        """Does it carry a signature of this key? One that does not verify spoils the note."""
        mine = [signed for name, id_, signed in self.signatures if name == key.name and id_ == key.id]
        try:
            for signed in mine:
                Ed25519PublicKey.from_public_bytes(key.public).verify(signed, self.text.encode())
        except (InvalidSignature, ValueError):
            return False
        return bool(mine)


@dataclass(frozen=True, slots=True)
class Posted:
    """The body of `add-checkpoint`."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: Checkpoint


def key(text: str) -> Key:
    """A ledger's key as it is written down."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise Malformed("this is not a key")
    material = from_base64(parts[2])
    found = Key(parts[0], material[:1], material[1:])
    if found.kind != LEDGER or len(found.public) != HASH_BYTES or found.id.hex() != parts[1]:
        raise Malformed("this is not a ledger's key")
    return found


def posted(body: bytes) -> Posted:
    """Old size, proof and checkpoint; Malformed otherwise."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("this is not text") from None
    head, empty, note = text.partition("\n\n")
    lines = head.split("\n")
    word, _, size = lines[0].partition(" ")
    if not empty or word != "old" or len(lines) > MOST_PROOF_LINES + 1:
        raise Malformed("this is not what a ledger posts")
    proof = tuple(_hash(line) for line in lines[1:])
    return Posted(_number(size), proof, checkpoint(note))


def checkpoint(note: str) -> Checkpoint:
    """A signed checkpoint; lines after the third are kept and signed, and mean nothing here."""
    end = note.rfind("\n\n")
    if end < 0 or not note.endswith("\n") or any(one < " " and one != "\n" for one in note):
        raise Malformed("this is not a signed note")
    text, below = note[: end + 1], note[end + 2 : -1].split("\n")
    said = text[:-1].split("\n")
    if len(said) < 3 or "" in said or len(below) > _MOST_SIGNATURES:
        raise Malformed("this is not a checkpoint")
    return Checkpoint(text, said[0], _number(said[1]), _hash(said[2]), tuple(_signature(line) for line in below))


def cosign(checkpoint: Checkpoint, private: Ed25519PrivateKey, own: Key, at: int) -> str:
    """One `cosignature/v1` line. at: POSIX seconds."""
    signature = private.sign(f"cosignature/v1\ntime {at}\n{checkpoint.text}".encode())
    return f"— {own.name} {to_base64(own.id + at.to_bytes(8) + signature)}\n"


def to_base64(raw: bytes) -> str:
    """The standard alphabet with padding."""
    return base64.b64encode(raw).decode()


def from_base64(text: str) -> bytes:
    """Strict: one text for one value."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("this is not base64") from None
    if to_base64(found) != text:
        raise Malformed("this is not base64")
    return found


def _signature(line: str) -> tuple[str, bytes, bytes]:
    words = line.split(" ")
    if len(words) != 3 or words[0] != "—" or not _NAME.fullmatch(words[1]):
        raise Malformed("this is not a signature line")
    signed = from_base64(words[2])
    return words[1], signed[:4], signed[4:]


def _hash(text: str) -> bytes:
    found = from_base64(text)
    if len(found) != HASH_BYTES:
        raise Malformed("this is not a hash")
    return found


def _number(text: str) -> int:
    if not _SIZE.fullmatch(text):
        raise Malformed("this is not a size")
    return int(text)
