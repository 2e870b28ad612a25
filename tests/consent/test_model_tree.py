"""The tree: RFC 9162's roots and proofs out of tiles, against a tree built whole and a verifier of its own."""

import hashlib
import random
from collections.abc import Sequence
from functools import cache

import pytest

from consent.model import tree
from consent.model.tree import EMPTY_ROOT, Growth, Hashes, Torn, grow, node_hash, proved, root_of

KNOWN = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
"""The eight inputs of the test vectors of Certificate Transparency."""
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
MANY = [hashlib.sha256(b"leaf %d" % n).digest() for n in range(65_537)]


@cache
def mth(start: int, end: int) -> bytes:
    """RFC 9162, 2.1.1, word for word, over MANY."""
    if end - start < 2:
        return MANY[start] if end > start else EMPTY_ROOT
    k = 1
    while k * 2 < end - start:
        k *= 2
    return node_hash(mth(start, start + k), mth(start + k, end))


def path(m: int, start: int, end: int) -> list[bytes]:
    """RFC 9162, 2.1.3.1, word for word."""
    if end - start == 1:
        return []
    k = 1
    while k * 2 < end - start:
        k *= 2
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m: int, start: int, end: int, whole: bool) -> list[bytes]:
    """RFC 9162, 2.1.4.1, word for word."""
    if m == end - start:
        return [] if whole else [mth(start, end)]
    k = 1
    while k * 2 < end - start:
        k *= 2
    if m <= k:
        return [*subproof(m, start, start + k, whole), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, False), mth(start, start + k)]


def consistent(first: int, second: int, old: bytes, new: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162, 2.1.4.2."""
    if first in (0, second):
        return not proof and (first == 0 or old == new)
    parts = [old, *proof] if first & (first - 1) == 0 else list(proof)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = parts[0]
    for part in parts[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(part, fr), node_hash(part, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, part)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old and sr == new


class Kept:
    """A tree that grew batch by batch, with its tiles as a table keeps them."""

    def __init__(self) -> None:
        self.size, self.edge = 0, b""
        self.tiles: dict[tree.Place, bytes] = {}

    def add(self, leaves: Sequence[bytes]) -> "Kept":
        grown: Growth = grow(self.size, self.edge, leaves)
        self.size, self.edge = grown.size, grown.edge
        for place, added in grown.tiles.items():
            self.tiles[place] = self.tiles.get(place, b"") + added
        return self

    def hashes(self, ranges: Sequence[tree.Range]) -> list[bytes]:
        """Out of those tiles alone that are said to be needed."""
        found = Hashes({place: self.tiles[place] for place in tree.tiles_of(ranges)})
        return [found.of(one) for one in ranges]


@pytest.fixture(scope="module")
def large() -> Kept:
    kept, chance, done = Kept(), random.Random(3), 0
    while done < len(MANY):
        count = min(chance.choice((1, 2, 255, 256, 257, 1_000, 3_000)), len(MANY) - done)
        kept.add(MANY[done : done + count])
        done += count
    return kept


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_published_vectors(size: int) -> None:
    leaves = [hashlib.sha256(b"\x00" + text).digest() for text in KNOWN[:size]]
    assert root_of(grow(0, b"", leaves).edge).hex() == ROOTS[size]


@pytest.mark.parametrize("size", [*range(1, 71), 255, 256, 257, 258])
def test_every_inclusion_proof_of_every_small_tree_is_that_of_the_rfc(size: int) -> None:
    kept = Kept().add(MANY[:size])
    assert root_of(kept.edge) == mth(0, size)
    for index in range(size) if size < 100 else (0, 1, 127, 128, 253, 254, size - 2, size - 1):
        proof = kept.hashes(tree.inclusion(index, size))
        assert proof == path(index, 0, size)
        assert proved(index, size, MANY[index], proof, mth(0, size))


@pytest.mark.parametrize("size", [*range(1, 71), 255, 256, 257, 258])
def test_every_consistency_proof_of_every_small_tree_is_that_of_the_rfc(size: int) -> None:
    kept = Kept().add(MANY[:size])
    for first in range(size + 1) if size < 100 else (0, 1, 2, 63, 64, 128, 200, 254, 255, size):
        if first > size:
            continue
        proof = kept.hashes(tree.consistency(first, size))
        assert proof == (subproof(first, 0, size, True) if first else [])
        assert consistent(first, size, mth(0, first), mth(0, size), proof)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537])
def test_proofs_hold_where_a_third_tier_of_tiles_begins(large: Kept, size: int) -> None:
    [root] = large.hashes([(0, size)])
    assert root == mth(0, size)
    for index in (0, 255, 256, 32_767, 32_768, 65_279, 65_280, 65_534, size - 1):
        proof = large.hashes(tree.inclusion(index, size))
        assert proof == path(index, 0, size)
        assert proved(index, size, MANY[index], proof, root)
        assert len(tree.tiles_of(tree.inclusion(index, size))) <= 6
    for first in (1, 255, 256, 257, 32_768, 65_280, 65_534, 65_535, size):
        proof = large.hashes(tree.consistency(first, size))
        assert proof == subproof(first, 0, size, True)
        assert consistent(first, size, mth(0, first), root, proof)


def test_a_tree_is_the_same_however_it_grew(large: Kept) -> None:
    at_once = Kept().add(MANY)
    assert (at_once.size, at_once.edge, at_once.tiles) == (large.size, large.edge, large.tiles)
    assert root_of(large.edge) == mth(0, len(MANY))


def test_an_earlier_root_is_still_there_when_the_tree_has_grown(large: Kept) -> None:
    for size in (1, 2, 255, 256, 300, 4_096, 40_000):
        assert large.hashes([(0, size)]) == [mth(0, size)]


def test_a_wrong_leaf_place_size_or_part_proves_nothing() -> None:
    size, index = 21, 11
    proof, root = path(index, 0, size), mth(0, size)
    assert proved(index, size, MANY[index], proof, root)
    assert not proved(index, size, MANY[index + 1], proof, root)
    assert not proved(index + 1, size, MANY[index], proof, root)
    assert not proved(size, size, MANY[index], proof, root)
    assert not proved(index, size, MANY[index], proof[:-1], root)
    assert not proved(index, size, MANY[index], [*proof, root], root)
    assert not proved(index, size, MANY[index], [proof[1], proof[0], *proof[2:]], root)
    assert not proved(index, size, MANY[index], proof, mth(0, size + 1))


def test_what_is_asked_for_beyond_the_tree_is_refused(large: Kept) -> None:
    for index, size in ((3, 3), (-1, 3), (0, 0)):
        with pytest.raises(ValueError, match="no such leaf"):
            tree.inclusion(index, size)
    with pytest.raises(ValueError, match="larger"):
        tree.consistency(4, 3)
    with pytest.raises(Torn):
        Hashes(large.tiles).of((0, 70_000))
    with pytest.raises(ValueError, match="edge"):
        grow(3, b"x" * 32, [MANY[0]])


def rebuilt(size: int, given: dict[tree.Place, bytes]) -> bytes:
    """The root out of single leaves and other nodes; each must be used."""
    left = dict(given)

    def root(level: int, index: int) -> bytes:
        if (level, index) in left:
            return left.pop((level, index))
        assert level > 0, "a leaf is not there"
        if (2 * index + 1) << (level - 1) >= size:
            return root(level - 1, 2 * index)
        return node_hash(root(level - 1, 2 * index), root(level - 1, 2 * index + 1))

    found = root((size - 1).bit_length(), 0)
    assert not left
    return found


@pytest.mark.parametrize("seed", range(60))
def test_leaves_and_the_nodes_without_them_give_the_root(large: Kept, seed: int) -> None:
    chance = random.Random(seed)
    size = chance.choice((1, 2, 3, 5, 6, 7, 21, 64, 255, 257, 1_000, 65_535, 65_537))
    chosen = sorted(chance.sample(range(size), chance.randint(0, min(size, 40))))
    nodes = tree.without(chosen, size)
    assert nodes == sorted(nodes)
    ranges = [tree.covered(node, size) for node in nodes]
    given = dict(zip(nodes, large.hashes(ranges), strict=True)) | {(0, index): MANY[index] for index in chosen}
    assert sum(end - start for start, end in ranges) + len(chosen) == size
    assert rebuilt(size, given) == mth(0, size)


def test_no_two_of_the_nodes_could_be_one() -> None:
    assert tree.without([], 0) == []
    assert tree.without([], 6) == [(3, 0)]
    assert tree.without([0], 6) == [(0, 1), (1, 1), (1, 2)]
    assert tree.without([0], 7) == [(0, 1), (1, 1), (2, 1)]
    assert tree.without(list(range(6)), 6) == []
