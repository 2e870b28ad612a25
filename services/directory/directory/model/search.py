"""Which service helps with this matter, at this age (F025, F029)."""

from collections.abc import Mapping
from datetime import date

from directory.model.contact import words
from directory.model.entities import Service


def matching(service: Service, *, age: int | None, wanted: frozenset[str], agency_names: Mapping[str, str]) -> bool:
    """Does the service take this age, and does each wanted (folded) word begin a word of what it says of itself?"""
    if age is not None and not service.ages.first <= age <= service.ages.last:
        return False
    said = words(
        [*service.names.values(), *service.responsibility.values(), *agency_names.values(), service.area, service.kind]
    )
    return all(any(word.startswith(one) for word in said) for one in wanted)


def stale(review_due: date, today: date) -> bool:
    """Has the day of review passed? Then readers are told so (F177)."""
    return review_due < today
