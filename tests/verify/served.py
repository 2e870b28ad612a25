"""The ledger's documents as the service itself makes them, out of rows that somebody may have changed."""

import json
from typing import Any

from consent.model.notes import Head, Signer
from consent.model.tree import Growth, Hashes, consistency, covered, grow, inclusion, root_of, without
from tests.verify.producer import Document, text64
from tests.verify.rows import Ledger, Row

ORIGIN = "test.example/ledger"


class Served:
    """Protocol `Producer`, on the functions of consent's model."""

    def __init__(self, seed: bytes, origin: str = ORIGIN) -> None:
        self._signer = Signer(origin, seed)
        self.key = self._signer.key.text

    def receipt(self, ledger: Ledger, chain: str) -> Document:
        """Protocol `Producer`."""
        grown, rows = grow(0, b"", ledger.tree), ledger.of(chain)
        root = root_of(grown.edge)
        head = Head(chain, rows[-1].sequence, rows[-1].leaf) if rows else Head(chain, 0, b"")
        return self._document(
            "receipt", checkpoint=self._signer.checkpoint(grown.size, root).note,
            receipt=self._signer.receipt(grown.size, root, head),
        )  # fmt: skip

    def looks(self, ledger: Ledger, chain: str) -> Document:
        """Protocol `Producer`."""
        rows, hashes = ledger.of(chain), Hashes(grow(0, b"", ledger.tree).tiles)
        size = len(ledger.tree)
        places = list(without(sorted({row.index for row in rows}), size))
        nodes = [[*place, text64(hashes.of(covered(place, size)))] for place in places]
        return self.receipt(ledger, chain) | {
            "kind": "samlogg-looks", "chain": chain, "items": [_item(row) for row in rows], "nodes": nodes,
        }  # fmt: skip

    def look(self, ledger: Ledger, index: int) -> Document:
        """Protocol `Producer`."""
        row = next(row for row in ledger.rows if row.index == index)
        grown = grow(0, b"", ledger.tree)
        hashes = Hashes(grown.tiles)
        proof = [text64(hashes.of(part)) for part in inclusion(index, grown.size)]
        return self._document("look", checkpoint=self._checkpoint(grown), **_item(row), proof=proof)

    def consistency(self, ledger: Ledger, first: int) -> Document:
        """Protocol `Producer`."""
        before, grown = grow(0, b"", ledger.tree[:first]), grow(0, b"", ledger.tree)
        hashes = Hashes(grown.tiles)
        proof = [text64(hashes.of(part)) for part in consistency(first, grown.size)]
        return self._document(
            "consistency", first=self._checkpoint(before), second=self._checkpoint(grown), proof=proof
        )  # fmt: skip

    def _checkpoint(self, grown: Growth) -> str:
        return self._signer.checkpoint(grown.size, root_of(grown.edge)).note

    def _document(self, kind: str, **more: Any) -> Document:
        return {"kind": f"samlogg-{kind}", "version": 1, "key": self.key} | more


def _item(row: Row) -> Document:
    if row.erased:
        return {"index": row.index, "sequence": row.sequence, "leaf": text64(row.leaf), "erased": True}
    return {"index": row.index, "salt": text64(row.salt), "entry": json.loads(row.entry)}
