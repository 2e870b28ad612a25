"""The example agency's keys, settings, feed records, status door, and that it imports nothing of ours."""

from __future__ import annotations

import ast
import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import ConsumerRecord
from joserfc import jwe
from joserfc.errors import UnsupportedAlgorithmError

import police
from police import feed, keys, status
from police.settings import UnsafeSettingsError, load
from police.store import Odd, Pointer


def test_the_private_key_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    keys.key(tmp_path, keys.SEALING)
    assert stat.S_IMODE((tmp_path / keys.SEALING).stat().st_mode) == 0o600


def test_the_key_pair_is_made_once(tmp_path: Path) -> None:
    first, second = keys.key(tmp_path, keys.SEALING), keys.key(tmp_path, keys.SEALING)
    assert first.as_dict(private=False) == second.as_dict(private=False)


def test_the_public_key_has_no_private_part(tmp_path: Path) -> None:
    shown = keys.public_jwk(keys.key(tmp_path, keys.SEALING), "enc", "RSA-OAEP-256")
    assert shown["kty"] == "RSA" and not {"d", "p", "q", "dp", "dq", "qi"} & set(shown)


def test_a_sealed_password_is_opened_with_the_private_key(tmp_path: Path) -> None:
    pair = keys.key(tmp_path, keys.SEALING)
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP-256", "A256GCM"])
    sealed = jwe.encrypt_compact({"alg": "RSA-OAEP-256", "enc": "A256GCM"}, b"a password", pair, registry=registry)
    assert keys.unseal(sealed, pair) == "a password"


def test_a_password_sealed_in_another_way_is_refused(tmp_path: Path) -> None:
    pair = keys.key(tmp_path, keys.SEALING)
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP", "A128GCM"])
    sealed = jwe.encrypt_compact({"alg": "RSA-OAEP", "enc": "A128GCM"}, b"a password", pair, registry=registry)
    with pytest.raises(UnsupportedAlgorithmError):
        keys.unseal(sealed, pair)


@pytest.mark.parametrize("name", ["POLICE_GATEWAY", "POLICE_ISSUER"])
def test_plain_http_beyond_loopback_stops_the_start(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettingsError):
        load({"POLICE_FOLDER": str(tmp_path), name: "http://gateway.example"})


def test_kafka_without_tls_beyond_loopback_is_refused() -> None:
    with pytest.raises(UnsafeSettingsError):
        feed.consumer(feed.Credential("u", "p", ("kafka.example:9092",), "agency.x.feed.v1", tls=False))


def record(value: bytes | None, **headers: str) -> ConsumerRecord[bytes, bytes]:
    given = [(name, text.encode()) for name, text in headers.items()]
    return ConsumerRecord("feed", 2, 9, 0, 0, None, value, None, 0, 0, given)


POINTER = {"ce_id": "e1", "ce_type": "samlogg.pointer.v1"}


def test_a_pointer_is_read_from_its_headers_and_value() -> None:
    value = json.dumps({"handle": "h", "what": "changed", "href": "/subjects/h/items", "new": 1}).encode()
    assert feed.read(record(value, **POINTER)) == Pointer("e1", "h", "changed")


@pytest.mark.parametrize(
    "value", [None, b"{", b"[]", b'{"handle":"h","what":"other"}', b'{"handle":1,"what":"changed"}']
)
def test_what_cannot_be_read_is_odd_and_not_an_error(value: bytes | None) -> None:
    assert feed.read(record(value, **POINTER)) == Odd(2, 9)


def test_an_event_of_another_type_is_left_alone() -> None:
    assert feed.read(record(b"{}", ce_id="e", ce_type="something.new.v1")) is None


@pytest.mark.parametrize(
    ("path", "token", "expected"),
    [("/live", "wrong", 200), ("/held", "wrong", 401), ("/held", "right", 200), ("/x", "right", 404)],
)
async def test_the_status_door_shows_what_is_held_only_with_its_token(path: str, token: str, expected: int) -> None:
    def state() -> dict[str, Any]:
        return {"subjects": []}

    door = await status.serve(0, "right", state)
    port = door.sockets[0].getsockname()[1]
    async with door, httpx.AsyncClient() as http:
        answer = await http.get(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
        await asyncio.sleep(0.02)  # the door's side of the connection closes too
    assert answer.status_code == expected
    assert ("subjects" in answer.json()) == (expected == 200 and path == "/held")


def test_the_agency_imports_nothing_of_ours() -> None:
    allowed = {"police", "aiokafka", "cryptography", "httpx", "joserfc"}
    ours = {"chassis", "consent", "logbook", "notify", "directory", "gateway", "story", "samlogg"}
    imported: set[str] = set()
    for file in Path(str(police.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert {"aiokafka", "httpx"} <= imported
    assert not imported & (ours - allowed)
