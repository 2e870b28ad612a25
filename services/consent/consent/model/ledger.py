"""The access ledger's leaves: canonical records under pseudonyms, each with its salt and its place in its chain."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

SALT_BYTES = 16
LARGEST_INTEGER = 2**53 - 1
"""RFC 8785 writes numbers as doubles do: beyond this one text would stand for several integers."""

_LEAF = b"\x00"
"""RFC 9162: a leaf's hash begins with 0x00, an inner node's with 0x01, so one can never pass for the other."""
_PURPOSE = b"samlogg ledger pseudonyms"
_DIGITS = 32
_REMEMBERED = 10_000
_NESTED = frozenset({dict, list, tuple})
_encode = msgspec.json.Encoder(order="sorted").encode


class NotCanonical(ValueError):
    """A record that has no one canonical form."""


class Pseudonyms:
    """What the ledger calls people: the same for the same id, and without the secret no way back or forth.

    A list that is given away must not hold the ids that services use.
    """

    def __init__(self, secret: bytes) -> None:
        key = hmac.digest(secret, _PURPOSE, "sha256")
        self._of = lru_cache(_REMEMBERED)(lambda id_: hmac.digest(key, id_.encode(), "sha256").hex()[:_DIGITS])

    def of(self, id_: str) -> str:
        """32 hexadecimal digits."""
        return self._of(id_)

    def within(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record with pseudonyms for the subject, for an actor who is a person, and for whom somebody acted."""
        found = dict(record)
        subject, actor = found.get("subject"), found.get("actor")
        if isinstance(subject, str):
            found["subject"] = self.of(subject)
        if isinstance(actor, Mapping) and actor.get("kind") == "person" and isinstance(actor.get("id"), str):
            found["actor"] = {**actor, "id": self.of(actor["id"])}
        if isinstance(behalf := found.get("on_behalf_of"), str):
            found["on_behalf_of"] = self.of(behalf)
        return found


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in its place: number in its chain (from 1), salt, canonical bytes of the whole entry, and leaf."""

    sequence: int
    salt: bytes
    canonical: bytes
    leaf: bytes


def canonical(value: Any) -> bytes:
    """RFC 8785 for what records hold: objects with ASCII names, lists, text, integers, booleans and null.

    NotCanonical as `check`.
    """
    check(value)
    return _encode(value)


def check(value: Any) -> None:
    """NotCanonical unless the value has a canonical form. A call for each object, not for each text: it is hot."""
    for one in _inside(value):
        kind = type(one)
        if kind is str:
            if not one.isascii():
                _check_text(one)
        elif kind in _NESTED:
            check(one)
        elif kind is int:
            if not -LARGEST_INTEGER <= one <= LARGEST_INTEGER:
                raise NotCanonical("an integer is too large")
        elif one is not None and kind is not bool:
            raise NotCanonical("only text, integers, booleans and null")


def _inside(value: Any) -> Iterable[Any]:
    if type(value) is not dict:
        return value if type(value) in _NESTED else (value,)
    for name in value:
        if type(name) is not str or not name.isascii():
            raise NotCanonical("a member's name is not ASCII text")
    return value.values()


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("half a character") from error


def leaf_hash(salt: bytes, body: bytes) -> bytes:
    """SHA-256 over 0x00, salt and canonical bytes."""
    return hashlib.sha256(_LEAF + salt + body).digest()


def entry(chain: str, record: bytes, sequence: int, previous: bytes | None, salt: bytes) -> Entry:
    """The canonical record at this place. Chain, number and the leaf before are inside what is hashed.

    So no entry can be left out, moved or given to somebody else unseen. `chain` is a pseudonym.
    """
    before = b"null" if previous is None else b'"%b"' % previous.hex().encode()
    body = b'{"chain":"%b","previous":%b,"record":%b,"sequence":%d}' % (chain.encode(), before, record, sequence)
    return Entry(sequence, salt, body, leaf_hash(salt, body))
