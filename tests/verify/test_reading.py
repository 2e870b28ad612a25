"""Whatever a file holds: a plain message and a code, never a traceback, and never more memory than it deserves."""

import json
import random
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from samlogg_verify import reading
from samlogg_verify.reading import Unreadable
from tests.verify.desk import Desk, kinds


def text_of(desk: Desk, **changes: object) -> str:
    return json.dumps(desk.looks() | changes)


MALFORMED: dict[str, str | bytes] = {
    "nothing": "", "no object": "[]", "text": '"samlogg-looks"', "not JSON": "FINE.", "not text": b"\xff\xfe\x00{",
    "a mark before it": b'\xef\xbb\xbf{"kind": "samlogg-looks"}', "no kind": "{}", "a name that is no text": "{1: 2}",
    "another kind": '{"kind": "samlogg-other", "version": 1}', "a kind that is a list": '{"kind": ["x"], "version": 1}',
    "nothing but a kind": '{"kind": "samlogg-looks", "version": 1}', "a comma too many": '{"a": 1,}',
    "items that are no list": '{"kind": "samlogg-looks", "version": 1, "items": {}}',
    "items of text": '{"kind": "samlogg-looks", "version": 1, "items": ["a"]}',
    "deep objects without end": '{"a":' * 50_000,
}  # fmt: skip

WITHIN = {
    "a name twice": '{"b": 1, "b": 2}', "not a number": "NaN", "endless": "-Infinity", "a fraction": "1.0",
    "an exponent": "1e3", "a huge number": "9" * 5_000, "a large number": "9007199254740992",
    "a large number below zero": "-9007199254740992", "deep lists": "[" * 5_000 + "]" * 5_000,
    "deep objects": '{"a":' * 5_000 + "1" + "}" * 5_000, "a very long text": '"' + "x" * 3_000_000 + '"',
    "a name not in ASCII": '{"å": 1}', "a comma too many": "[1,]",
    "a control sign in text": '"\t"', "a comment": "1 // x",
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("command", ["export", "look", "checkpoints"])
def test_what_is_no_document_is_refused_in_plain_words(desk: Desk, command: str, name: str) -> None:
    code, said = desk.said(command, desk.file("file", MALFORMED[name]))
    assert (code, said["verdict"], len(said["found"])) == (2, "unreadable", 1)
    assert kinds(said) <= {"malformed", "truncated"}


@pytest.mark.parametrize("name", WITHIN)
def test_what_could_be_understood_in_two_ways_or_without_bound_is_refused_anywhere(desk: Desk, name: str) -> None:
    whole = text_of(desk)
    assert desk.said("export", desk.file("file", f'{{"more": {{"a": 9007199254740991}}, {whole[1:]}'))[0] == 0
    code, said = desk.said("export", desk.file("file", f'{{"more": {WITHIN[name]}, {whole[1:]}'))
    assert (code, kinds(said)) == (2, {"malformed"})


def test_a_document_with_a_second_one_or_a_member_twice_is_refused(desk: Desk) -> None:
    whole = text_of(desk)
    assert desk.said("export", desk.file("file", whole + "{}"))[0] == 2
    assert desk.said("export", desk.file("file", f'{{"version": 1, {whole[1:]}'))[0] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key", "a+b"), ("key", 7), ("key", "n+00000000+" + "A" * 44), ("checkpoint", "x"), ("checkpoint", None),
        ("checkpoint", "a\n1\nAAAA\n\n"), ("receipt", "a\n\n— a AAAA\n"), ("chain", "x"), ("chain", 1), ("items", None),
        ("items", 5), ("nodes", {}), ("nodes", [[64, 0, "A" * 43 + "="]]), ("nodes", [[0, -1, "A" * 43 + "="]]),
        ("nodes", [[0, 0, "A" * 43]]), ("nodes", [[True, 0, "A" * 43 + "="]]), ("nodes", [0]), ("items", [{}]),
        ("items", [{"index": 0, "salt": "", "entry": {}}]), ("version", "1"), ("version", None),
        ("version", True), ("version", 2),
    ],
)  # fmt: skip
def test_a_list_with_a_member_of_the_wrong_form_is_refused(desk: Desk, name: str, value: object) -> None:
    assert desk.said("export", desk.file("file", text_of(desk, **{name: value})))[0] == 2


def test_a_key_with_another_id_or_of_another_type_is_refused(desk: Desk) -> None:
    name, id_, public = desk.producer.key.split("+", 2)
    for key in (f"{name}+{'0' * 8}+{public}", f"{name}+0x{id_[2:]}+{public}", f"{name}+{id_}+{public[:-1]}",
                f"{name} +{id_}+{public}", f"{name}+{id_}+{public}+", f"+{id_}+{public}"):  # fmt: skip
        assert desk.said("export", desk.file("file", text_of(desk, key=key)))[0] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"salt": "AAAA"}, {"salt": "A" * 20 + "AB=="}, {"index": True}, {"index": -1}, {"index": "0"}, {"more": 1},
        {"entry": []}, {"entry": {"chain": "x"}},
    ],
)  # fmt: skip
def test_an_entry_of_the_wrong_form_is_refused(desk: Desk, change: dict[str, object]) -> None:
    looks = desk.looks()
    looks["items"][1] |= change
    assert desk.said("export", desk.file("file", looks))[0] == 2


@pytest.mark.parametrize(
    "change",
    [{"chain": "X" * 32}, {"previous": "AB"}, {"previous": "A" * 64}, {"sequence": -1}, {"sequence": True},
     {"record": []}, {"record": {"a": "\ud800"}}, {"more": 1}],
)  # fmt: skip
def test_what_an_entry_says_in_the_wrong_form_is_refused(desk: Desk, change: dict[str, object]) -> None:
    looks = desk.looks()
    looks["items"][1]["entry"] |= change
    assert desk.said("export", desk.file("file", looks))[0] == 2


def test_a_file_that_ends_too_early_is_called_not_whole_wherever_it_ends(desk: Desk) -> None:
    whole = text_of(desk)
    for end in [*range(1, len(whole) - 1, 97), len(whole) - 1]:
        code, said = desk.said("export", desk.file("file", whole[:end]))
        assert (code, kinds(said)) == (2, {"truncated"}), whole[max(0, end - 30) : end]


def test_a_file_that_is_not_there_or_a_folder_is_told(desk: Desk) -> None:
    for path in (desk.folder / "none", desk.folder):
        code, said = desk.said("export", path)
        assert (code, said["verdict"]) == (2, "unreadable")
    looks = desk.file("looks", desk.looks())
    for more in (["--key", "nonsense"], ["--key", desk.folder], ["--witness-key", "x" * 300], ["--key", "a\0b"]):
        assert desk.said("export", looks, *more)[0] == 2


@pytest.mark.parametrize("wrong", ["look", "consistency", "receipt"])
def test_a_document_of_another_kind_than_asked_for_is_refused(desk: Desk, wrong: str) -> None:
    documents = {"look": desk.producer.look(desk.ledger, 1), "consistency": desk.proof(4), "receipt": desk.receipt()}
    file, looks = desk.file("wrong", documents[wrong]), desk.file("looks", desk.looks())
    assert desk.said("export", file)[0] == 2
    assert desk.said("look", looks)[0] == 2
    if wrong != "consistency":
        assert desk.said("list", looks, "--receipt", looks, "--proof", file)[0] == 2
        assert desk.said("checkpoints", file)[0] == 2
    if wrong != "receipt":
        assert desk.said("list", looks, "--receipt", file)[0] == 2


def test_a_document_changed_anywhere_by_chance_never_passes_and_never_crashes(desk: Desk) -> None:
    seed = random.randrange(10**6)
    chance, whole = random.Random(seed), text_of(desk).encode()
    key = desk.producer.key
    for turn in range(400):
        changed = bytearray(whole)
        at = chance.randrange(len(changed))
        how = turn % 3
        if how == 0:
            changed[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            del changed[at : at + chance.randint(1, 40)]
        else:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
        code, said = desk.said("export", desk.file("file", bytes(changed)), "--key", key)
        same = code == 0 and json.loads(bytes(changed)) == desk.looks()  # one letter may be written in two ways
        assert code in (1, 2) or same, f"seed {seed}, turn {turn}: {said}"


def test_white_space_and_unknown_members_change_nothing(desk: Desk) -> None:
    looks = desk.looks() | {"made": "later", "more": [{"a": None}]}
    file = desk.file("file", json.dumps(looks, indent=3).replace("\n", "\r\n\t"))
    assert desk.said("export", file)[0] == 0


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_it_makes_no_difference_where_a_piece_of_the_file_ends(
    desk: Desk, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK", chunk)
    numbers = ", ".join(f'"n{number}": {10**15 + number}' for number in range(40))
    assert desk.said("export", desk.file("file", f"{{{numbers}, {text_of(desk)[1:]}"))[0] == 0
    assert desk.said("export", desk.file("file", text_of(desk)[:-1]))[0] == 2


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(reading.LARGEST_FILE + 1)
    with pytest.raises(Unreadable, match="too large"):
        reading.read(path, {})


def test_a_large_file_of_nonsense_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "nonsense"
    with path.open("w") as file:
        file.write('{"kind": "samlogg-looks", "version": 1, "items": [')
        for _ in range(100):
            file.write('{"index": 1, "salt": "' + "x" * 1_000_000)
    command = [sys.executable, "-m", "samlogg_verify", "export", str(path), "--json"]
    limit = 600 << 20
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")
    assert json.loads(done.stdout)["verdict"] == "unreadable"
