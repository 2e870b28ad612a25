"""Grants: what cells in force add up to for each recipient. Immutable: a change ends one and begins another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from consent.model.requests import Cell

GrantKind = Literal["consent", "exception"]
BASES: Mapping[GrantKind, str] = {"consent": "gdpr-6-1-a+9-2-a", "exception": "life-and-health"}
LIFE_AND_HEALTH = "life-and-health"
"""The purpose of an exception."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything a grant says. Two grants with the same terms are the same permission. Times are epoch seconds."""

    recipient: str
    categories: tuple[str, ...]
    actions: tuple[str, ...]
    purpose: str
    until: int | None
    back: int | None = None
    excluded: tuple[str, ...] = ()


class Limits(NamedTuple):
    """How far a cell in force reaches: until when, from when on, and for which staff not. Times are epoch seconds."""

    end: int
    back: int | None = None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A withdrawal of a part: one member of staff, or what lies before a time, or after one.

    category None: every category of the service. after: the newest word there was when it was said; a later yes by the
    same person lifts it.
    """

    by: str
    service: str
    category: str | None
    after: int
    staff: str | None
    back: int | None
    until: int | None

    def speaks_of(self, cell: Cell) -> bool:
        """Is this cell part of what was narrowed?"""
        return self.service == cell.service and self.category in (None, cell.category)


def limits(end: int, narrowings: Iterable[Narrowing]) -> Limits:
    """What is left of a cell that was agreed to until `end`: every narrowing counts, the narrowest of each kind."""
    found = list(narrowings)
    backs = [one.back for one in found if one.back is not None]
    untils = [one.until for one in found if one.until is not None]
    excluded = {one.staff for one in found if one.staff is not None}
    return Limits(min(end, *untils) if untils else end, max(backs, default=None), tuple(sorted(excluded)))


@dataclass(frozen=True, slots=True)
class Change:
    """Which grants end and which begin."""

    end: tuple[str, ...]
    begin: tuple[Terms, ...]

    def empty(self) -> bool:
        """Does everything stay as it was?"""
        return not self.end and not self.begin


def wanted(cells: Mapping[Cell, Limits], purpose: str) -> frozenset[Terms]:
    """The grants that say exactly these cells, no more: categories share one only with the same actions and limits.

    (A grant is a product of categories and actions; joining unequal ones would allow what nobody said yes to.)
    """
    actions: dict[tuple[str, str], dict[Limits, set[str]]] = {}
    for cell, reach in cells.items():
        actions.setdefault((cell.service, cell.category), {}).setdefault(reach, set()).add(cell.action)
    grouped: dict[tuple[str, tuple[str, ...], Limits], set[str]] = {}
    for (service, category), by_reach in actions.items():
        for reach, names in by_reach.items():
            grouped.setdefault((service, tuple(sorted(names)), reach), set()).add(category)
    return frozenset(
        Terms(f"service:{service}", tuple(sorted(categories)), names, purpose, reach.end, reach.back, reach.excluded)
        for (service, names, reach), categories in grouped.items()
    )


def says(terms: Terms, cell: Cell) -> bool:
    """Is this cell part of a grant with these terms?"""
    return (
        terms.recipient == f"service:{cell.service}"
        and cell.category in terms.categories
        and cell.action in terms.actions
    )


def difference(live: Mapping[str, Terms], cells: Mapping[Cell, Limits], purpose: str) -> Change:
    """What must end and begin so that the live grants (id to terms) say exactly these cells.

    A grant stays as long as everything it says is still in force within the same limits; what is new gets a grant of
    its own. So nobody who reads under a grant notices that more was agreed to.
    """
    kept = {id_: terms for id_, terms in live.items() if _still(terms, cells)}
    missing = {cell: reach for cell, reach in cells.items() if not any(says(terms, cell) for terms in kept.values())}
    begin = sorted(wanted(missing, purpose), key=lambda terms: (terms.recipient, terms.categories, terms.actions))
    return Change(tuple(sorted(live.keys() - kept.keys())), tuple(begin))


def _still(terms: Terms, cells: Mapping[Cell, Limits]) -> bool:
    service = terms.recipient.removeprefix("service:")
    return all(
        cells.get(Cell(service, category, action)) == (terms.until, terms.back, terms.excluded)
        for category in terms.categories
        for action in terms.actions
    )
