"""The access ledger's leaves: canonical records, each with its salt and its place in the subject's sequence."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LEAF = b"\x00"
"""RFC 9162: a leaf's hash begins with 0x00, an inner node's with 0x01, so one can never pass for the other."""


class NotCanonical(ValueError):
    """A record that has no one canonical form."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record's place: number in its chain (from 1), the leaf before it, its salt, canonical bytes and leaf."""

    sequence: int
    previous: bytes | None
    salt: bytes
    canonical: bytes
    leaf: bytes


def canonical(value: Any) -> bytes:
    """RFC 8785 for what records hold: objects with ASCII names, lists, text, integers, booleans and null."""
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def leaf_hash(salt: bytes, body: bytes) -> bytes:
    """SHA-256 over 0x00, salt and canonical bytes."""
    return hashlib.sha256(_LEAF + salt + body).digest()


def entry(record: Mapping[str, Any], sequence: int, previous: bytes | None, salt: bytes) -> Entry:
    """The record at this place. Number and previous leaf are inside what is hashed: none can be left out unseen."""
    body = canonical(
        {"previous": None if previous is None else previous.hex(), "record": dict(record), "sequence": sequence}
    )
    return Entry(sequence, previous, salt, body, leaf_hash(salt, body))


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if not (isinstance(name, str) and name.isascii()):
                raise NotCanonical("a member's name is not ASCII text")
            _check(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check(inner)
    elif isinstance(value, float) or not isinstance(value, str | int | bool | None):
        raise NotCanonical("only text, integers, booleans and null")
