"""What the verifier says of honest documents, of wrong ones, and of what it cannot know."""

import base64
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.verify.desk import ORIGIN, Desk, kinds
from tests.verify.producer import Document, Reference, subtree, text64
from tests.verify.rows import Row, leaf_of, sealed


def another_key(origin: str = ORIGIN) -> Reference:
    return Reference(origin, Ed25519PrivateKey.from_private_bytes(b"z" * 32))


# -- honest ones ---------------------------------------------------------------------------------------------------


def test_a_list_against_a_receipt_says_what_is_proved_and_what_is_not_covered(desk: Desk) -> None:
    saved, size = desk.file("receipt", desk.receipt()), len(desk.ledger.tree)
    covered = len(desk.ledger.of(desk.mine))
    desk.grow(10)
    now = len(desk.ledger.of(desk.mine))
    looks, proof = desk.file("looks", desk.looks()), desk.file("proof", desk.proof(size))
    code, said = desk.said("list", looks, "--receipt", saved, "--proof", proof, "--key", desk.producer.key)
    assert (code, said["verdict"], said["found"]) == (0, "fine", [])
    assert f"Entries 1 to {covered} are exactly what your receipt was made for." in said["proved"]
    assert "The ledger has only grown since your receipt was made." in said["proved"]
    wanted = f"Entries {covered + 1} to {now} are newer than your receipt. Save this file: it covers that too."
    assert said["not_covered"] == [wanted]


def test_without_the_proof_of_growth_the_rest_of_the_ledger_is_said_not_to_be_covered(desk: Desk) -> None:
    saved = desk.file("receipt", desk.receipt())
    desk.grow(10)
    code, said = desk.said("list", desk.file("looks", desk.looks()), "--receipt", saved, "--key", desk.producer.key)
    assert code == 0
    assert any("Whether the ledger has only grown" in text for text in said["not_covered"])


def test_a_receipt_for_an_empty_list_covers_that_it_was_empty(desk: Desk) -> None:
    desk.mine = "0" * 32
    saved, size = desk.file("receipt", desk.receipt()), len(desk.ledger.tree)
    code, _ = desk.said("export", desk.file("empty", desk.looks()))
    assert code == 0
    desk.grow(4)
    code, _ = desk.said("list", desk.file("looks", desk.looks()), "--receipt", saved, "--proof",
                        desk.file("proof", desk.proof(size)))  # fmt: skip
    assert code == 0
    first = next(row for row in desk.ledger.rows if row.index < size)
    first.chain = desk.mine
    desk.ledger.rebuild()
    code, said = desk.said("list", desk.file("looks", desk.looks()), "--receipt", saved, "--proof",
                           desk.file("proof", desk.proof(size)))  # fmt: skip
    assert (code, "forked" in kinds(said)) == (1, True)


def test_an_empty_ledger_can_be_exported_and_checked(desk: Desk) -> None:
    desk.ledger.rows.clear()
    desk.ledger.tree.clear()
    assert desk.said("export", desk.file("looks", desk.looks()))[0] == 0


def test_one_look_is_proved_in_its_tree(desk: Desk) -> None:
    for index in range(len(desk.ledger.tree)):
        look = desk.file("look", desk.producer.look(desk.ledger, index))
        code, said = desk.said("look", look, "--key", desk.producer.key)
        assert (code, said["found"]) == (0, [])
    assert said["not_covered"] == ["Whether the list has other looks: only a whole list shows that."]


def test_two_checkpoints_are_compared_from_any_documents(desk: Desk) -> None:
    size, old = len(desk.ledger.tree), desk.file("old", desk.receipt())
    desk.grow(9)
    new, proof = desk.file("new", desk.looks()), desk.file("proof", desk.proof(size))
    code, said = desk.said("checkpoints", old, new, "--proof", proof, "--key", old)
    assert (code, said["proved"]) == (0, [f"The ledger has only grown, from {size} entries to {size + 9}."])
    assert desk.said("checkpoints", proof, "--key", old)[0] == 0
    assert desk.said("checkpoints", old, old)[0] == 0
    assert kinds(desk.said("checkpoints", old, new)[1]) == {"other-tree"}
    assert kinds(desk.said("checkpoints", new, old)[1]) == {"cut"}


def test_without_a_saved_key_it_says_plainly_that_it_believed_the_file(desk: Desk) -> None:
    code, told = desk.words("export", desk.file("looks", desk.looks()))
    assert code == 0
    assert "FINE." in told
    assert "Whether the key is the right one: none was given (--key), so the one in the file was believed." in told
    _, told = desk.words("export", desk.folder / "looks", "--key", desk.producer.key)
    assert "believed" not in told


# -- erasure -------------------------------------------------------------------------------------------------------


def test_erased_entries_keep_their_place_and_are_shown(desk: Desk) -> None:
    size, saved = len(desk.ledger.tree), desk.file("receipt", desk.receipt())
    desk.grow(5)
    rows = desk.ledger.of(desk.mine)
    rows[3].erase()
    looks = desk.file("looks", desk.looks())
    code, said = desk.said("list", looks, "--receipt", saved, "--proof", desk.file("proof", desk.proof(size)))
    assert code == 0
    assert any(text.startswith("What was erased: entry 4 (1 in all).") for text in said["not_covered"])
    assert any(text.startswith("Entries 1 to") for text in said["proved"])


def test_before_an_erased_entry_a_receipt_alone_covers_nothing_and_the_report_says_so(desk: Desk) -> None:
    size, saved = len(desk.ledger.tree), desk.file("receipt", desk.receipt())
    desk.grow(5)
    rows = desk.ledger.of(desk.mine)
    _rewrite(desk, rows[1])
    leaves = [row.leaf for row in rows]
    rows[3].leaf, rows[4].leaf = leaves[3], leaves[4]
    rows[3].erase()
    looks, proof = desk.file("looks", desk.looks()), desk.file("proof", desk.proof(size))
    code, said = desk.said("list", looks, "--receipt", saved)
    assert code == 0
    assert any(text.startswith("What stands before entry 4: that entry was erased.") for text in said["not_covered"])
    code, said = desk.said("list", looks, "--receipt", saved, "--proof", proof)
    assert (code, "forked" in kinds(said)) == (1, True)


def _rewrite(desk: Desk, row: Row) -> None:
    """Change an entry, and the links between it and the one that will be erased; what comes after stays true."""
    whole = desk.ledger.copy()
    row.entry = row.entry.replace(b'"count":1', b'"count":7')
    desk.ledger.rebuild()
    for mine, true in zip(desk.ledger.rows, whole.rows, strict=True):
        if mine.chain == desk.mine and mine.sequence > 3:
            mine.entry, mine.leaf = true.entry, true.leaf
    desk.ledger.tree = [one.leaf for one in desk.ledger.rows]


# -- keys and signatures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["look", "export", "list", "checkpoints"])
def test_a_file_under_an_unknown_key_is_wrong(desk: Desk, command: str) -> None:
    trusted, saved = desk.producer.key, desk.file("receipt", desk.receipt())
    desk.producer = another_key()
    documents: dict[str, Document] = {
        "look": desk.producer.look(desk.ledger, 3), "export": desk.looks(), "list": desk.looks(),
        "checkpoints": desk.proof(12),
    }  # fmt: skip
    file = desk.file("file", documents[command])
    more = ["--receipt", saved] if command == "list" else []
    code, said = desk.said(command, file, *more, "--key", trusted)
    assert (code, kinds(said)) == (1, {"unknown-key"})
    if command == "list":
        assert kinds(desk.said(command, file, *more)[1]) == {"unknown-key"}


def test_a_checkpoint_that_another_key_has_signed_under_the_trusted_name_is_wrong(desk: Desk) -> None:
    false = another_key().looks(desk.ledger, desk.mine)
    file = desk.file("looks", false | {"key": desk.producer.key})
    assert kinds(desk.said("export", file)[1]) == {"unknown-key"}


def test_a_file_that_names_another_key_than_the_trusted_one_is_wrong_even_if_that_one_signed_it(desk: Desk) -> None:
    file = desk.file("looks", desk.looks() | {"key": another_key().key})
    assert kinds(desk.said("export", file, "--key", desk.producer.key)[1]) == {"unknown-key"}


def test_a_signature_over_another_text_is_wrong(desk: Desk) -> None:
    looks = desk.looks()
    size = len(desk.ledger.tree)
    looks["checkpoint"] = looks["checkpoint"].replace(f"\n{size}\n", f"\n{size - 1}\n")
    assert kinds(desk.said("export", desk.file("looks", looks))[1]) == {"signature"}


def test_a_receipt_of_another_ledger_is_wrong(desk: Desk) -> None:
    elsewhere = another_key("elsewhere.test/ledger").receipt(desk.ledger, desk.mine)
    looks, saved = desk.file("looks", desk.looks()), desk.file("receipt", elsewhere)
    assert kinds(desk.said("list", looks, "--receipt", saved)[1]) == {"other-ledger"}
    assert kinds(desk.said("list", looks, "--receipt", saved, "--key", desk.producer.key)[1]) == {"unknown-key"}


def test_a_checkpoint_under_another_name_is_wrong_even_if_the_trusted_key_signed_it(desk: Desk) -> None:
    looks, size = desk.looks(), len(desk.ledger.tree)
    other = desk.producer.note("elsewhere.test/ledger", size, text64(subtree(desk.ledger.tree)))
    assert kinds(desk.said("export", desk.file("looks", looks | {"checkpoint": other}))[1]) == {"other-ledger"}


def test_a_checkpoint_cannot_pass_for_a_receipt_nor_a_receipt_for_a_checkpoint(desk: Desk) -> None:
    looks = desk.looks()
    for name, other in (("checkpoint", "receipt"), ("receipt", "checkpoint")):
        code, said = desk.said("export", desk.file("looks", looks | {name: looks[other]}))
        assert (code, kinds(said)) == (2, {"malformed"})


# -- wrong documents -----------------------------------------------------------------------------------------------


def test_a_receipt_newer_than_the_export_is_told_apart_from_nothing_wrong(desk: Desk) -> None:
    looks = desk.file("looks", desk.looks())
    desk.grow(6)
    code, said = desk.said("list", looks, "--receipt", desk.file("receipt", desk.receipt()))
    assert (code, "cut" in kinds(said)) == (1, True)
    assert any("older than your receipt" in one["text"] for one in said["found"])


def test_the_receipt_of_another_person_is_wrong(desk: Desk) -> None:
    saved = desk.file("receipt", desk.producer.receipt(desk.ledger, desk.other))
    code, said = desk.said("list", desk.file("looks", desk.looks()), "--receipt", saved)
    assert (code, "other-list" in kinds(said)) == (1, True)


def test_a_proof_for_another_tree_is_wrong(desk: Desk) -> None:
    size, saved = len(desk.ledger.tree), desk.file("receipt", desk.receipt())
    desk.grow(10)
    looks, wrong = desk.file("looks", desk.looks()), desk.file("proof", desk.proof(size - 1))
    assert kinds(desk.said("list", looks, "--receipt", saved, "--proof", wrong)[1]) == {"other-tree"}
    document = desk.proof(size)
    document["proof"] = document["proof"][::-1]
    assert kinds(desk.said("checkpoints", desk.file("proof", document))[1]) == {"forked", "other-tree"}


def test_two_signed_checkpoints_of_one_size_are_a_fork_whatever_the_proof_shows(desk: Desk) -> None:
    size, saved = len(desk.ledger.tree), desk.file("receipt", desk.receipt())
    desk.grow(10)
    other = desk.producer.checkpoint([*desk.ledger.tree[: size - 1], b"f" * 32])
    looks, proof = desk.file("looks", desk.looks()), desk.file("proof", desk.proof(size) | {"first": other})
    assert kinds(desk.said("list", looks, "--receipt", saved, "--proof", proof)[1]) == {"forked"}


def test_a_list_must_carry_its_own_receipt_for_its_own_tree(desk: Desk) -> None:
    looks, others = desk.looks(), desk.producer.receipt(desk.ledger, desk.other)
    assert "other-list" in kinds(desk.said("export", desk.file("looks", looks | {"receipt": others["receipt"]}))[1])
    leaves, last = desk.ledger.tree, desk.ledger.of(desk.mine)[-1]
    lines = [f"{ORIGIN} receipt", len(leaves), text64(subtree(leaves)), desk.mine, last.sequence, text64(last.leaf)]
    for at, wrong, kind in (
        (1, len(leaves) - 1, "other-tree"), (2, text64(b"r" * 32), "other-tree"), (5, text64(b"l" * 32), "edited"),
        (4, last.sequence + 1, "truncated"), (4, last.sequence - 1, "inserted"),
    ):  # fmt: skip
        signed = desk.producer.note(*lines[:at], wrong, *lines[at + 1 :])
        code, said = desk.said("export", desk.file("looks", looks | {"receipt": signed}))
        assert (code, kind in kinds(said)) == (1, True), wrong
    assert desk.producer.note(*lines) == looks["receipt"]


def test_a_receipt_that_kept_an_entry_back_is_found_out_by_its_place(desk: Desk) -> None:
    leaves, size, before = desk.ledger.tree, len(desk.ledger.tree), desk.ledger.of(desk.mine)[-2]
    lines = [f"{ORIGIN} receipt", size, text64(subtree(leaves)), desk.mine, before.sequence, text64(before.leaf)]
    saved = desk.file("receipt", desk.receipt() | {"receipt": desk.producer.note(*lines)})
    desk.grow(5)
    proof = desk.file("proof", desk.proof(size))
    code, said = desk.said("list", desk.file("looks", desk.looks()), "--receipt", saved, "--proof", proof)
    assert (code, kinds(said)) == (1, {"inserted", "reordered", "dropped"})


def test_an_entry_that_stands_in_the_ledger_before_the_one_it_follows_is_told(desk: Desk) -> None:
    rows, tree = desk.ledger.of(desk.mine), desk.ledger.tree
    rows[2].index, rows[3].index = rows[3].index, rows[2].index
    tree[rows[2].index], tree[rows[3].index] = rows[2].leaf, rows[3].leaf
    code, said = desk.said("export", desk.file("looks", desk.looks()))
    assert (code, kinds(said)) == (1, {"reordered", "swapped"})


def test_an_entry_that_says_it_is_another_person_s_is_told_even_where_all_hashes_fit(desk: Desk) -> None:
    rows = desk.ledger.of(desk.mine)
    row, before = rows[-1], rows[-2]
    row.entry = sealed(desk.other, row.record, row.sequence, before.leaf)
    row.leaf = leaf_of(row.salt, row.entry)
    desk.ledger.tree = [one.leaf for one in desk.ledger.rows]
    code, said = desk.said("export", desk.file("looks", desk.looks()))
    assert (code, kinds(said)) == (1, {"swapped", "inserted"})


@pytest.mark.parametrize("index", [0, 7, 29])
def test_a_look_with_the_proof_of_another_place_or_tree_is_wrong(desk: Desk, index: int) -> None:
    look, other = (desk.producer.look(desk.ledger, place) for place in (index, (index + 1) % 30))
    assert "other-tree" in kinds(desk.said("look", desk.file("look", look | {"proof": other["proof"]}))[1])
    assert "other-tree" in kinds(desk.said("look", desk.file("look", look | {"index": other["index"]}))[1])
    assert "other-tree" in kinds(desk.said("look", desk.file("look", look | {"proof": look["proof"][1:]}))[1])
    changed = look["entry"] | {"record": look["entry"]["record"] | {"count": 9}}
    assert "edited" in kinds(desk.said("look", desk.file("look", look | {"entry": changed}))[1])


def test_an_export_whose_last_entries_were_taken_out_is_not_whole(desk: Desk) -> None:
    looks = desk.looks()
    looks["items"] = looks["items"][:-2]
    code, said = desk.said("export", desk.file("looks", looks))
    assert (code, "truncated" in kinds(said)) == (1, True)


def test_an_export_with_the_proof_of_another_tree_is_wrong(desk: Desk) -> None:
    looks = desk.looks()
    desk.grow(8)
    code, said = desk.said("export", desk.file("looks", looks | {"nodes": desk.looks()["nodes"]}))
    assert (code, "other-tree" in kinds(said)) == (1, True)


@pytest.mark.parametrize("change", ["more", "less", "twice", "moved", "hash"])
def test_nodes_must_cover_the_tree_exactly_once(desk: Desk, change: str) -> None:
    looks = desk.looks()
    nodes: list[list[Any]] = looks["nodes"]
    level, index, found = nodes[0]
    changes: dict[str, list[list[Any]]] = {
        "more": [*nodes, [0, len(desk.ledger.tree), found]], "less": nodes[1:], "twice": [*nodes, nodes[0]],
        "moved": [[level, index + 1, found], *nodes[1:]], "hash": [[level, index, text64(b"x" * 32)], *nodes[1:]],
    }  # fmt: skip
    code, said = desk.said("export", desk.file("looks", looks | {"nodes": changes[change]}))
    assert (code, "other-tree" in kinds(said)) == (1, True)


def test_entries_in_another_order_are_told_even_where_all_hashes_fit(desk: Desk) -> None:
    looks = desk.looks()
    looks["items"][2], looks["items"][5] = looks["items"][5], looks["items"][2]
    assert kinds(desk.said("export", desk.file("looks", looks))[1]) >= {"reordered"}


def test_a_saved_file_that_was_tampered_with_itself_is_told(desk: Desk) -> None:
    saved = desk.looks()
    saved["items"][2]["entry"]["record"]["count"] = 9
    code, said = desk.said("list", desk.file("looks", desk.looks()), "--receipt", desk.file("saved", saved))
    assert code == 1
    assert said["found"][0]["text"].startswith("Your saved file: ")


def test_a_saved_list_names_the_very_entry_that_was_changed(desk: Desk) -> None:
    size, saved = len(desk.ledger.tree), desk.file("saved", desk.looks())
    row = desk.ledger.of(desk.mine)[4]
    row.entry = row.entry.replace(b'"count":1', b'"count":9')
    desk.ledger.rebuild()
    desk.grow(3)
    code, told = desk.words("list", desk.file("looks", desk.looks()), "--receipt", saved, "--proof",
                            desk.file("proof", desk.proof(size)))  # fmt: skip
    assert code == 1
    assert "SOMETHING IS WRONG." in told
    assert "! Entry 5 does not say what it said before." in told
    assert "Kind: changed afterwards" in told
    assert "there are two versions" in told


# -- the witness ---------------------------------------------------------------------------------------------------


def test_a_witness_s_line_is_checked_when_its_key_is_given(desk: Desk) -> None:
    private = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
    name, public = "witness.test", private.public_key().public_bytes_raw()
    looks = desk.looks()
    line, key = _cosigned(private, name, public, looks["checkpoint"])
    code, said = desk.said("export", desk.file("looks", looks), "--witness-key", key)
    assert (code, kinds(said)) == (1, {"not-witnessed"})
    seen = looks | {"checkpoint": looks["checkpoint"] + line}
    code, said = desk.said("export", desk.file("looks", seen), "--witness-key", desk.file("w", key))
    assert code == 0
    assert any("witness.test saw this checkpoint" in text and "2026-10-01 12:00:00" in text for text in said["proved"])
    false = _cosigned(private, name, public, looks["checkpoint"].replace("\n30\n", "\n29\n"))[0]
    spoiled = desk.file("looks", looks | {"checkpoint": looks["checkpoint"] + false})
    code, said = desk.said("export", spoiled, "--witness-key", key)
    assert (code, kinds(said)) == (1, {"signature"})
    assert desk.said("export", desk.folder / "looks", "--witness-key", desk.producer.key)[0] == 2


def _cosigned(private: Ed25519PrivateKey, name: str, public: bytes, note: str) -> tuple[str, str]:
    at = 1_790_856_000
    text = note[: note.rindex("\n\n") + 1]
    id_ = sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    signature = private.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
    line = f"— {name} {text64(id_ + at.to_bytes(8) + signature)}\n"
    return line, f"{name}+{id_.hex()}+{base64.b64encode(bytes([4]) + public).decode()}"
