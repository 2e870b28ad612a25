"""How long the stand-alone verifier takes over an export of 100,000 looks, as the person runs it."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.report import Figure
from tests.verify.rows import Ledger, Row, a_chain, a_record, leaf_of, sealed
from tests.verify.served import Served

LOOKS = 100_000
OTHERS = 50_000
_ROUNDS = 3


def an_export(looks: int, others: int, seed: int) -> tuple[str, str]:
    """A person's list among the looks of others, as a document, and the ledger's key."""
    chance, ledger = random.Random(seed), Ledger()
    mine, other = a_chain(chance), a_chain(chance)
    owners = [mine] * looks + [other] * others
    chance.shuffle(owners)
    heads: dict[str, tuple[int, bytes | None]] = {mine: (0, None), other: (0, None)}
    for index, chain in enumerate(owners):
        number, previous = heads[chain]
        entry, salt = sealed(chain, a_record(chance, chain), number + 1, previous), chance.randbytes(16)
        leaf = leaf_of(salt, entry)
        heads[chain] = number + 1, leaf
        ledger.rows.append(Row(index, chain, number + 1, salt, entry, leaf))
        ledger.tree.append(leaf)
    producer = Served(chance.randbytes(32))
    return json.dumps(producer.looks(ledger, mine), ensure_ascii=False), producer.key


def measure() -> Iterator[Figure]:
    """Seconds of the whole program, from its start to its verdict; the middle of three."""
    document, key = an_export(LOOKS, OTHERS, 1)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "looks.json"
        path.write_text(document, encoding="utf-8")
        taken = sorted(_seconds(path, key) for _ in range(_ROUNDS))
    yield Figure(f"samlogg-verify over an export of {LOOKS:,} looks", taken[_ROUNDS // 2], "s", "<= 10", "3")


def _seconds(path: Path, key: str) -> float:
    command = [sys.executable, "-m", "samlogg_verify", "export", str(path), "--key", key, "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    ended = time.perf_counter()
    if done.returncode != 0:
        raise AssertionError(f"the verifier says: {done.stdout} {done.stderr}")
    return ended - began
