"""What somebody may keep from those who see by law, whom they may let see more, and the exception for life and health.

Ages, roles, reason classes and longest times are rows of the law table: data, never code.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from consent.model.law import Category, Source

By = Literal["subject", "professional"]
Kin = Literal["guardian", "other"]
"""Whom somebody lets see: who holds, or held, responsibility for them, or anybody else."""
Told = Literal["guardians", "service"]


@dataclass(frozen=True, slots=True)
class KeepRow:
    """Who may keep what from those who see by law, between which ages, for which classes of reason.

    by: whose word begins it. reasons: classes, one of which a professional sets; roles, sectors: of that professional
    (no sector: of any service that has asked about the person).
    """

    source: "Source"
    what: tuple[str, ...]
    from_age: int
    to_age: int | None
    by: tuple[By, ...]
    reasons: tuple[str, ...]
    roles: tuple[str, ...]
    sectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShareRow:
    """From which age somebody alone lets a person see what the law does not show them."""

    source: "Source"
    what: tuple[str, ...]
    from_age: int
    to_age: int | None
    to: tuple[Kin, ...]


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """Who may show what to whom for a short time where life or health is at stake. municipality None: everywhere."""

    source: "Source"
    what: tuple[str, ...]
    from_age: int
    to_age: int | None
    to: tuple[Told, ...]
    reasons: tuple[str, ...]
    roles: tuple[str, ...]
    sectors: tuple[str, ...]
    longest_hours: int
    municipality: str | None


@dataclass(frozen=True, slots=True)
class OwnSay:
    """The rows of one table."""

    keeps: tuple[KeepRow, ...] = ()
    shares: tuple[ShareRow, ...] = ()
    exceptions: tuple[ExceptionRow, ...] = ()

    def keep(self, category: "Category", old: int, on: date, by: By) -> KeepRow | None:
        """The row by which this may be kept by somebody of this age; None: it may not."""
        return _first([row for row in self.keeps if by in row.by], category, old, on)

    def share(self, category: "Category", old: int, on: date, to: Kin) -> ShareRow | None:
        """The row by which somebody of this age lets such a person see this; None: not alone."""
        return _first([row for row in self.shares if to in row.to], category, old, on)

    def exception(self, category: "Category", old: int, on: date, to: Told) -> ExceptionRow | None:
        """The row by which this may be shown all the same; None: there is no exception."""
        return _first([row for row in self.exceptions if to in row.to], category, old, on)


class _Row(Protocol):
    @property
    def source(self) -> "Source": ...
    @property
    def what(self) -> tuple[str, ...]: ...
    @property
    def from_age(self) -> int: ...
    @property
    def to_age(self) -> int | None: ...


_R = TypeVar("_R", bound=_Row)


def _first(rows: Sequence[_R], category: "Category", old: int, on: date) -> _R | None:
    """The row that names it most particularly: its id before its class. One that nobody has verified gives nothing."""
    for name in category.names():
        for row in rows:
            if name in row.what and row.source.holds(on) and row.source.verified() and _aged(row, old):
                return row
    return None


def _aged(row: _Row, old: int) -> bool:
    return row.from_age <= old and (row.to_age is None or old < row.to_age)


@dataclass(frozen=True, slots=True)
class KeepingWord:
    """One step of a keeping: asked for by the subject, set by a professional, given a reason, turned down, or lifted.

    item None: the whole category. reason: a class, where this step gives one. service: in whose name, for staff.
    """

    keeping: str
    word: Literal["asked", "set", "reason", "turned-down", "lifted"]
    category: str
    item: str | None
    reason: str | None = None
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """What its words come to. `waiting`: it counts, and a professional has not given the reason yet."""

    id: str
    by: By
    category: str
    item: str | None
    reason: str | None
    service: str | None
    state: Literal["waiting", "kept", "turned-down", "lifted"]

    def counts(self) -> bool:
        """Is it kept today? From the moment it is asked for: what guardians have read cannot be unread."""
        return self.state in ("waiting", "kept")


def keepings(words: Iterable[KeepingWord]) -> list[Keeping]:
    """Each keeping as its words, in their order, leave it."""
    found: dict[str, Keeping] = {}
    for one in words:
        held = found.get(one.keeping)
        if held is None:
            by: By = "subject" if one.word == "asked" else "professional"
            state: Literal["waiting", "kept"] = "waiting" if one.word == "asked" else "kept"
            found[one.keeping] = Keeping(one.keeping, by, one.category, one.item, one.reason, one.service, state)
        elif held.counts():
            found[one.keeping] = _after(held, one)
    return list(found.values())


def _after(held: Keeping, one: KeepingWord) -> Keeping:
    state: Literal["kept", "turned-down", "lifted"] = "kept"
    if one.word == "lifted" or one.word == "turned-down":
        state = one.word
    reason = one.reason or held.reason
    return Keeping(held.id, held.by, held.category, held.item, reason, one.service or held.service, state)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is published of it: whole categories, and items with their category."""

    categories: tuple[str, ...] = ()
    items: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Is anything kept?"""
        return bool(self.categories or self.items)


def kept(found: Iterable[Keeping]) -> Kept:
    """What counts today, in one order."""
    counting = [one for one in found if one.counts()]
    return Kept(
        tuple(sorted({one.category for one in counting if one.item is None})),
        tuple(sorted({(one.item, one.category) for one in counting if one.item is not None})),
    )
