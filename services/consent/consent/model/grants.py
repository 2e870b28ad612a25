"""Grants: what cells in force add up to for each recipient. Immutable: a change ends one and begins another."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent.model.requests import Cell

BASIS = "gdpr-6-1-a+9-2-a"


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


@dataclass(frozen=True, slots=True)
class Change:
    """Which grants end and which begin."""

    end: tuple[str, ...]
    begin: tuple[Terms, ...]

    def empty(self) -> bool:
        """Does everything stay as it was?"""
        return not self.end and not self.begin


def wanted(cells: Mapping[Cell, int], purpose: str) -> frozenset[Terms]:
    """The grants that say exactly these cells, no more: categories share one only with the same actions and end.

    (A grant is a product of categories and actions; joining unequal ones would allow what nobody said yes to.)
    """
    actions: dict[tuple[str, str], dict[int, set[str]]] = {}
    for cell, end in cells.items():
        actions.setdefault((cell.service, cell.category), {}).setdefault(end, set()).add(cell.action)
    grouped: dict[tuple[str, tuple[str, ...], int], set[str]] = {}
    for (service, category), by_end in actions.items():
        for end, names in by_end.items():
            grouped.setdefault((service, tuple(sorted(names)), end), set()).add(category)
    return frozenset(
        Terms(f"service:{service}", tuple(sorted(categories)), names, purpose, end)
        for (service, names, end), categories in grouped.items()
    )


def says(terms: Terms, cell: Cell) -> bool:
    """Is this cell part of a grant with these terms?"""
    return (
        terms.recipient == f"service:{cell.service}"
        and cell.category in terms.categories
        and cell.action in terms.actions
    )


def difference(live: Mapping[str, Terms], cells: Mapping[Cell, int], purpose: str) -> Change:
    """What must end and begin so that the live grants (id to terms) say exactly these cells.

    A grant stays as long as everything it says is still in force until the same time; what is new gets a grant of its
    own. So nobody who reads under a grant notices that more was agreed to.
    """
    kept = {id_: terms for id_, terms in live.items() if _still(terms, cells)}
    missing = {cell: end for cell, end in cells.items() if not any(says(terms, cell) for terms in kept.values())}
    begin = sorted(wanted(missing, purpose), key=lambda terms: (terms.recipient, terms.categories, terms.actions))
    return Change(tuple(sorted(live.keys() - kept.keys())), tuple(begin))


def _still(terms: Terms, cells: Mapping[Cell, int]) -> bool:
    service = terms.recipient.removeprefix("service:")
    return all(
        cells.get(Cell(service, category, action)) == terms.until
        for category in terms.categories
        for action in terms.actions
    )
