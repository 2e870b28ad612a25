"""The formats' text is enough: what is written by it alone is what the service writes, and the verifier reads both."""

import json
import random
from base64 import b64decode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from samlogg_verify import tree
from samlogg_verify.documents import _entry, canonical
from tests.stack import Postgres
from tests.verify.producer import Reference, _grown, _nodes, _path, subtree
from tests.verify.rows import Ledger, a_chain, grow
from tests.verify.served import ORIGIN, Served
from tests.verify.stored import Stored

SEED = b"s" * 32


def a_ledger(seed: int, count: int) -> tuple[Ledger, list[str]]:
    chance, ledger = random.Random(seed), Ledger()
    chains = [a_chain(chance) for _ in range(3)]
    grow(ledger, chains, count, chance)
    if count > 4:
        ledger.rows[count // 2].erase()
    return ledger, chains


def test_text_and_service_make_the_same_documents(postgres: Postgres) -> None:
    text = Reference(ORIGIN, Ed25519PrivateKey.from_private_bytes(SEED))
    served = Served(SEED)
    with Stored(postgres.fresh_database("formats"), SEED) as stored:
        for count in (1, 2, 3, 5, 8, 21, 64, 300):
            ledger, chains = a_ledger(count, count)
            for made in (served, stored) if count in (1, 5, 21, 300) else (served,):
                for chain in chains:
                    assert made.looks(ledger, chain) == text.looks(ledger, chain)
                    assert made.receipt(ledger, chain) == text.receipt(ledger, chain)
                assert made.look(ledger, count - 1) == text.look(ledger, count - 1)
                first = count // 2 or 1
                assert made.consistency(ledger, first) == text.consistency(ledger, first)


def test_what_an_entry_says_is_hashed_alone_to_compare_it_with_a_saved_one() -> None:
    ledger, chains = a_ledger(3, 12)
    for row in ledger.of(chains[0]):
        if not row.erased:
            item = _entry(row.index, row.salt, json.loads(row.entry))
            assert (item.leaf, item.record) == (row.leaf, sha256(canonical(row.record)).digest())


LEAVES = [sha256(b"%d" % number).digest() for number in range(40)]


@pytest.mark.parametrize("size", range(1, 40))
def test_every_inclusion_proof_leads_to_the_root_and_no_other_one_does(size: int) -> None:
    leaves = LEAVES[:size]
    root = subtree(leaves)
    for index in range(size):
        proof = _path(index, leaves)
        assert tree.root_by_inclusion(index, size, leaves[index], proof) == root
        for wrong in (proof[1:], [*proof, root], proof[::-1] if len(proof) > 1 else [root]):
            if wrong == proof:
                continue
            try:
                assert tree.root_by_inclusion(index, size, leaves[index], wrong) != root
            except tree.DoesNotFit:
                continue
        for place, claimed in ((size, size), (-1, size), (index, 4 * size)):  # a size that is not the tree's own
            with pytest.raises(tree.DoesNotFit):
                tree.root_by_inclusion(place, claimed, leaves[index], proof)


@pytest.mark.parametrize("second", range(1, 40))
def test_every_consistency_proof_fits_its_two_trees_and_no_others(second: int) -> None:
    new = LEAVES[:second]
    for first in range(1, second):
        old, proof = subtree(LEAVES[:first]), _grown(first, new, whole=True)
        assert tree.consistent(first, old, second, subtree(new), proof)
        forged = [*new[:-1], b"f" * 32]
        assert tree.consistent(first, old, second, subtree(forged), _grown(first, forged, whole=True))
        rewritten = [b"f" * 32, *new[1:]]
        assert not tree.consistent(first, old, second, subtree(rewritten), _grown(first, rewritten, whole=True))
        assert not tree.consistent(first, old, second, subtree(new), proof[:-1])
        assert not tree.consistent(first, old, second, subtree(new), [*proof, old])
        assert not tree.consistent(first, b"f" * 32, second, subtree(new), proof)
    assert tree.consistent(second, subtree(new), second, subtree(new), [])
    assert not tree.consistent(second, subtree(new), second, b"f" * 32, [])
    assert not tree.consistent(second, subtree(new), second - 1, subtree(new[:-1]), [])


@pytest.mark.parametrize("size", range(40))
def test_some_leaves_and_the_other_subtrees_give_the_root(size: int) -> None:
    chance, leaves = random.Random(size), LEAVES[:size]
    for _ in range(20):
        mine = {index for index in range(size) if chance.random() < chance.choice((0.1, 0.5, 0.9))}
        nodes = [(level, index, _raw(text)) for level, index, text in _nodes(leaves, mine, 0)]
        found = tree.root_of_parts(size, [(index, leaves[index]) for index in mine], nodes)
        assert found == subtree(leaves)
        if nodes:
            with pytest.raises(tree.DoesNotFit):
                tree.root_of_parts(size, [(index, leaves[index]) for index in mine], nodes[:-1])


def _raw(text: str) -> bytes:
    return b64decode(text)
