"""A small ledger with its documents as files, and the program run on them."""

import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samlogg_verify.__main__ import main
from tests.verify.producer import Document, Reference
from tests.verify.rows import Ledger, a_chain, grow

ORIGIN = "samlogg.test/ledger"


@dataclass(slots=True)
class Desk:
    """`said` runs the program and returns its code and what it told as JSON; `words` what it tells people."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    producer: Reference = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    mine: str = field(init=False)
    other: str = field(init=False)

    def __post_init__(self) -> None:
        self.producer = Reference(ORIGIN, Ed25519PrivateKey.from_private_bytes(self.chance.randbytes(32)))
        self.mine, self.other = a_chain(self.chance), a_chain(self.chance)
        self.grow(30)

    def grow(self, count: int) -> None:
        """More looks, of both people."""
        grow(self.ledger, [self.mine, self.other], count, self.chance)

    def file(self, name: str, content: Document | str | bytes) -> Path:
        """Saved under this name."""
        path = self.folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    def receipt(self) -> Document:
        return self.producer.receipt(self.ledger, self.mine)

    def looks(self) -> Document:
        return self.producer.looks(self.ledger, self.mine)

    def proof(self, first: int) -> Document:
        return self.producer.consistency(self.ledger, first)

    def said(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        code = main([*(str(one) for one in arguments), "--json"])
        printed = self.capsys.readouterr()
        assert printed.err == ""
        return code, json.loads(printed.out)

    def words(self, *arguments: object) -> tuple[int, str]:
        code = main([str(one) for one in arguments])
        return code, self.capsys.readouterr().out


def kinds(said: dict[str, Any]) -> set[str]:
    return {kind for one in said["found"] for kind in one["kinds"]}
