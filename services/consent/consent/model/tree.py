"""The Merkle tree of RFC 9162, kept in tiles: how it grows, its roots and its proofs.

Node (level, index) covers the leaves `index << level` up to `(index + 1) << level`. A tile (tier, number) holds up to
256 nodes of level `8 * tier`, from index `256 * number` on, as in C2SP tlog-tiles, and the nodes of the seven levels
above them as well: each node stands right after the last one below it, so a tile only grows, and no proof hashes again
what was hashed before.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

HEIGHT = 8
WIDTH = 1 << HEIGHT
HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
_NODE = b"\x01"

Place: TypeAlias = tuple[int, int]
"""Of a tile: tier and number. Of a node: level and index."""
Range: TypeAlias = tuple[int, int]
"""Leaves from the first number up to, without, the second."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 over 0x01 and both."""
    return hashlib.sha256(_NODE + left + right).digest()


# -- growing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Growth:
    """What appending has made: the new size and edge, and what is to be put at the end of each tile, in this order."""

    size: int
    edge: bytes
    tiles: dict[Place, bytes]


def grow(size: int, edge: bytes, leaves: Sequence[bytes]) -> Growth:
    """Append leaves to a tree. `edge`: the roots of its whole subtrees, the largest first, as Growth gives it."""
    nodes = [edge[at : at + HASH_BYTES] for at in range(0, len(edge), HASH_BYTES)]
    if len(nodes) != size.bit_count():
        raise ValueError("the edge does not fit the size")
    tiles: dict[Place, bytearray] = {}
    for leaf in leaves:
        level, node, rest = 0, leaf, size
        while True:
            tier = level // HEIGHT
            tiles.setdefault((tier, size >> HEIGHT * (tier + 1)), bytearray()).extend(node)
            if not rest & 1:
                break
            node = node_hash(nodes.pop(), node)
            rest >>= 1
            level += 1
        nodes.append(node)
        size += 1
    return Growth(size, b"".join(nodes), {place: bytes(added) for place, added in tiles.items()})


def root_of(edge: bytes) -> bytes:
    """The root of the tree with this edge."""
    if not edge:
        return EMPTY_ROOT
    found = edge[-HASH_BYTES:]
    for at in range(len(edge) - 2 * HASH_BYTES, -1, -HASH_BYTES):
        found = node_hash(edge[at : at + HASH_BYTES], found)
    return found


# -- which ranges a proof is made of, and where they are -----------------------------------------------------------


def inclusion(index: int, size: int) -> list[Range]:
    """The ranges whose hashes prove the leaf in a tree of this size, the lowest first (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    found, start, end = [], 0, size
    while end - start > 1:
        split = start + _left(end - start)
        if index < split:
            found.append((split, end))
            end = split
        else:
            found.append((start, split))
            start = split
    return found[::-1]


def consistency(first: int, second: int) -> list[Range]:
    """The ranges whose hashes prove that the tree of size `second` begins with the other one (RFC 9162, 2.1.4.1)."""
    if not 0 <= first <= second:
        raise ValueError("the first must not be the larger one")
    if first == 0:
        return []
    found, start, end, whole = [], 0, second, True
    while first != end:
        split = start + _left(end - start)
        if first <= split:
            found.append((split, end))
            end = split
        else:
            found.append((start, split))
            start, whole = split, False
    return found[::-1] if whole else [(start, end), *found[::-1]]


def without(indexes: Sequence[int], size: int) -> list[Place]:
    """The largest nodes that hold none of these leaves (ascending, each once), by level and index.

    A node that the tree's end cuts off has the smallest level at which it still covers all that is there.
    """
    found: list[Place] = []
    _without(indexes, 0, len(indexes), 0, size, found)
    return sorted(found)


def _without(indexes: Sequence[int], low: int, high: int, start: int, end: int, found: list[Place]) -> None:
    """Between `start` and `end`, where `indexes[low:high]` are those that lie there."""
    while start < end:
        if low == high:
            level = (end - start - 1).bit_length()
            found.append((level, start >> level))
            return
        if high - low == end - start:
            return
        split = start + _left(end - start)
        middle = bisect_left(indexes, split, low, high)
        _without(indexes, low, middle, start, split, found)
        low, start = middle, split


def covered(place: Place, size: int) -> Range:
    """The leaves that a node covers in a tree of this size."""
    level, index = place
    return index << level, min((index + 1) << level, size)


def tiles_of(ranges: Iterable[Range]) -> set[Place]:
    """The tiles that hold all that the hashes of these ranges are made of."""
    return {
        (level // HEIGHT, index >> HEIGHT - level % HEIGHT)
        for start, end in ranges
        for level, index in _whole(start, end)
    }


def _left(count: int) -> int:
    """The largest power of two below `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1


def _whole(start: int, end: int) -> Iterator[Place]:
    """The whole subtrees that a range is made of, the largest first."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


# -- hashes out of tiles -------------------------------------------------------------------------------------------


class Torn(ValueError):
    """A tile does not hold what a tree of this size must have there."""


class Hashes:
    """The hashes of ranges, out of tiles."""

    def __init__(self, tiles: Mapping[Place, bytes]) -> None:
        self._tiles = tiles

    def of(self, found: Range) -> bytes:
        """The root over a range that is a node of some tree: its start is a multiple of its size, rounded up."""
        start, end = found
        if start == end:
            return EMPTY_ROOT
        nodes = [self._node(level, index) for level, index in _whole(start, end)]
        root = nodes.pop()
        while nodes:
            root = node_hash(nodes.pop(), root)
        return root

    def _node(self, level: int, index: int) -> bytes:
        tier, rise = divmod(level, HEIGHT)
        inside = index & (WIDTH >> rise) - 1
        last = (inside + 1 << rise) - 1
        at = (2 * last - last.bit_count() + rise) * HASH_BYTES
        node = self._tiles.get((tier, index >> HEIGHT - rise), b"")[at : at + HASH_BYTES]
        if len(node) != HASH_BYTES:
            raise Torn("a hash is missing")
        return node


# -- checking our own ----------------------------------------------------------------------------------------------


def proved(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Does the proof lead from the leaf to the root (RFC 9162, 2.1.3.2)?"""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(other, found)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            found = node_hash(found, other)
        at >>= 1
        last >>= 1
    return last == 0 and found == root
