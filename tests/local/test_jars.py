"""A jar runs only if it is, byte for byte, the one that was pinned."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from local_stack import jars
from local_stack.trouble import Trouble

ONE, OTHER = "org.example:one:1.0", "org.example:other:2.0:slim"
CONTENT = {ONE: b"the first jar", OTHER: b"the other jar"}
WANTED = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}


class Shop:
    """Where jars come from in these tests; counts what was fetched."""

    def __init__(self, folder: Path, content: dict[str, bytes]) -> None:
        self.folder, self.content, self.fetched = folder, content, list[str]()

    def __call__(self) -> Callable[[str], Path]:
        def fetch(coordinate: str) -> Path:
            self.fetched.append(coordinate)
            path = self.folder / coordinate.replace(":", "_")
            path.write_bytes(self.content[coordinate])
            return path

        return fetch


def test_jars_are_fetched_once_and_given_in_their_order(tmp_path: Path) -> None:
    shop, cache = Shop(tmp_path, CONTENT), tmp_path / "cache"
    first = jars.checked(WANTED, cache, shop)
    assert [path.read_bytes() for path in first] == list(CONTENT.values())
    assert jars.checked(WANTED, cache, shop) == first
    assert sorted(shop.fetched) == sorted(WANTED)


def test_a_jar_that_comes_with_other_bytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    shop, cache = Shop(tmp_path, {**CONTENT, OTHER: b"something else"}), tmp_path / "cache"
    with pytest.raises(Trouble, match=re.escape(OTHER)):
        jars.checked(WANTED, cache, shop)
    assert not jars.place(cache, OTHER).exists()


def test_a_jar_that_was_tampered_with_in_the_cache_is_refused_and_removed(tmp_path: Path) -> None:
    shop, cache = Shop(tmp_path, CONTENT), tmp_path / "cache"
    jars.checked(WANTED, cache, shop)
    with jars.place(cache, ONE).open("ab") as file:
        file.write(b"!")
    with pytest.raises(Trouble, match=re.escape(ONE)):
        jars.checked(WANTED, cache, shop)
    assert not jars.place(cache, ONE).exists()
    assert jars.checked(WANTED, cache, shop)[0].read_bytes() == CONTENT[ONE]


def test_every_part_is_pinned_whole_and_without_an_address() -> None:
    text = jars.PINNED.read_text()
    assert "://" not in text
    pins = tomllib.loads(text)
    assert set(pins) == {"kafka", "openid", "zipkin"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", found) for part in pins.values() for found in part.values())
    clients = {name for name in pins["kafka"] if name.startswith("org.apache.kafka:")}
    assert {name.rpartition(":")[2] for name in clients} == {"4.2.0"}  # mixed versions of Kafka's jars do not run
