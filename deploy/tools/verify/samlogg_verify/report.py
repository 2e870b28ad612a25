"""What was found: what is proved, what is not covered, and what is wrong, each in plain words and by name."""

from dataclasses import dataclass, field

KINDS = {
    "edited": "changed afterwards",
    "deleted": "deleted from the ledger",
    "inserted": "put in afterwards",
    "reordered": "put in another order",
    "cut": "the end cut off",
    "forked": "another version of the ledger",
    "swapped": "exchanged for another entry",
    "dropped": "left out of this list",
    "unknown-key": "wrong or unknown key",
    "signature": "signature does not fit",
    "truncated": "file not whole",
    "malformed": "file not readable",
    "other-tree": "proof for another tree",
    "other-ledger": "from another ledger",
    "other-list": "list of another person",
    "not-witnessed": "no witness has signed",
}
"""Every name that a finding can have, and what it means."""


class Wrong(Exception):
    """Something that makes the rest of a check pointless."""

    def __init__(self, kinds: tuple[str, ...], text: str) -> None:
        super().__init__(text)
        self.finding = Finding(kinds, text)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. Several kinds: what there is to see cannot tell them apart."""

    kinds: tuple[str, ...]
    text: str
    entry: int | None = None


@dataclass(slots=True)
class Report:
    """The outcome of one check."""

    proved: list[str] = field(default_factory=list)
    not_covered: list[str] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    readable: bool = True

    @property
    def code(self) -> int:
        """0 fine, 1 something is wrong, 2 cannot read."""
        return 2 if not self.readable else int(bool(self.found))

    @property
    def kinds(self) -> set[str]:
        """Every name that was given."""
        return {kind for finding in self.found for kind in finding.kinds}

    def data(self) -> dict[str, object]:
        """For --json."""
        return {
            "verdict": ("fine", "wrong", "unreadable")[self.code],
            "proved": self.proved,
            "not_covered": self.not_covered,
            "found": [{"kinds": list(one.kinds), "entry": one.entry, "text": one.text} for one in self.found],
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [("FINE.", "SOMETHING IS WRONG.", "CANNOT READ IT.")[self.code]]
        if self.found:
            lines.append("")
        for one in self.found:
            names = " or ".join(KINDS[kind] for kind in one.kinds)
            lines += [f"  ! {one.text}", f"    Kind: {names} ({', '.join(one.kinds)})"]
        if self.proved:
            title = "Proved:" if not self.code else "Still true, but do not rely on it before the rest is explained:"
            lines += ["", title, *(f"  + {text}" for text in self.proved)]
        if self.not_covered:
            lines += ["", "Not covered:", *(f"  - {text}" for text in self.not_covered)]
        return lines
