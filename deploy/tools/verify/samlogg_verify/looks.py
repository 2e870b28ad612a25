"""One list by itself: is every entry in the signed tree, in its place, bound to the one before?"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from samlogg_verify.documents import Item, Looks
from samlogg_verify.notes import Checkpoint, Receipt
from samlogg_verify.report import Finding
from samlogg_verify.tree import DoesNotFit, root_of_parts


def inner_findings(looks: Looks, checkpoint: Checkpoint, receipt: Receipt) -> list[Finding]:
    """Everything that contradicts itself inside one document whose signatures were checked."""
    found = _against_own_receipt(looks, checkpoint, receipt)
    structure = _structure(looks.items, looks.chain)
    tree = _tree(looks, checkpoint, looks.items)
    if structure or tree:
        return found + (_edited_in_place(looks, checkpoint, receipt) or structure or tree)
    return found + _end(looks.items, receipt)


def _edited_in_place(looks: Looks, checkpoint: Checkpoint, receipt: Receipt) -> list[Finding]:
    """Entries whose own content was changed while all around them still tells what it was."""
    items = looks.items
    if not items or len(items) != receipt.sequence or _has_gap(items) or _places(items):
        return []
    pairs = pairwise(items)
    wanted = [item.leaf if later.erased else later.previous or b"" for item, later in pairs] + [receipt.leaf]
    changed = [item.sequence for item, told in zip(items, wanted, strict=True) if item.leaf != told]
    mended = [Item(item.index, item.sequence, told) for item, told in zip(items, wanted, strict=True)]
    if not changed or _tree(looks, checkpoint, mended):
        return []
    kinds = ("edited", "swapped") if len(changed) == 1 else ("edited", "swapped", "reordered")
    return [
        Finding(kinds, f"Entry {number} is not what the signed ledger has there: it was changed.", number)
        for number in changed[:10]
    ]


def _against_own_receipt(looks: Looks, checkpoint: Checkpoint, receipt: Receipt) -> list[Finding]:
    found = []
    if (receipt.size, receipt.root) != (checkpoint.size, checkpoint.root):
        found.append(Finding(("other-tree",), "The receipt in the file is for another tree than its checkpoint."))
    if receipt.chain != looks.chain:
        found.append(Finding(("other-list", "swapped"), "The receipt in the file is for another person's list."))
    if len(looks.items) != receipt.sequence and not _has_gap(looks.items):
        text = f"The file has {len(looks.items)} entries, but its receipt was made for {receipt.sequence}."
        less = len(looks.items) < receipt.sequence
        found.append(Finding(("truncated", "cut", "dropped", "deleted") if less else ("inserted",), text))
    return found


def _end(items: Sequence[Item], receipt: Receipt) -> list[Finding]:
    if len(items) == receipt.sequence and items and items[-1].leaf != receipt.leaf:
        text = f"Entry {len(items)} is not the one that the receipt in the file was made for."
        return [Finding(("edited", "swapped"), text, len(items))]
    return []


def _tree(looks: Looks, checkpoint: Checkpoint, items: Sequence[Item]) -> list[Finding]:
    try:
        root = root_of_parts(checkpoint.size, ((item.index, item.leaf) for item in items), looks.nodes)
    except DoesNotFit:
        text = "The entries and their proof do not fit the ledger's tree: parts are missing or from another tree."
        return [Finding(("other-tree", "truncated"), text)]
    if root != checkpoint.root:
        text = "The entries are not those of the signed ledger: at least one is different, or the proof is another's."
        return [Finding(("edited", "swapped", "other-tree"), text)]
    return []


def _has_gap(items: Sequence[Item]) -> bool:
    return [item.sequence for item in items] != list(range(1, len(items) + 1))


def _structure(items: Sequence[Item], chain: str) -> list[Finding]:
    """Numbers, owner, links and places. One pass when nothing is wrong."""
    before, place = None, -1
    for number, item in enumerate(items, 1):
        bound = item.erased or (item.previous == before and item.chain == chain)
        if item.sequence != number or not bound or item.index <= place:
            return _foreign(items, chain) + (_numbers(items) or _links(items) + _places(items))
        before, place = item.leaf, item.index
    return []


def _foreign(items: Sequence[Item], chain: str) -> list[Finding]:
    return [
        Finding(("swapped", "inserted"), f"Entry {number} belongs to another list.", number)
        for number, item in enumerate(items, 1)
        if not item.erased and item.chain != chain
    ][:10]


def _numbers(items: Sequence[Item]) -> list[Finding]:
    numbers = [item.sequence for item in items]
    wanted = sorted(set(numbers))
    found = []
    if len(wanted) < len(numbers):
        twice = next(number for number, times in Counter(numbers).items() if times > 1)
        found.append(Finding(("inserted", "swapped"), f"The number {twice} is there more than once.", twice))
    missing = next((number for number, there in enumerate(wanted, 1) if number != there), None)
    if missing is not None:
        found.append(Finding(("deleted", "dropped", "swapped"), f"Entry {missing} is missing.", missing))
    if numbers != sorted(numbers):
        first = next(place for place, (one, next_) in enumerate(pairwise(numbers), 1) if one > next_)
        found.append(
            Finding(("reordered", "swapped"), f"The entries are not in their order, from place {first}.", first)
        )
    return found


def _links(items: Sequence[Item]) -> list[Finding]:
    """Neighbours by number that are not bound to each other."""
    broken = [
        later.sequence
        for earlier, later in pairwise(items)
        if later.sequence == earlier.sequence + 1 and not later.erased and later.previous != earlier.leaf
    ]
    if items and not items[0].erased and items[0].sequence == 1 and items[0].previous is not None:
        broken.insert(0, 1)
    if not broken:
        return []
    first, last = broken[0], broken[-1]
    if len(broken) == 1:
        text = f"Entry {first} does not fit the entry before it: one of the two was changed."
        kinds: tuple[str, ...] = ("edited", "swapped", "deleted", "inserted", "dropped")
    elif len(broken) == 2:
        text = f"Entries {first} and {last} do not fit those before them: what stands there was changed or exchanged."
        kinds = ("edited", "swapped", "reordered", "inserted", "deleted", "dropped")
    else:
        text = f"{len(broken)} entries between {first} and {last} do not fit those before them."
        kinds = ("edited", "swapped", "reordered", "inserted", "deleted", "dropped")
    return [Finding(kinds, text, first)]


def _places(items: Sequence[Item]) -> list[Finding]:
    """A later entry stands later in the ledger."""
    for earlier, later in pairwise(items):
        if later.sequence == earlier.sequence + 1 and later.index <= earlier.index:
            text = f"Entry {later.sequence} stands before the entry that it follows."
            return [Finding(("reordered", "swapped"), text, later.sequence)]
    return []
