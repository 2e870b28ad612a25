"""The witness signs only what continues what it saw, and forgets nothing by being stopped."""

import asyncio
import base64
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.model import notes as ours
from local_stack.ports import any_port
from samlogg_verify import notes as verifier
from samlogg_witness import notes
from samlogg_witness.app import create_app
from samlogg_witness.rules import Seen
from samlogg_witness.store import Store, Unusable
from tests.witness.log import ORIGIN, Log

NAME = "witness.test"
NOW = 1_790_856_000

Posts = Callable[[bytes], Any]


@asynccontextmanager
async def running(folder: Path, *logs: Log) -> AsyncIterator[tuple[Posts, notes.Key]]:
    """A witness in this process that knows these ledgers; `post(body)` gives (status, text, content type)."""
    store = Store(folder)
    app, key = create_app(NAME, [notes.key(log.signer.key) for log in logs], store, lambda: NOW + 0.9)
    async with TestClient[web.Request, web.Application](TestServer(app)) as client:

        async def post(body: bytes) -> tuple[int, str, str]:
            async with client.post("/add-checkpoint", data=body) as answer:
                return answer.status, await answer.text(), answer.content_type

        try:
            yield post, key
        finally:
            store.close()


async def test_it_signs_a_ledger_that_grows_and_the_line_is_a_cosignature(tmp_path: Path) -> None:
    log = Log()
    async with running(tmp_path, log) as (post, key):
        for old, size in ((0, 1), (1, 7), (7, 8), (8, 8), (8, 33)):
            status, line, _ = await post(log.body(old, size))
            assert status == 200
            assert line.startswith(f"— {NAME} ")
            assert line.endswith("\n")
            signed = base64.b64decode(line.split(" ")[2])
            text = log.note(size).partition("\n\n")[0] + "\n"
            message = f"cosignature/v1\ntime {NOW}\n{text}".encode()
            assert (signed[:4], int.from_bytes(signed[4:12])) == (key.id, NOW)
            Ed25519PublicKey.from_public_bytes(key.public).verify(signed[12:], message)


async def test_the_service_and_the_verifier_both_take_its_line(tmp_path: Path) -> None:
    log = Log()
    async with running(tmp_path, log) as (post, key):
        _, line, _ = await post(log.body(0, 5))
    note = ours.cosigned(log.note(5), line, ours.key(key.text))
    assert note == log.note(5) + line
    witness = verifier.key(key.text, verifier.WITNESS)
    assert verifier.check_signature(verifier.note(note), witness) == NOW


async def test_an_old_size_that_is_not_the_last_one_is_answered_with_the_last_one(tmp_path: Path) -> None:
    log = Log()
    async with running(tmp_path, log) as (post, _):
        assert (await post(log.body(3, 9)))[:2] == (409, "0\n")
        await post(log.body(0, 9))
        assert await post(log.body(0, 12)) == (409, "9\n", "text/x.tlog.size")
        assert (await post(log.body(5, 12)))[:2] == (409, "9\n")
        assert (await post(log.body(0, 7)))[:2] == (409, "9\n")  # back
        assert (await post(log.body(9, 12)))[0] == 200


async def test_a_rewritten_ledger_gets_no_signature_however_it_is_posted(tmp_path: Path) -> None:
    log, rewritten = Log(), Log()
    rewritten.leaves[4] = b"f" * 32
    async with running(tmp_path, log) as (post, _):
        await post(log.body(0, 9))
        assert (await post(rewritten.body(9, 20)))[0] == 422
        assert (await post(rewritten.body(9, 20, log.proof(9, 20))))[0] == 422
        assert (await post(rewritten.body(9, 20, [])))[0] == 422
        assert (await post(log.body(9, 20, [*log.proof(9, 20), b"f" * 32])))[0] == 422
        assert (await post(rewritten.body(9, 9)))[:2] == (409, "9\n")
        assert (await post(log.body(9, 20)))[0] == 200
    assert json.loads((tmp_path / "seen.json").read_text())[ORIGIN]["size"] == 20


async def test_an_unknown_ledger_and_an_unknown_key_are_refused(tmp_path: Path) -> None:
    log, other, forged = Log(), Log("other.test/ledger", b"o" * 32), Log(seed=b"f" * 32)
    async with running(tmp_path, log) as (post, _):
        assert (await post(other.body(0, 3)))[0] == 404
        assert (await post(forged.body(0, 3)))[0] == 403
        spoiled = log.note(3).replace("\n3\n", "\n4\n")
        assert (await post(f"old 0\n\n{spoiled}".encode()))[0] == 403
    assert json.loads((tmp_path / "seen.json").read_text()) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"old", b"old 0", b"old 0\n\n", b"new 0\n\n%s", b"old 00\n\n%s", b"old -1\n\n%s", b"old 1 \n\n%s",
        b"old 0\nAAAA\n\n%s", b"old 0\n\nx", b"old 0\n\n%s\n", b"old 9\n\n%s", b"\xff\xfe", b"x" * 70_000,
        b"old 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\n%s", b"old 0\r\n\r\n%s", b"old 99999999999999999\n\n%s",
    ],
)  # fmt: skip
async def test_what_is_malformed_is_refused_and_changes_nothing(tmp_path: Path, body: bytes) -> None:
    log = Log()
    async with running(tmp_path, log) as (post, _):
        assert (await post(body.replace(b"%s", log.note(5).encode())))[0] == 400
    assert json.loads((tmp_path / "seen.json").read_text()) == {}


async def test_a_checkpoint_with_an_empty_line_in_it_is_malformed(tmp_path: Path) -> None:
    log = Log()
    root = log.note(5).split("\n")[2]
    async with running(tmp_path, log) as (post, _):
        for more, status in ((["", "x"], 400), (["x"], 200)):
            note = log.signer.note(ORIGIN, 5, root, *more)
            assert (await post(f"old 0\n\n{note}".encode()))[0] == status


def test_a_witness_s_key_is_not_taken_for_a_ledger_s() -> None:
    key = notes.Key("a", notes.WITNESS, b"k" * 32)
    with pytest.raises(notes.Malformed):
        notes.key(key.text)
    assert notes.key(notes.Key("a", notes.LEDGER, b"k" * 32).text).public == key.public


async def test_two_that_come_at_once_cannot_both_be_signed_from_the_same_past(tmp_path: Path) -> None:
    log = Log()
    async with running(tmp_path, log) as (post, _):
        await post(log.body(0, 5))
        answers = await asyncio.gather(*(post(log.body(5, size)) for size in range(6, 26)))
    assert sorted(status for status, *_ in answers) == [200] + [409] * 19


async def test_it_remembers_across_a_restart_and_keeps_its_key(tmp_path: Path) -> None:
    log, other = Log(), Log("other.test/ledger", b"o" * 32)
    async with running(tmp_path, log, other) as (post, first):
        await post(log.body(0, 9))
        await post(other.body(0, 3))
    async with running(tmp_path, log, other) as (post, second):
        assert first == second
        assert (await post(log.body(0, 4)))[:2] == (409, "9\n")
        assert (await post(log.body(9, 10)))[0] == 200
        assert (await post(other.body(3, 4)))[0] == 200
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".new"]


async def test_it_has_stored_what_it_saw_before_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    async with running(tmp_path, log) as (post, _):
        await post(log.body(0, 5))

        def fails(*_: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(Store, "write", fails)
        assert (await post(log.body(5, 9)))[0] == 500
        monkeypatch.undo()
        assert (await post(log.body(5, 7)))[0] == 200


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": {"size": -1, "root": "AAAA", "key": ""}}',
                                     '{"a": {"size": "1", "root": "AAAA", "key": ""}}'])  # fmt: skip
def test_what_it_saw_that_cannot_be_read_stops_it(tmp_path: Path, content: str) -> None:
    Store(tmp_path).close()
    (tmp_path / "seen.json").write_text(content)
    with Store(tmp_path) as store, pytest.raises(Unusable):
        store.read()


@pytest.mark.parametrize("gone", ["seen.json", "key"])
def test_it_does_not_begin_anew_where_something_is_gone(tmp_path: Path, gone: str) -> None:
    with Store(tmp_path) as store:
        store.write({ORIGIN: Seen(3, b"r" * 32, "key")})
    (tmp_path / gone).unlink()
    with pytest.raises(Unusable), Store(tmp_path) as store:
        store.read()


def test_a_first_start_that_was_cut_short_begins_again(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "key").unlink()  # it is made last
    with Store(tmp_path) as store:
        assert (store.read(), bool(store.key())) == ({}, True)


def test_the_program_prints_its_key_serves_and_lets_no_second_one_in(tmp_path: Path) -> None:
    log, port = Log(), any_port()
    settings = {"WITNESS_NAME": NAME, "WITNESS_FOLDER": str(tmp_path / "w"), "WITNESS_LEDGERS": log.signer.key,
                "WITNESS_PORT": str(port)}  # fmt: skip
    command = [sys.executable, "-m", "samlogg_witness"]
    env = os.environ | settings
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        key = verifier.key(child.stdout.readline(), verifier.WITNESS)
        assert key.name == NAME
        answer = None
        for _ in range(100):
            try:
                answer = httpx.post(f"http://127.0.0.1:{port}/add-checkpoint", content=log.body(0, 5), trust_env=False)
                break
            except httpx.ConnectError:
                assert child.poll() is None
                time.sleep(0.05)
        assert answer is not None
        assert answer.status_code == 200
        second = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
        assert (second.returncode, second.stdout) == (2, "")
        assert "another witness runs in this folder" in second.stderr
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
        child.communicate()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "no ledger's key"), ({"WITNESS_LEDGERS": "x"}, "not a key"), ({"WITNESS_NAME": "two words"}, "one word"),
        ({"WITNESS_LEDGERS": f"{NAME}+00000000+AAAA"}, "not"),
    ],
)  # fmt: skip
def test_it_says_plainly_why_it_cannot_start(tmp_path: Path, settings: dict[str, str], why: str) -> None:
    command = [sys.executable, "-m", "samlogg_witness", "--folder", str(tmp_path / "w")]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
