"""A ledger as a witness sees it, and what it posts."""

from collections.abc import Sequence
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.verify.producer import Reference, _grown, text64

ORIGIN = "samlogg.test/ledger"


class Log:
    """Some leaves, signed."""

    def __init__(self, origin: str = ORIGIN, seed: bytes = b"l" * 32) -> None:
        self.signer = Reference(origin, Ed25519PrivateKey.from_private_bytes(seed))
        self.leaves = [sha256(b"%d" % number).digest() for number in range(60)]

    def note(self, size: int) -> str:
        """The checkpoint of this size."""
        return self.signer.checkpoint(self.leaves[:size])

    def proof(self, old: int, size: int) -> list[bytes]:
        """That the tree has only grown."""
        return _grown(old, self.leaves[:size], whole=True) if 0 < old < size else []

    def body(self, old: int, size: int, proof: Sequence[bytes] | None = None) -> bytes:
        """What is posted to `add-checkpoint`."""
        parts = self.proof(old, size) if proof is None else proof
        return "\n".join([f"old {old}", *(text64(part) for part in parts), "", self.note(size)]).encode()
