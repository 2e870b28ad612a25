"""The documents that people save, in their one form, turned into what the checks need."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from samlogg_verify import notes
from samlogg_verify.notes import Key, Note, base64_bytes
from samlogg_verify.reading import Progress, Unreadable, read
from samlogg_verify.tree import HASH_BYTES, leaf_hash

SALT_BYTES = 16
_HIGHEST_LEVEL = 63
_BEFORE_RECORD = len('{"chain":"","previous":,"record":') + 32
_HEX = re.compile(r"[0-9a-f]{64}")
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list: its place in the ledger, its number, its hash, and what it says of itself.

    chain and record (the hash of its record) are None when it was erased.
    """

    index: int
    sequence: int
    leaf: bytes
    previous: bytes | None = None
    chain: str | None = None
    record: bytes | None = None

    @property
    def erased(self) -> bool:
        """Its content is gone; only its hash is left."""
        return self.record is None


@dataclass(frozen=True, slots=True)
class SavedReceipt:
    """`samlogg-receipt`."""

    key: Key
    checkpoint: Note
    receipt: Note


@dataclass(frozen=True, slots=True)
class Look:
    """`samlogg-look`."""

    key: Key
    checkpoint: Note
    item: Item
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Consistency:
    """`samlogg-consistency`."""

    key: Key
    first: Note
    second: Note
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Looks:
    """`samlogg-looks`: a person's list."""

    key: Key
    checkpoint: Note
    receipt: Note
    chain: str
    items: list[Item]
    nodes: list[tuple[int, int, bytes]]


Document = SavedReceipt | Look | Consistency | Looks


def load(path: Path, progress: Progress | None = None) -> Document:
    """The document in this file, whatever its kind; raises Unreadable."""
    found = read(path, {"items": _item, "nodes": _node}, progress)
    kind = found.get("kind")
    made = _MAKERS.get(kind) if isinstance(kind, str) else None
    if made is None:
        raise Unreadable("This is not a document of a ledger that this program knows.")
    if found.get("version") != 1 or found["version"] is True:
        raise Unreadable("The document has a version that this program does not know.")
    try:
        return made(found)
    except KeyError as error:
        raise Unreadable(f"The document lacks its {error.args[0]}.") from None


def canonical(value: Any) -> bytes:
    """RFC 8785, for what `reading` lets through: names are ASCII, numbers are whole and of no great size."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        raise Unreadable("The file has text that is no text (half a character).") from None


def _item(value: Any) -> Item:
    fault = Unreadable("An entry in the file is not written as it should be.")
    if not isinstance(value, dict):
        raise fault
    if value.keys() == {"index", "sequence", "leaf", "erased"} and value["erased"] is True:
        leaf = base64_bytes(value["leaf"], HASH_BYTES)
        return Item(_number(value["index"]), _number(value["sequence"]), leaf)
    if value.keys() != {"index", "salt", "entry"}:
        raise fault
    return _entry(_number(value["index"]), base64_bytes(value["salt"], SALT_BYTES), value["entry"])


def _entry(index: int, salt: bytes, entry: Any) -> Item:
    fault = Unreadable("An entry in the file is not written as it should be.")
    if not isinstance(entry, dict) or entry.keys() != {"chain", "previous", "record", "sequence"}:
        raise fault
    chain, previous = entry["chain"], entry["previous"]
    if not isinstance(chain, str) or not notes.CHAIN.fullmatch(chain) or not isinstance(entry["record"], dict):
        raise fault
    if previous is not None and not (isinstance(previous, str) and _HEX.fullmatch(previous)):
        raise fault
    sequence, body = _number(entry["sequence"]), canonical(entry)
    before = None if previous is None else bytes.fromhex(previous)
    start = _BEFORE_RECORD + (len("null") if previous is None else HASH_BYTES * 2 + 2)
    record = body[start : -len(f',"sequence":{sequence}}}')]  # names stand in one order: its place is known
    return Item(index, sequence, leaf_hash(salt, body), before, chain, sha256(record).digest())


def _node(value: Any) -> tuple[int, int, bytes]:
    if not isinstance(value, list) or len(value) != 3 or not 0 <= _number(value[0]) <= _HIGHEST_LEVEL:
        raise Unreadable("A part of the file's proof is not written as it should be.")
    return value[0], _number(value[1]), base64_bytes(value[2], HASH_BYTES)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Unreadable("The file has a place or number that is not written as it should be.")
    return value


def _proof(value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > 2 * _HIGHEST_LEVEL:
        raise Unreadable("The file's proof is not written as it should be.")
    return tuple(base64_bytes(part, HASH_BYTES) for part in value)


def _receipt_of(found: Mapping[str, Any]) -> SavedReceipt:
    return SavedReceipt(notes.key(found["key"]), notes.note(found["checkpoint"]), notes.note(found["receipt"]))


def _look_of(found: Mapping[str, Any]) -> Look:
    item = _entry(_number(found["index"]), base64_bytes(found["salt"], SALT_BYTES), found["entry"])
    return Look(notes.key(found["key"]), notes.note(found["checkpoint"]), item, _proof(found["proof"]))


def _consistency_of(found: Mapping[str, Any]) -> Consistency:
    first, second = notes.note(found["first"]), notes.note(found["second"])
    return Consistency(notes.key(found["key"]), first, second, _proof(found["proof"]))


def _looks_of(found: Mapping[str, Any]) -> Looks:
    chain = found["chain"]
    if not isinstance(chain, str) or not notes.CHAIN.fullmatch(chain):
        raise Unreadable("The list does not say whose it is.")
    for name in ("items", "nodes"):
        if not isinstance(found[name], list):
            raise Unreadable("The list is not written as it should be.")
    signed = _receipt_of(found)
    return Looks(signed.key, signed.checkpoint, signed.receipt, chain, found["items"], found["nodes"])


_MAKERS: dict[str, Callable[[Mapping[str, Any]], Document]] = {
    "samlogg-receipt": _receipt_of,
    "samlogg-look": _look_of,
    "samlogg-consistency": _consistency_of,
    "samlogg-looks": _looks_of,
}
