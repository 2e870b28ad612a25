"""A ledger as its database holds it, made by chance, and what somebody with that database can do to it."""

import json
import random
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

Record = dict[str, Any]

_CATEGORIES = ("school", "health", "family", "leisure", "welfare")
_ROUTES = ("items", "plan", "meetings", "identity")


@dataclass(slots=True)
class Row:
    """One row. `entry` is the canonical text that is hashed with the salt; both are empty when it was erased."""

    index: int
    chain: str
    sequence: int
    salt: bytes
    entry: bytes
    leaf: bytes

    @property
    def erased(self) -> bool:
        """Only its place and its leaf are left."""
        return not self.salt

    def erase(self) -> None:
        """As the service does when it must."""
        self.salt = self.entry = b""

    @property
    def record(self) -> Record:
        """What was recorded."""
        found: Record = json.loads(self.entry)["record"]
        return found


@dataclass(slots=True)
class Ledger:
    """The rows, and beside them the leaves as the tree's own table holds them."""

    rows: list[Row] = field(default_factory=list)
    tree: list[bytes] = field(default_factory=list)

    def copy(self) -> "Ledger":
        """For somebody who then changes it."""
        return deepcopy(self)

    def of(self, chain: str) -> list[Row]:
        """A list's rows, by number."""
        return sorted((row for row in self.rows if row.chain == chain), key=lambda row: row.sequence)

    def append(self, chain: str, record: Record, salt: bytes) -> None:
        """As the service appends: index, number and the leaf before from what is there."""
        before = self.of(chain)
        previous, number = (before[-1].leaf, before[-1].sequence) if before else (None, 0)
        entry = sealed(chain, record, number + 1, previous)
        leaf = leaf_of(salt, entry)
        self.rows.append(Row(len(self.tree), chain, number + 1, salt, entry, leaf))
        self.tree.append(leaf)

    def rebuild(self, *, links: bool = True) -> None:
        """Make everything anew that needs no key: indexes, numbers, links (or not), leaves and the tree."""
        heads: dict[str, tuple[int, bytes | None]] = {}
        for index, row in enumerate(self.rows):
            number, previous = heads.get(row.chain, (0, None))
            told = json.loads(row.entry)
            if not links:
                previous = None if told["previous"] is None else bytes.fromhex(told["previous"])
            row.index, row.sequence = index, number + 1
            row.entry = sealed(row.chain, told["record"], number + 1, previous)
            row.leaf = leaf_of(row.salt, row.entry)
            heads[row.chain] = (number + 1, row.leaf)
        self.tree = [row.leaf for row in self.rows]


def leaf_of(salt: bytes, entry: bytes) -> bytes:
    """A leaf's hash."""
    return sha256(b"\x00" + salt + entry).digest()


def sealed(chain: str, record: Record, sequence: int, previous: bytes | None) -> bytes:
    """The entry in canonical form."""
    told = {
        "chain": chain, "previous": None if previous is None else previous.hex(), "record": record,
        "sequence": sequence,
    }  # fmt: skip
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def a_record(chance: random.Random, chain: str) -> Record:
    """A look, as the gateway records them."""
    number = chance.randrange(10**9)
    return {
        "id": f"{chance.getrandbits(128):032x}", "at": f"2026-10-{1 + number % 28:02}T0{number % 10}:00:00Z",
        "subject": chain, "count": 1, "offset": -number, "route": chance.choice(_ROUTES), "action": "read",
        "basis": "consent",
        "actor": {"kind": "staff", "id": f"w{number % 900}", "services": [f"s{number % 40}"], "role": "nurse",
                  "agency": f"kommune-{number % 7}"},
        "categories": sorted(chance.sample(_CATEGORIES, 2)), "grants": [f"g{number % 5000}"],
        "purpose": chance.choice((None, "oppfølging", "møte \"nå\"\n")),
        "outcome": chance.choice(("answered", "answered", "refused")), "reason": None,
    }  # fmt: skip


def a_chain(chance: random.Random) -> str:
    """A pseudonym."""
    return f"{chance.getrandbits(128):032x}"


def grow(ledger: Ledger, chains: list[str], count: int, chance: random.Random) -> None:
    """Append so many looks, about people at random."""
    for _ in range(count):
        chain = chance.choice(chains)
        ledger.append(chain, a_record(chance, chain), chance.randbytes(16))
