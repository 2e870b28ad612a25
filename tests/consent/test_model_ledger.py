"""Leaves of the ledger: one canonical form, salted, and bound to their place."""

import hashlib
import json

import pytest

from consent.model.ledger import NotCanonical, canonical, entry, leaf_hash


def test_the_canonical_form_is_that_of_rfc_8785_for_what_records_hold() -> None:
    value = {"b": [1, True, None], "a": {"z": 'ø\n"', "y": -5}}
    assert canonical(value) == '{"a":{"y":-5,"z":"ø\\n\\""},"b":[1,true,null]}'.encode()


@pytest.mark.parametrize("value", [{"a": 1.5}, {"å": 1}, {"a": {1, 2}}, {1: "a"}, [float("nan")]])
def test_what_has_no_one_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_a_leaf_is_the_hash_of_zero_salt_and_canonical_bytes() -> None:
    assert leaf_hash(b"salt", b"body") == hashlib.sha256(b"\x00saltbody").digest()


def test_a_leaf_commits_to_number_and_previous_leaf() -> None:
    first = entry({"id": "1"}, 1, None, b"s" * 16)
    assert json.loads(first.canonical) == {"previous": None, "record": {"id": "1"}, "sequence": 1}
    second = entry({"id": "2"}, 2, first.leaf, b"s" * 16)
    assert json.loads(second.canonical)["previous"] == first.leaf.hex()
    others = [entry({"id": "2"}, 3, first.leaf, b"s" * 16), entry({"id": "2"}, 2, b"x" * 32, b"s" * 16),
              entry({"id": "2"}, 2, first.leaf, b"t" * 16), entry({"id": "3"}, 2, first.leaf, b"s" * 16)]  # fmt: skip
    assert second.leaf not in {other.leaf for other in others}
