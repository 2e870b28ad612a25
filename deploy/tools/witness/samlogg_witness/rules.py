"""The rules of a witness: what it signs, and what it answers otherwise. Pure: what it saw last is an argument."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samlogg_witness.notes import Key, Posted

EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True)
class Seen:
    """The last checkpoint of one ledger that was signed for, and the ledger's key at that time."""

    size: int
    root: bytes
    key: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Why not: an HTTP status, and the size that was seen last where that helps."""

    status: int
    why: str
    seen: int | None = None


def judge(posted: Posted, keys: Mapping[str, Sequence[Key]], seen: Mapping[str, Seen]) -> Seen | Refused:
    """What is seen from now on, which must be stored before it is signed for; or why not (C2SP tlog-witness)."""
    checkpoint = posted.checkpoint
    trusted = keys.get(checkpoint.origin)
    if trusted is None:
        return Refused(404, "unknown ledger")
    signer = next((key for key in trusted if checkpoint.signed_by(key)), None)
    if signer is None:
        return Refused(403, "not signed by a key of this ledger that is known here")
    if posted.old > checkpoint.size:
        return Refused(400, "the old size is larger than the new one")
    last = seen.get(checkpoint.origin, Seen(0, EMPTY_ROOT, signer.text))
    if posted.old != last.size:
        return Refused(409, "another size was seen last", last.size)
    if checkpoint.size == last.size and checkpoint.root != last.root:
        return Refused(409, "another tree of this size was seen", last.size)
    if not grown(last.size, last.root, checkpoint.size, checkpoint.root, posted.proof):
        return Refused(422, "the proof does not show that the ledger has only grown")
    return Seen(checkpoint.size, checkpoint.root, signer.text)


def grown(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2. From nothing everything grows; to itself a tree grows without a proof."""
    if first in (0, second):
        return not proof and (first == 0 or first_root == second_root) and (second > 0 or second_root == EMPTY_ROOT)
    if not 0 < first < second or not proof:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    parts = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    old = new = parts[0]
    for part in parts[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = _node(part, old), _node(part, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = _node(new, part)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and old == first_root and new == second_root


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
