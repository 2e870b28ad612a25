"""What somebody with the whole database does to what a receipt covers."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.verify.rows import Ledger, Row, a_record, sealed

ROWS, PLACES, ALL_OF_IT = "rows", "places", "all"
"""How much is made anew: nothing but the row; leaves, numbers and tree but not the links; everything."""


@dataclass(frozen=True, slots=True)
class Victim:
    """Whose list, and what the receipt was made for: the tree's size and the list's."""

    chain: str
    size: int
    sequence: int

    def rows(self, ledger: Ledger) -> list[Row]:
        """What the receipt covers of the list."""
        return [row for row in ledger.of(self.chain) if row.sequence <= self.sequence]


Deed = Callable[[Ledger, Victim, random.Random, str], bool]


@dataclass(frozen=True, slots=True)
class Attack:
    """A deed at one level, and the name it should get. `deed` returns False where nothing was changed."""

    truth: str
    level: str
    deed: Deed

    @property
    def name(self) -> str:
        """For the counts."""
        return f"{self.deed.__name__.strip('_')} ({self.level})"

    def does(self, ledger: Ledger, victim: Victim, chance: random.Random) -> bool:
        """Tamper; False where this world does not allow it."""
        return self.deed(ledger, victim, chance, self.level)


def _finish(ledger: Ledger, level: str) -> bool:
    if level != ROWS:
        ledger.rebuild(links=level == ALL_OF_IT)
    return True


def _write(row: Row, record: dict[str, object], chain: str | None = None) -> None:
    """Put another record into a row, and nothing else."""
    told = json.loads(row.entry)
    row.chain = chain or row.chain
    previous = None if told["previous"] is None else bytes.fromhex(told["previous"])
    row.entry = sealed(row.chain, record, told["sequence"], previous)


def _other_words(row: Row, chance: random.Random) -> dict[str, object]:
    record = row.record
    changes: list[tuple[str, object]] = [
        ("outcome", "refused" if record["outcome"] == "answered" else "answered"), ("at", "2026-01-01T00:00:00Z"),
        ("categories", []), ("actor", record["actor"] | {"id": "w-other"}), ("grants", ["g-other"]), ("count", 2),
        ("purpose", "another"),
    ]  # fmt: skip
    name, value = chance.choice(changes)
    return record | {name: value}


def _edit(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    rows = victim.rows(ledger)
    for row in chance.sample(rows, min(chance.choice((1, 1, 1, 2, 3)), len(rows))):
        _write(row, _other_words(row, chance))
    return _finish(ledger, level)


def _delete(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    rows = victim.rows(ledger)
    for row in chance.sample(rows, min(chance.choice((1, 1, 2, 3)), len(rows))):
        ledger.rows.remove(row)
    return _finish(ledger, level)


def _insert(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """A forged look, at any place before the end of what is covered."""
    own = victim.rows(ledger)
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(own[-1].index + 1)
        beside = ledger.rows[at]
        number = max((row.sequence for row in own if row.index <= at), default=1)
        record = a_record(chance, victim.chain)
        forged = Row(beside.index, victim.chain, number, chance.randbytes(16), b"", beside.leaf)
        forged.entry = sealed(victim.chain, record, number, chance.randbytes(32))
        ledger.rows.insert(at, forged)
    return _finish(ledger, level)


def _reorder(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """Three or more entries change places, all of them."""
    rows = victim.rows(ledger)
    if len(rows) < 3:
        return False
    chosen = chance.sample(rows, chance.randint(3, min(6, len(rows))))
    records = [row.record for row in chosen]
    for row, record in zip(chosen, records[1:] + records[:1], strict=True):
        _write(row, record)
    return _finish(ledger, level)


def _swap(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """Two entries change places: both the victim's, or one with another person's."""
    rows = victim.rows(ledger)
    one = chance.choice(rows)
    others = [row for row in rows if row is not one]
    if chance.random() < 0.5:
        others = [row for row in ledger.rows if row.index < victim.size and row.chain != victim.chain]
    if not others:
        return False
    other = chance.choice(others)
    first, second = one.record, other.record
    _write(one, second)
    _write(other, first)
    return _finish(ledger, level)


def _cut(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """The ledger's end, or the end of one list."""
    last = victim.rows(ledger)[-1]
    if chance.random() < 0.5 and level == ALL_OF_IT:
        start = chance.randint(1, victim.size - 1)
        del ledger.rows[start:]
        ledger.rebuild()
        return True
    start = chance.randint(1, last.sequence)
    ledger.rows = [row for row in ledger.rows if row.chain != victim.chain or row.sequence < start]
    return _finish(ledger, level)


def _fork(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """The end is replaced: another history from some point on, as long as the first or longer."""
    start, length = chance.randint(0, victim.size - 1), len(ledger.rows)
    chains = sorted({row.chain for row in ledger.rows})
    del ledger.rows[start:]
    while len(ledger.rows) < length:
        chain = chance.choice(chains)
        record = a_record(chance, chain)
        entry = sealed(chain, record, 1, None)
        ledger.rows.append(Row(0, chain, 1, chance.randbytes(16), entry, b""))
    return _finish(ledger, level)


def _drop(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """Out of one list; the ledger has a leaf there still."""
    row = chance.choice(victim.rows(ledger))
    if level == ROWS:
        ledger.rows.remove(row)
        return True
    other = next((one.chain for one in ledger.rows if one.chain != victim.chain), None)
    if other is None:
        return False
    _write(row, row.record, other)  # to somebody else, who may not know
    return _finish(ledger, level)


def _drop_and_append(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """The tree only grows: the list's later entries are written anew at its end, without the one that is dropped."""
    gone = chance.choice(victim.rows(ledger))
    later = [row for row in ledger.of(victim.chain) if row.sequence > gone.sequence]
    for row in (gone, *later):
        ledger.rows.remove(row)
    for row in later:
        ledger.append(victim.chain, row.record, chance.randbytes(16))
    return level == ALL_OF_IT


def _elsewhere(ledger: Ledger, victim: Victim, chance: random.Random, level: str) -> bool:
    """Somebody else's entry, inside the tree that the receipt is for: the victim's own list stays as it was."""
    others = [row for row in ledger.rows if row.index < victim.size and row.chain != victim.chain]
    if not others:
        return False
    row, deed = chance.choice(others), chance.randrange(3)
    if deed == 0:
        _write(row, _other_words(row, chance))
    elif deed == 1:
        row.salt = chance.randbytes(16)
    else:
        ledger.rows.remove(row)
        ledger.rows.insert(victim.size - 1, row)
        if row.index == victim.size - 1:
            return False
    return _finish(ledger, level)


ALL = (
    *(Attack("edited", level, _edit) for level in (ALL_OF_IT, ROWS, PLACES, ALL_OF_IT)),
    *(Attack("deleted", level, _delete) for level in (ALL_OF_IT, ROWS, PLACES, ALL_OF_IT)),
    *(Attack("inserted", level, _insert) for level in (ALL_OF_IT, ROWS, PLACES, ALL_OF_IT)),
    *(Attack("reordered", level, _reorder) for level in (ALL_OF_IT, ROWS, PLACES, ALL_OF_IT)),
    *(Attack("swapped", level, _swap) for level in (ALL_OF_IT, ROWS, PLACES, ALL_OF_IT)),
    *(Attack("cut", level, _cut) for level in (ALL_OF_IT, ROWS, ALL_OF_IT, ALL_OF_IT)),
    *(Attack("forked", level, _fork) for level in (ALL_OF_IT, ALL_OF_IT, ALL_OF_IT)),
    *(Attack("dropped", level, _drop) for level in (ALL_OF_IT, ROWS, PLACES)),
    Attack("dropped", ALL_OF_IT, _drop_and_append),
    *(Attack("forked", level, _elsewhere) for level in (ALL_OF_IT, ALL_OF_IT)),
)
"""Each at its levels; everything made anew the most often."""


def behind_the_receipt(ledger: Ledger, victim: Victim, chance: random.Random) -> bool:
    """Change an entry that came after the receipt, and make everything anew."""
    rows = [row for row in ledger.of(victim.chain) if row.sequence > victim.sequence]
    if not rows:
        return False
    row = chance.choice(rows)
    _write(row, _other_words(row, chance))
    return _finish(ledger, ALL_OF_IT)
