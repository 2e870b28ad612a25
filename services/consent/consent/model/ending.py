"""What ends soon: whom it is told when, why it ends, and when a subject must be looked at again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from consent.model.grants import Terms
from consent.model.law import Law

Mark = Literal[90, 30, 7]
MARKS: tuple[Mark, ...] = get_args(Mark)
"""So many days before a grant ends, those who may act are told."""

Reason = Literal["period", "others-decide", "said"]
"""Why it ends: the period is over; others decide from that day on; somebody has said so (a part taken back)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A grant in force. told: the nearest mark that was told of it; None: nothing yet."""

    id: str
    request: str
    begins: int
    terms: Terms
    told: int | None


@dataclass(frozen=True, slots=True)
class Ending:
    """Grants of one request that end at one time (epoch seconds), and the mark that is to be told of them."""

    request: str
    ends: int
    mark: Mark
    grants: tuple[str, ...]


def endings(law: Law, running: Sequence[Running], now: int) -> list[Ending]:
    """What is to be told now: of each grant only the nearest mark that is due, once; nothing of what goes on anyway.

    A mark that lies before the grant's beginning is left out: who agreed to ten days knows that they end.
    """
    found: dict[tuple[str, int, Mark], list[str]] = {}
    for one, ends in _ended(running):
        due = [mark for mark, at in _marks(law, one.begins, ends) if at <= now]
        if due and (one.told is None or min(due) < one.told) and not _goes_on(one.terms, ends, running):
            found.setdefault((one.request, ends, min(due)), []).append(one.id)
    return [Ending(*place, tuple(sorted(grants))) for place, grants in sorted(found.items())]


def next_mark(law: Law, running: Iterable[Running], now: int) -> int | None:
    """When the next grant ends or is to be told of; None: never."""
    moments = (at for one, ends in _ended(running) for at in (ends, *(at for _, at in _marks(law, one.begins, ends))))
    return min((at for at in moments if at > now), default=None)


def reason(until: int, period: int, deciding: Iterable[int]) -> Reason:
    """Why a grant ends then. period: when its request does; deciding: when others decide about one of its cells."""
    if until == period:
        return "period"
    return "others-decide" if until in set(deciding) else "said"


def _ended(running: Iterable[Running]) -> list[tuple[Running, int]]:
    """The grants that have an end, with it."""
    return [(one, one.terms.until) for one in running if one.terms.until is not None]


def _marks(law: Law, begins: int, ends: int) -> list[tuple[Mark, int]]:
    """The marks of a grant with the time at which each day begins."""
    last = law.day_of_epoch(ends)
    found = [(mark, law.starts(last - timedelta(days=mark))) for mark in MARKS]
    return [(mark, at) for mark, at in found if at > begins]


def _goes_on(terms: Terms, ends: int, running: Iterable[Running]) -> bool:
    """Is there another grant that says all of this, and lasts longer? Then whoever could act has acted."""
    return any(
        other.terms.recipient == terms.recipient
        and set(terms.categories) <= set(other.terms.categories)
        and set(terms.actions) <= set(other.terms.actions)
        and (other.terms.until is None or other.terms.until > ends)
        for other in running
    )
