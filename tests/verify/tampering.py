"""Somebody with the whole database but not the signing key changes it at random; the verifier must find and name it.

He makes everything anew that needs no key. The service, which believes its database, then signs new checkpoints and
receipts over it with the real key. The person has only what was saved before: a receipt, or a whole list.

`python -m tests.verify.tampering --count 10000 --seed 1` prints one JSON object; it ends with 1 when one is missed.
"""

import argparse
import json
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from samlogg_verify.checks import Trust, check_list
from samlogg_verify.documents import Consistency, Looks, SavedReceipt, load
from samlogg_verify.report import Report
from tests import stack
from tests.verify import attacks
from tests.verify.attacks import Attack, Victim
from tests.verify.producer import Document, Producer
from tests.verify.rows import Ledger, a_chain, grow
from tests.verify.served import Served
from tests.verify.stored import Stored

MOST_NAMES = 6
"""A verdict that names more kinds than this names nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a person saved, and a ledger that has grown since."""

    victim: Victim
    saved: Document
    saved_list: Document
    ledger: Ledger


@dataclass(slots=True)
class Outcome:
    """Counts of one campaign."""

    seed: int
    tampered: int = 0
    found: int = 0
    named: int = 0
    named_by_saved_list: int = 0
    controls: int = 0
    false_alarms: int = 0
    after_receipt: int = 0
    told_not_covered: int = 0
    names: int = 0
    names_by_saved_list: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "seed": self.seed, "tampered": self.tampered, "found": self.found, "named": self.named,
            "named_by_saved_list": self.named_by_saved_list, "controls": self.controls,
            "false_alarms": self.false_alarms, "after_receipt": self.after_receipt,
            "told_not_covered": self.told_not_covered,
            "names_a_verdict": round(self.names / max(self.tampered, 1), 2),
            "names_a_verdict_by_saved_list": round(self.names_by_saved_list / max(self.tampered, 1), 2),
            "by_kind": dict(sorted(self.kinds.items())), "missed": self.missed[:20],
        }  # fmt: skip

    def good(self) -> bool:
        """Everything found, everything named, no false alarm."""
        return (
            self.tampered == self.found == self.named == self.named_by_saved_list
            and self.after_receipt == self.told_not_covered
            and not self.false_alarms
        )


def a_case(chance: random.Random, producer: Producer) -> Case:
    """A few people, some dozens of looks, a receipt somewhere in the middle."""
    chains = [a_chain(chance) for _ in range(chance.randint(2, 6))]
    ledger = Ledger()
    grow(ledger, chains, chance.randint(12, 50), chance)
    owner = max(chains, key=lambda chain: len(ledger.of(chain)))
    victim = Victim(owner, len(ledger.tree), len(ledger.of(owner)))
    saved, saved_list = producer.receipt(ledger, owner), producer.looks(ledger, owner)
    if chance.random() < 0.8:
        grow(ledger, chains, chance.randint(1, 25), chance)
    return Case(victim, saved, saved_list, ledger)


@contextmanager
def desk() -> Iterator[Callable[..., Report]]:
    """A person's desk: documents as files, checked as the program does."""
    with TemporaryDirectory() as folder:

        def check(looks: Document, saved: Document, proof: Document | None) -> Report:
            paths = []
            for name, document in (("looks", looks), ("saved", saved), ("proof", proof)):
                paths.append(path := Path(folder) / name)
                path.write_text(json.dumps(document), encoding="utf-8")
            earlier, listed = load(paths[1]), load(paths[0])
            grown = None if proof is None else load(paths[2])
            assert isinstance(listed, Looks)
            assert isinstance(earlier, Looks | SavedReceipt)
            assert grown is None or isinstance(grown, Consistency)
            return check_list(listed, earlier, grown, Trust(earlier.key))

        yield check


def proof_for(producer: Producer, ledger: Ledger, size: int) -> Document | None:
    """As the service gives it; it has none from a size that it has not."""
    return producer.consistency(ledger, size) if size < len(ledger.tree) else None


def run(count: int, seed: int, controls: int, producer: Producer | None = None) -> Outcome:
    """So many tampered ledgers and untouched ones, of each attack as many."""
    chance, outcome = random.Random(seed), Outcome(seed)
    producer = producer or Served(chance.randbytes(32))
    with desk() as check:
        while outcome.tampered < count:
            _tampered(attacks.ALL[outcome.tampered % len(attacks.ALL)], chance, producer, check, outcome)
        for number in range(controls):
            _control(chance, producer, check, outcome)
            if number % 4 == 0:
                _after(chance, producer, check, outcome)
    return outcome


def _tampered(
    attack: Attack, chance: random.Random, producer: Producer, check: Callable[..., Report], outcome: Outcome
) -> None:
    case = a_case(chance, producer)
    ledger = case.ledger.copy()
    if not attack.does(ledger, case.victim, chance):
        return  # it would have changed nothing: another world
    looks = producer.looks(ledger, case.victim.chain)
    proof = proof_for(producer, ledger, case.victim.size)
    by_receipt, by_list = check(looks, case.saved, proof), check(looks, case.saved_list, proof)
    outcome.tampered += 1
    outcome.kinds[attack.name] += 1
    outcome.found += by_receipt.code == 1 == by_list.code
    outcome.named += attack.truth in by_receipt.kinds and len(by_receipt.kinds) <= MOST_NAMES
    outcome.named_by_saved_list += attack.truth in by_list.kinds and len(by_list.kinds) <= MOST_NAMES
    outcome.names += len(by_receipt.kinds)
    outcome.names_by_saved_list += len(by_list.kinds)
    if not (attack.truth in by_receipt.kinds and attack.truth in by_list.kinds):
        outcome.missed.append(f"{attack.name}: {sorted(by_receipt.kinds)} by list {sorted(by_list.kinds)}")


def _control(chance: random.Random, producer: Producer, check: Callable[..., Report], outcome: Outcome) -> None:
    case = a_case(chance, producer)
    looks = producer.looks(case.ledger, case.victim.chain)
    proof = proof_for(producer, case.ledger, case.victim.size)
    for saved in (case.saved, case.saved_list):
        outcome.controls += 1
        report = check(looks, saved, proof)
        if report.code != 0:
            outcome.false_alarms += 1
            outcome.missed.append(f"false alarm: {sorted(report.kinds)}")


def _after(chance: random.Random, producer: Producer, check: Callable[..., Report], outcome: Outcome) -> None:
    """Tampering behind the receipt cannot be found, so the report must say that it looks away there."""
    case = a_case(chance, producer)
    ledger = case.ledger.copy()
    if not attacks.behind_the_receipt(ledger, case.victim, chance):
        return
    report = check(producer.looks(ledger, case.victim.chain), case.saved, proof_for(producer, ledger, case.victim.size))
    outcome.after_receipt += 1
    last = len(ledger.of(case.victim.chain))
    first = case.victim.sequence + 1
    wanted = f"Entry {first} is newer" if first == last else f"Entries {first} to {last} are newer"
    outcome.told_not_covered += report.code == 0 and any(text.startswith(wanted) for text in report.not_covered)


def _on_postgres(count: int, seed: int, controls: int) -> Outcome:
    with (
        stack.provider().postgres() as postgres,
        Stored(postgres.fresh_database("tampered"), random.Random(seed).randbytes(32)) as producer,
    ):
        return run(count, seed, controls, producer)


def main() -> int:
    """1 when something was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--controls", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--json", action="store_true", help="as one line")
    parser.add_argument("--postgres", action="store_true", help="on the service's real tables: slower")
    asked = parser.parse_args()
    began = time.monotonic()
    if asked.postgres:
        outcome = _on_postgres(asked.count, asked.seed, asked.controls)
    else:
        outcome = run(asked.count, asked.seed, asked.controls)
    told = outcome.data() | {"seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(told, indent=None if asked.json else 2))
    return int(not outcome.good())


if __name__ == "__main__":
    sys.exit(main())
