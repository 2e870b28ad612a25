"""A list against what was saved earlier: a receipt, or a whole earlier list."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from samlogg_verify.documents import Item
from samlogg_verify.notes import Checkpoint, Receipt
from samlogg_verify.report import Finding, Report

GROWN, REWRITTEN, UNKNOWN = "grown", "rewritten", "unknown"
"""How the ledger of the list stands to that of the receipt; unknown when no proof was given."""

_OF_THE_FILE = {"truncated", "other-tree", "other-list"}
"""What is wrong with the file; nothing that was saved can tell otherwise."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was saved: the checked receipt, and the entries if a whole list was saved."""

    receipt: Receipt
    items: Sequence[Item] | None = None


def tree_findings(now: Checkpoint, then: Receipt, history: str) -> list[Finding]:
    """Is the ledger of today that of the receipt, only longer?"""
    if now.size < then.size:
        text = (
            f"The ledger in the file has {now.size} entries of all people, but had {then.size} when your receipt was "
            "made. Either the file is older than your receipt (fetch it again), or the end was cut off."
        )
        return [Finding(("cut",), text)]
    if history == REWRITTEN:
        text = (
            "The ledger in the file is not a continuation of the one that your receipt is for. Both are signed, so "
            "there are two versions: something in it, in your list or elsewhere, was rewritten."
        )
        return [Finding(("forked",), text)]
    return []


def check(items: Sequence[Item], now: Checkpoint, earlier: Earlier, history: str, report: Report) -> None:
    """The person's own entries up to the receipt's number.

    What is proved and not covered goes into the report. What contradicts itself is there already: what was saved tells
    more closely what it is.
    """
    then = earlier.receipt
    kept = len(items) >= then.sequence and (then.sequence == 0 or items[then.sequence - 1].leaf == then.leaf)
    named: list[Finding] = []
    if not kept or report.found:
        named = [_guess(items, then)] if earlier.items is None else differences(earlier.items, items, then.size)
    elif _misplaced(items, then):
        named = [_misplaced_finding(items, then, history)]
    else:
        _tell_covered(items, then, history, report)
    report.found = _narrowed(report.found, named) + tree_findings(now, then, history)


def _narrowed(inside: list[Finding], named: list[Finding]) -> list[Finding]:
    """Two views of one thing: the kinds that fit both."""
    allowed = {kind for one in named for kind in one.kinds} | _OF_THE_FILE
    both = [replace(one, kinds=kinds) for one in inside if (kinds := tuple(k for k in one.kinds if k in allowed))]
    if not both:
        return inside + named
    return both + [one for one in named if one.entry is not None]


def _misplaced(items: Sequence[Item], then: Receipt) -> bool:
    """Entries up to the receipt's lie inside the tree of that time, later ones outside."""
    return any((item.index < then.size) != (item.sequence <= then.sequence) for item in items)


def _misplaced_finding(items: Sequence[Item], then: Receipt, history: str) -> Finding:
    there = sum(item.index < then.size for item in items)
    text = (
        f"Your receipt was made for {then.sequence} entries in a ledger of {then.size}; now {there} of your entries "
        "claim to stand there."
    )
    if history == REWRITTEN:
        return Finding(("forked",), text + " Your own entries are unchanged, but they were moved.")
    return Finding(("inserted", "reordered", "dropped"), text)


def _guess(items: Sequence[Item], then: Receipt) -> Finding:
    """A receipt holds one hash of the list: what happened is told as closely as number and places allow."""
    inside = sum(item.index < then.size for item in items)
    places = {item.index for item in items}
    number = then.sequence
    if len(items) < number:
        kinds: tuple[str, ...] = ("cut", "deleted", "dropped")
        text = f"Your receipt was made for {number} entries; the list has only {len(items)}. Some were taken out."
    elif inside < number:
        kinds = ("deleted", "dropped")
        text = f"Of the {number} entries that your receipt was made for, {number - inside} or more were taken out."
    elif inside > number:
        kinds = ("inserted",)
        text = f"Your receipt was made for {number} entries; {inside} now stand there. Some were put in."
    else:
        kinds = ("edited", "swapped", "reordered")
        kinds += ("deleted",) if then.size - 1 in places else ()
        kinds += ("inserted",) if then.size in places else ()
        text = f"One or more of the first {number} entries are not those that your receipt was made for."
    return Finding(kinds, text)


def differences(old: Sequence[Item], new: Sequence[Item], size: int) -> list[Finding]:
    """What became of the saved entries, told by comparing what the entries say. `size`: of the ledger at that time."""
    before, after = [item.record for item in old], [item.record for item in new]
    for number, (one, other) in enumerate(zip(old, new, strict=False)):
        if other.erased and other.leaf == one.leaf:
            after[number] = one.record
    length = len(before)
    changed = [n for n, (one, other) in enumerate(zip(before, after, strict=False), 1) if one != other]
    if len(after) >= length and not changed:
        return [Finding(("edited",), "Your entries say the same as before, but were sealed anew.")]
    missing = Counter(before) - Counter(after)
    if not missing:
        return [_moved(before, after, changed)]
    rest = [record for record in before if not missing[record]]
    if after[: len(rest)] == rest:
        gone = [item for item in old if missing[item.record]]
        others = before[: len(rest)] == rest and any(item.index < size for item in new[len(rest) :])
        return [_taken_out(new, gone, cut=before[: len(rest)] == rest, others=others)]
    return [_replaced(before, changed, missing)]


def _replaced(before: Sequence[bytes | None], changed: Sequence[int], missing: Counter[bytes | None]) -> Finding:
    first, numbers = changed[0], ", ".join(str(number) for number in changed[:10])
    if len(changed) == 1:
        return Finding(("edited", "swapped"), f"Entry {first} does not say what it said before.", first)
    if all(missing[record] for record in before[first - 1 :]):
        text = f"From entry {first} on, everything was replaced."
        return Finding(("forked", "edited", "swapped"), text, first)
    return Finding(("edited", "swapped"), f"Entries do not say what they said before: {numbers}.", first)


def _moved(before: Sequence[bytes | None], after: Sequence[bytes | None], changed: Sequence[int]) -> Finding:
    rest = iter(after)
    if all(record in rest for record in before):
        first = changed[0]
        return Finding(("inserted",), f"At entry {first} something was put in that was not there before.", first)
    if len(changed) == 2:
        one, other = changed
        return Finding(("swapped",), f"Entries {one} and {other} were exchanged.", one)
    return Finding(("reordered",), f"From entry {changed[0]} on, your entries stand in another order.", changed[0])


def _taken_out(new: Sequence[Item], gone: Sequence[Item], *, cut: bool, others: bool) -> Finding:
    """cut: they were the last. others: something else stands where only they could."""
    numbers, first = ", ".join(str(item.sequence) for item in gone[:10]), gone[0].sequence
    if others:
        text = f"Instead of what was entry {numbers} something else stands there."
        return Finding(
            ("edited", "swapped", "deleted", "dropped", *(("forked",) if len(gone) > 1 else ())), text, first
        )
    if cut and len(new) < first:
        return Finding(("cut", "deleted", "dropped"), f"The end was taken out, from entry {first}.", first)
    return Finding(("deleted", "dropped"), f"Taken out of your list: what was entry {numbers}.", first)


def _entries(first: int, last: int) -> str:
    return f"Entry {first} is" if first == last else f"Entries {first} to {last} are"


def _tell_covered(items: Sequence[Item], then: Receipt, history: str, report: Report) -> None:
    number = then.sequence
    bound = number
    while bound > 1 and not items[bound - 1].erased:
        bound -= 1
    if number and (bound <= 1 or history == GROWN):
        report.proved.append(f"{_entries(1, number)} exactly what your receipt was made for.")
    elif number:
        report.proved.append(f"{_entries(bound, number)} exactly what your receipt was made for.")
        report.not_covered.append(
            f"What stands before entry {bound}: that entry was erased. Give the proof that the ledger has only grown "
            "(--proof), and what stands before it is covered too."
        )
    if history == GROWN:
        report.proved.append("The ledger has only grown since your receipt was made.")
    elif history == UNKNOWN:
        report.not_covered.append(
            "Whether the ledger has only grown since your receipt: fetch the proof and give it with --proof."
        )
    if len(items) > number:
        advice = "" if history == REWRITTEN else " Save this file: it covers that too."
        report.not_covered.append(f"{_entries(number + 1, len(items))} newer than your receipt.{advice}")
    else:
        report.not_covered.append("What may come after these entries.")
