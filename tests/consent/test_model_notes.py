"""Signed notes: what the ledger's key says, and what passes for it nowhere."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consent.model import notes
from consent.model.notes import BadNote, Head, Key, Signer

ORIGIN = "samlogg.test/ledger"
SIGNER = Signer(ORIGIN, b"l" * 32)
ROOT = hashlib.sha256(b"root").digest()


def the_witness(seed: bytes = b"w" * 32, name: str = "witness.test") -> tuple[Ed25519PrivateKey, Key]:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return private, Key(name, notes.WITNESS, private.public_key().public_bytes_raw())


def cosignature(note: str, moment: int = 1_795_348_800, seed: bytes = b"w" * 32, name: str = "witness.test") -> str:
    """A witness's line, written from C2SP tlog-cosignature alone."""
    private, _ = the_witness(seed)
    public = private.public_key().public_bytes_raw()
    id_ = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
    text = note[: note.rindex("\n\n") + 1]
    signed = private.sign(b"cosignature/v1\ntime %d\n" % moment + text.encode())
    return f"— {name} {base64.b64encode(id_ + moment.to_bytes(8, 'big') + signed).decode()}\n"


def test_a_checkpoint_has_the_form_of_tlog_checkpoint() -> None:
    made = SIGNER.checkpoint(42, ROOT)
    text, _, signature = made.note.partition("\n\n")
    assert text.split("\n") == [ORIGIN, "42", base64.b64encode(ROOT).decode()]
    dash, name, encoded = signature.removesuffix("\n").split(" ")
    raw = base64.b64decode(encoded)
    assert (dash, name, raw[:4]) == ("—", ORIGIN, SIGNER.key.id)
    Ed25519PublicKey.from_public_bytes(SIGNER.key.public).verify(raw[4:], f"{text}\n".encode())


def test_a_key_is_written_with_its_name_id_and_kind() -> None:
    public = Ed25519PrivateKey.from_private_bytes(b"l" * 32).public_key().public_bytes_raw()
    id_ = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).hexdigest()[:8]
    material = base64.b64encode(b"\x01" + public).decode()
    assert SIGNER.key.text == f"{ORIGIN}+{id_}+{material}"
    assert notes.key(SIGNER.key.text) == SIGNER.key


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "a b+00000000+AQ==", SIGNER.key.text.replace("ledger", "ledgar"), SIGNER.key.text[:-4], "x+00000000+!"],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        notes.key(text)


def test_the_same_tree_is_always_signed_in_the_same_way() -> None:
    assert SIGNER.checkpoint(7, ROOT) == Signer(ORIGIN, b"l" * 32).checkpoint(7, ROOT)


def test_what_was_signed_is_read_and_nothing_else() -> None:
    made = SIGNER.checkpoint(7, ROOT)
    assert SIGNER.read(made.note) == made
    assert SIGNER.read(made.note + cosignature(made.note)).size == 7
    receipt = SIGNER.receipt(7, ROOT, Head("c" * 32, 3, ROOT))
    others = [
        "", "\n\n", made.note[:-1], made.note.replace("\n7\n", "\n8\n"), receipt,
        Signer(ORIGIN, b"m" * 32).checkpoint(7, ROOT).note, SIGNER.checkpoint(7, b"short").note,
        Signer("samlogg.test/other", b"l" * 32).checkpoint(7, ROOT).note,
        made.note.replace("—", "-"),
    ]  # fmt: skip
    for note in others:
        with pytest.raises(BadNote):
            SIGNER.read(note)


def test_a_receipt_says_whose_how_many_and_which_is_the_last() -> None:
    note = SIGNER.receipt(7, ROOT, Head("c" * 32, 3, b"l" * 32))
    lines = note.split("\n")
    assert lines[:6] == [
        f"{ORIGIN} receipt", "7", base64.b64encode(ROOT).decode(), "c" * 32, "3", base64.b64encode(b"l" * 32).decode(),
    ]  # fmt: skip
    empty = SIGNER.receipt(7, ROOT, Head("c" * 32, 0, b""))
    assert empty[: empty.rindex("\n\n") + 1].split("\n")[3:] == ["c" * 32, "0", "", ""]


def test_a_witnesss_line_is_added_when_it_is_its_signature_of_this_note() -> None:
    made, other = SIGNER.checkpoint(7, ROOT).note, SIGNER.checkpoint(8, ROOT).note
    _, key = the_witness()
    line = cosignature(made)
    assert notes.cosigned(made, f"— somebody else AAAA\n{line}", key) == made + line
    wrong = ["", "yes\n", cosignature(other), cosignature(made, seed=b"v" * 32), cosignature(made, name="other.test")]
    for answer in wrong:
        with pytest.raises(BadNote):
            notes.cosigned(made, answer, key)
    moved = base64.b64decode(line.split(" ")[2])
    later = base64.b64encode(moved[:4] + (5).to_bytes(8, "big") + moved[12:]).decode()
    with pytest.raises(BadNote):
        notes.cosigned(made, f"— witness.test {later}\n", key)
