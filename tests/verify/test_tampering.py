"""Whoever has the whole database but not the signing key changes nothing that a saved receipt covers without being
found, and what he did is named."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.stack import Postgres
from tests.verify import attacks, tampering
from tests.verify.producer import Reference
from tests.verify.served import Served
from tests.verify.stored import Stored

ROOT = Path(__file__).parents[2]


def told(outcome: tampering.Outcome) -> str:
    return json.dumps(outcome.data(), indent=1)


def test_every_tampering_of_the_service_s_own_rows_is_found_and_named() -> None:
    outcome = tampering.run(len(attacks.ALL) * 6, random.randrange(10**6), 60)
    assert outcome.good(), told(outcome)
    assert outcome.tampered == len(attacks.ALL) * 6
    assert outcome.controls == 120
    assert outcome.after_receipt > 0
    assert outcome.names < 4 * outcome.tampered, "a verdict that names nearly everything names nothing"


def test_the_formats_alone_are_enough_to_find_every_tampering() -> None:
    seed = random.randrange(10**6)
    producer = Reference("text.example/ledger", Ed25519PrivateKey.generate())
    outcome = tampering.run(len(attacks.ALL) * 3, seed, 30, producer)
    assert outcome.good(), told(outcome)


def test_every_tampering_of_the_real_tables_is_found_and_named(postgres: Postgres) -> None:
    seed = random.randrange(10**6)
    with Stored(postgres.fresh_database("tampered"), random.Random(seed).randbytes(32)) as producer:
        outcome = tampering.run(len(attacks.ALL), seed, 10, producer)
    assert outcome.good(), told(outcome)
    assert outcome.tampered == len(attacks.ALL)


@pytest.mark.parametrize("kind", ["edited", "deleted", "inserted", "reordered", "cut", "forked", "swapped", "dropped"])
def test_every_kind_of_tampering_is_among_the_attacks_made_anew_in_all_that_needs_no_key(kind: str) -> None:
    assert any(attack.truth == kind and attack.level == attacks.ALL_OF_IT for attack in attacks.ALL)


def test_an_attack_that_changes_nothing_would_count_as_missed() -> None:
    """The campaign's own bite: the same world untouched is a control, and its verdict is fine."""
    chance, outcome = random.Random(1), tampering.Outcome(1)
    idle = attacks.Attack("edited", attacks.ALL_OF_IT, lambda *_: True)
    with tampering.desk() as check:
        tampering._tampered(idle, chance, Served(b"k" * 32), check, outcome)
    assert (outcome.tampered, outcome.found, outcome.named) == (1, 0, 0)
    assert not outcome.good()


def test_the_campaign_prints_its_seed_and_one_json_object() -> None:
    asked = ["--count", "27", "--controls", "4", "--seed", "5", "--json"]
    command = [sys.executable, "-m", "tests.verify.tampering", *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["seed"], found["tampered"], found["found"], found["named"]) == (5, 27, 27, 27)
    assert found["false_alarms"] == 0
