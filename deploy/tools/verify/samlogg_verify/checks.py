"""The four checks: one look, two checkpoints, an export by itself, and a list against what was saved."""

from dataclasses import dataclass
from datetime import UTC, datetime

from samlogg_verify import notes, saved
from samlogg_verify.documents import Consistency, Look, Looks, SavedReceipt
from samlogg_verify.looks import inner_findings
from samlogg_verify.notes import Checkpoint, Key, Note, Receipt
from samlogg_verify.report import Finding, Report, Wrong
from samlogg_verify.tree import DoesNotFit, consistent, root_by_inclusion


@dataclass(frozen=True, slots=True)
class Trust:
    """Keys that were saved earlier. ledger None: the file's own key is believed, and the report says so."""

    ledger: Key | None = None
    witness: Key | None = None


def _trusted(of_file: Key, trust: Trust, report: Report) -> Key:
    if trust.ledger is None:
        text = "Whether the key is the right one: none was given (--key), so the one in the file was believed."
        if text not in report.not_covered:
            report.not_covered.append(text)
        return of_file
    if of_file != trust.ledger:
        raise Wrong(("unknown-key",), f"The file names another key of {of_file.name} than you trust: unknown key.")
    return trust.ledger


def _of_saved(of_file: Key, trust: Trust, report: Report) -> Key:
    if trust.ledger is None:
        report.not_covered.append("Whether the key is the right one: it was taken from the file that you saved.")
        return of_file
    return _trusted(of_file, trust, report)


def _checkpoint(found: Note, key: Key, trust: Trust, report: Report) -> Checkpoint:
    notes.check_signature(found, key)
    told = notes.checkpoint(found, key.name)
    if trust.witness is not None:
        _witnessed(found, trust.witness, report)
    return told


def _witnessed(found: Note, witness: Key, report: Report) -> None:
    try:
        moment = notes.check_signature(found, witness)
    except Wrong as wrong:
        kinds = ("not-witnessed",) if wrong.finding.kinds == ("unknown-key",) else wrong.finding.kinds
        text = f"The checkpoint carries no signature of the witness {witness.name} that fits."
        report.found.append(Finding(kinds, text))
        return
    try:
        said = datetime.fromtimestamp(moment or 0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        said = "an unknown time"
    report.proved.append(f"The witness {witness.name} saw this checkpoint, and that nothing was rewritten, at {said}.")


def _signed(found: SavedReceipt | Looks, key: Key, trust: Trust, report: Report) -> tuple[Checkpoint, Receipt]:
    told = _checkpoint(found.checkpoint, key, trust, report)
    notes.check_signature(found.receipt, key)
    return told, notes.receipt(found.receipt, key.name)


def check_look(look: Look, trust: Trust) -> Report:
    """One entry in the signed tree."""
    report = Report()
    try:
        told = _checkpoint(look.checkpoint, _trusted(look.key, trust, report), trust, report)
        root = root_by_inclusion(look.item.index, told.size, look.item.leaf, look.proof)
    except Wrong as wrong:
        report.found.append(wrong.finding)
    except DoesNotFit:
        report.found.append(Finding(("other-tree",), "The proof is for another place or another tree."))
    else:
        if root != told.root:
            text = "The look is not the one in the signed ledger: it was changed, or the proof is for another tree."
            report.found.append(Finding(("edited", "swapped", "other-tree"), text))
        else:
            report.proved.append(
                f"This look is entry {look.item.sequence} of its list, at place {look.item.index} of a ledger of "
                f"{told.size}."
            )
            report.not_covered.append("Whether the list has other looks: only a whole list shows that.")
    return report


def check_export(looks: Looks, trust: Trust) -> Report:
    """A whole export by itself."""
    report = Report()
    _export(looks, trust, report)
    report.not_covered.append(
        "Whether an earlier export or receipt said something else: compare with one that you saved (list --receipt)."
    )
    return report


def _export(looks: Looks, trust: Trust, report: Report) -> Checkpoint | None:
    try:
        told, receipt = _signed(looks, _trusted(looks.key, trust, report), trust, report)
    except Wrong as wrong:
        report.found.append(wrong.finding)
        return None
    report.found += inner_findings(looks, told, receipt)
    if not report.found:
        number = len(looks.items)
        report.proved.append(f"All {number} entries are in the signed ledger of {told.size}, each in its place.")
        report.proved.append("No number is missing between the first and the last, and none stands twice.")
        if erased := [str(item.sequence) for item in looks.items if item.erased]:
            more = " and more" if len(erased) > 20 else ""
            report.not_covered.append(
                f"What was erased: entry {', '.join(erased[:20])}{more} ({len(erased)} in all). Its place is proved, "
                "its words are gone. If you did not ask for that, ask why."
            )
    return told


def check_list(looks: Looks, earlier: SavedReceipt | Looks, proof: Consistency | None, trust: Trust) -> Report:
    """A whole list against a receipt or a list saved earlier. Without a key, that of the saved file is believed."""
    report = Report()
    try:
        key = _of_saved(earlier.key, trust, report)
        before = Trust(key)
        checked = Report()
        at, receipt = _signed(earlier, key, before, checked)
        if (receipt.size, receipt.root) != (at.size, at.root):
            raise Wrong(("other-tree",), "Your saved receipt and its checkpoint are for two different trees.")
        if isinstance(earlier, Looks):
            checked.found += inner_findings(earlier, at, receipt)
        if checked.found:
            report.found.append(Finding(checked.found[0].kinds, f"Your saved file: {checked.found[0].text}"))
            return report
        if looks.key.name != key.name:
            raise Wrong(("other-ledger",), f"The saved file is from another ledger ({key.name}) than the list.")
        now = _export(looks, Trust(key, trust.witness), report)
        if now is None:
            return report
        if looks.chain != receipt.chain:
            raise Wrong(("other-list", "swapped"), "The list is not that of the person for whom the receipt was made.")
        history = _history(now, Checkpoint(receipt.size, receipt.root), proof, key)
    except Wrong as wrong:
        report.found.append(wrong.finding)
        return report
    items = earlier.items if isinstance(earlier, Looks) else None
    saved.check(looks.items, now, saved.Earlier(receipt, items), history, report)
    return report


def _history(now: Checkpoint, then: Checkpoint, proof: Consistency | None, key: Key) -> str:
    """How the tree of the list stands to that of the receipt."""
    if now.size == then.size:
        return saved.GROWN if now.root == then.root else saved.REWRITTEN
    if then.size == 0:
        return saved.GROWN
    if proof is None or now.size < then.size:
        return saved.UNKNOWN
    first, second = (_of_proof(found, key) for found in (proof.first, proof.second))
    if first.size != then.size or second.size != now.size:
        raise Wrong(("other-tree",), "The proof given with --proof is for other checkpoints than these two.")
    fits = (first, second) == (then, now) and consistent(then.size, then.root, now.size, now.root, proof.proof)
    return saved.GROWN if fits else saved.REWRITTEN


def _of_proof(found: Note, key: Key) -> Checkpoint:
    notes.check_signature(found, key)
    return notes.checkpoint(found, key.name)


def check_checkpoints(old: tuple[Key, Note], new: tuple[Key, Note], proof: Consistency | None, trust: Trust) -> Report:
    """Has the ledger only grown between two checkpoints, each with the key that its file names?"""
    report = Report()
    try:
        key = _trusted(old[0], trust, report)
        if new[0] != key:
            raise Wrong(("unknown-key",), "The two checkpoints name different keys: wrong or unknown key.")
        first, second = _of_proof(old[1], key), _checkpoint(new[1], key, trust, report)
        history = saved.UNKNOWN
        if second.size >= first.size:
            history = _history(second, first, proof, key)
    except Wrong as wrong:
        report.found.append(wrong.finding)
        return report
    if second.size < first.size:
        text = f"The second checkpoint has {second.size} entries, fewer than the first with {first.size}: cut off."
        report.found.append(Finding(("cut",), text))
    elif history == saved.REWRITTEN:
        text = "The second checkpoint does not continue the first: two versions of the ledger, or a wrong proof."
        report.found.append(Finding(("forked", "other-tree"), text))
    elif history == saved.UNKNOWN:
        text = "There is no proof that leads from the first checkpoint to the second: give it with --proof."
        report.found.append(Finding(("other-tree",), text))
    else:
        report.proved.append(f"The ledger has only grown, from {first.size} entries to {second.size}.")
    return report
