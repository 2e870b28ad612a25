"""Makes the ledger's documents out of rows, by what services/consent/LEDGER.md says and by nothing else of ours."""

import base64
import json
from hashlib import sha256
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.verify.rows import Ledger, Row

Document = dict[str, Any]


class Producer(Protocol):
    """Whoever has the database and the signing key, and believes the database."""

    def receipt(self, ledger: Ledger, chain: str) -> Document:
        """`samlogg-receipt`."""

    def looks(self, ledger: Ledger, chain: str) -> Document:
        """`samlogg-looks`."""

    def look(self, ledger: Ledger, index: int) -> Document:
        """`samlogg-look`."""

    def consistency(self, ledger: Ledger, first: int) -> Document:
        """`samlogg-consistency`, from a smaller size to that of today; both are signed as the tree says now."""


def text64(raw: bytes) -> str:
    """Base64."""
    return base64.b64encode(raw).decode()


def subtree(leaves: list[bytes]) -> bytes:
    """The root over these leaves (RFC 9162, 2.1.1)."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + subtree(leaves[:split]) + subtree(leaves[split:])).digest()


class Reference:
    """The plainest way to write the documents."""

    def __init__(self, origin: str, private: Ed25519PrivateKey) -> None:
        self.origin = origin
        self._private = private
        public = private.public_key().public_bytes_raw()
        self._id = sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
        self.key = f"{origin}+{self._id.hex()}+{text64(bytes([1]) + public)}"

    def note(self, *lines: object) -> str:
        """Signed."""
        text = "".join(f"{line}\n" for line in lines)
        return f"{text}\n— {self.origin} {text64(self._id + self._private.sign(text.encode()))}\n"

    def checkpoint(self, leaves: list[bytes]) -> str:
        """Of the tree with these leaves."""
        return self.note(self.origin, len(leaves), text64(subtree(leaves)))

    def receipt(self, ledger: Ledger, chain: str) -> Document:
        """Protocol `Producer`."""
        rows, leaves = ledger.of(chain), ledger.tree
        number, leaf = (rows[-1].sequence, text64(rows[-1].leaf)) if rows else (0, "")
        signed = self.note(f"{self.origin} receipt", len(leaves), text64(subtree(leaves)), chain, number, leaf)
        return self._document("receipt", checkpoint=self.checkpoint(leaves), receipt=signed)

    def looks(self, ledger: Ledger, chain: str) -> Document:
        """Protocol `Producer`."""
        rows = ledger.of(chain)
        return self.receipt(ledger, chain) | {
            "kind": "samlogg-looks", "chain": chain, "items": [_item(row) for row in rows],
            "nodes": sorted(_nodes(ledger.tree, {row.index for row in rows}, 0)),
        }  # fmt: skip

    def look(self, ledger: Ledger, index: int) -> Document:
        """Protocol `Producer`."""
        row = next(row for row in ledger.rows if row.index == index)
        proof = [text64(part) for part in _path(index, ledger.tree)]
        return self._document("look", checkpoint=self.checkpoint(ledger.tree), **_item(row), proof=proof)

    def consistency(self, ledger: Ledger, first: int) -> Document:
        """Protocol `Producer`."""
        proof = _grown(first, ledger.tree, whole=True) if 0 < first < len(ledger.tree) else []
        return self._document(
            "consistency", first=self.checkpoint(ledger.tree[:first]), second=self.checkpoint(ledger.tree),
            proof=[text64(part) for part in proof],
        )  # fmt: skip

    def _document(self, kind: str, **more: Any) -> Document:
        return {"kind": f"samlogg-{kind}", "version": 1, "key": self.key} | more


def _item(row: Row) -> Document:
    if row.erased:
        return {"index": row.index, "sequence": row.sequence, "leaf": text64(row.leaf), "erased": True}
    return {"index": row.index, "salt": text64(row.salt), "entry": json.loads(row.entry)}


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*_path(index, leaves[:split]), subtree(leaves[split:])]
    return [*_path(index - split, leaves[split:]), subtree(leaves[:split])]


def _grown(first: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    """RFC 9162, 2.1.4.1."""
    if first == len(leaves):
        return [] if whole else [subtree(leaves)]
    split = _split(len(leaves))
    if first <= split:
        return [*_grown(first, leaves[:split], whole=whole), subtree(leaves[split:])]
    return [*_grown(first - split, leaves[split:], whole=False), subtree(leaves[:split])]


def _nodes(leaves: list[bytes], mine: set[int], start: int) -> list[list[Any]]:
    """The largest subtrees without items. `start`: the index of the first of these leaves."""
    if not leaves or (len(leaves) == 1 and start in mine):
        return []
    if mine.isdisjoint(range(start, start + len(leaves))):
        level = (len(leaves) - 1).bit_length()
        return [[level, start >> level, text64(subtree(leaves))]]
    split = _split(len(leaves))
    return _nodes(leaves[:split], mine, start) + _nodes(leaves[split:], mine, start + split)
