"""Leaves of the ledger: one canonical form, under pseudonyms, salted, and bound to their place."""

import hashlib
import hmac
import json

import pytest

from consent.model.ledger import LARGEST_INTEGER, NotCanonical, Pseudonyms, canonical, entry, leaf_hash

CHAIN, OTHER = "0" * 32, "1" * 32


def test_the_canonical_form_is_that_of_rfc_8785_for_what_records_hold() -> None:
    value = {"b": [1, True, None], "a": {"z": 'ø\n"\x1f\u2028', "y": -5}}
    assert canonical(value) == '{"a":{"y":-5,"z":"ø\\n\\"\\u001f\u2028"},"b":[1,true,null]}'.encode()
    assert canonical({"a": [LARGEST_INTEGER, -LARGEST_INTEGER]}) == b'{"a":[9007199254740991,-9007199254740991]}'


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1.5}, {"å": 1}, {"a": {1, 2}}, {1: "a"}, [float("nan")], [LARGEST_INTEGER + 1], ["\ud800"],
        {"a": [{"b": b""}]}, 1.5,
    ],
)  # fmt: skip
def test_what_has_no_one_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_a_leaf_is_the_hash_of_zero_salt_and_canonical_bytes() -> None:
    assert leaf_hash(b"salt", b"body") == hashlib.sha256(b"\x00saltbody").digest()


def test_an_entry_is_canonical_as_a_whole() -> None:
    record = canonical({"id": "1", "at": "now"})
    first = entry(CHAIN, record, 1, None, b"s" * 16)
    said = {"chain": CHAIN, "previous": None, "record": {"at": "now", "id": "1"}, "sequence": 1}
    assert json.loads(first.canonical) == said
    assert canonical(said) == first.canonical
    second = entry(CHAIN, record, 2, first.leaf, b"s" * 16)
    assert json.loads(second.canonical)["previous"] == first.leaf.hex()
    assert canonical(json.loads(second.canonical)) == second.canonical
    assert second.leaf == leaf_hash(b"s" * 16, second.canonical)


def test_a_leaf_commits_to_chain_number_previous_leaf_salt_and_record() -> None:
    record, salt, before = canonical({"id": "2"}), b"s" * 16, b"p" * 32
    second = entry(CHAIN, record, 2, before, salt)
    others = [
        entry(OTHER, record, 2, before, salt), entry(CHAIN, record, 3, before, salt),
        entry(CHAIN, record, 2, b"x" * 32, salt), entry(CHAIN, record, 2, None, salt),
        entry(CHAIN, record, 2, before, b"t" * 16), entry(CHAIN, canonical({"id": "3"}), 2, before, salt),
    ]  # fmt: skip
    assert second.leaf not in {other.leaf for other in others}


def test_people_are_called_by_pseudonyms_of_a_key_that_is_the_ledgers_own() -> None:
    names = Pseudonyms(b"h" * 32)
    key = hmac.digest(b"h" * 32, b"samlogg ledger pseudonyms", "sha256")
    assert names.of("somebody") == hmac.digest(key, b"somebody", "sha256").hex()[:32]
    assert names.of("somebody") != names.of("somebody else") != Pseudonyms(b"i" * 32).of("somebody else")


def test_no_id_of_a_person_is_in_a_record_and_every_other_id_is() -> None:
    names = Pseudonyms(b"h" * 32)
    record = {"subject": "child", "actor": {"kind": "person", "id": "mother", "role": None}, "grants": ["g"]}
    assert names.within(record) == {
        "subject": names.of("child"), "actor": {"kind": "person", "id": names.of("mother"), "role": None},
        "grants": ["g"],
    }  # fmt: skip
    assert record["subject"] == "child"
    staff = {"subject": None, "actor": {"kind": "staff", "id": "nurse"}}
    assert names.within(staff) == staff
    assert names.within({"record": "r", "reason": "x"}) == {"record": "r", "reason": "x"}
