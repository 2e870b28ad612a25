"""The Merkle tree of RFC 9162, section 2.1, seen from outside: proofs are checked, nothing is built."""

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


class DoesNotFit(Exception):
    """A proof has parts that do not fit the tree it is said to be for."""


def leaf_hash(salt: bytes, entry: bytes) -> bytes:
    """The salt has one fixed length: else its border to the entry could be moved."""
    return hashlib.sha256(b"\x00" + salt + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """An inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that the proof leads to (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise DoesNotFit
    fn, sn, found = index, size - 1, leaf
    for part in proof:
        if sn == 0:
            raise DoesNotFit
        if fn & 1 or fn == sn:
            found = node_hash(part, found)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, part)
        fn, sn = fn >> 1, sn >> 1
    if sn != 0:
        raise DoesNotFit
    return found


def consistent(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Has the second tree grown out of the first? (RFC 9162, 2.1.4.2; from an empty tree everything grows)."""
    if first == second or first == 0:
        return not proof and (first_root == second_root if first == second else first_root == EMPTY)
    if first > second or not proof:
        return False
    parts = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = parts[0]
    for part in parts[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = node_hash(part, old), node_hash(part, new)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, part)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and old == first_root and new == second_root


def root_of_parts(size: int, leaves: Iterable[tuple[int, bytes]], nodes: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The root of a tree of which some leaves (index, hash) and the other subtrees (level, index, hash) are given.

    Together they must cover every leaf exactly once; raises DoesNotFit otherwise.
    """
    parts = [(index, 0, found) for index, found in leaves]
    parts += [(index << level, level, found) for level, index, found in nodes]
    parts.sort(key=lambda part: part[0])
    stack: list[tuple[int, bytes]] = []  # (level, hash) of whole subtrees, the largest first; the last may be cut
    covered = 0
    for start, level, part in parts:
        if start != covered or start >= size:
            raise DoesNotFit
        covered = min(start + (1 << level), size)
        here, found = level, part
        while stack and covered == start + (1 << level) and stack[-1][0] == here and (covered >> here) & 1 == 0:
            found = node_hash(stack.pop()[1], found)
            here += 1
        stack.append((here, found))
    if covered != size:
        raise DoesNotFit
    if not stack:
        return EMPTY
    _, root = stack.pop()
    while stack:
        root = node_hash(stack.pop()[1], root)
    return root
