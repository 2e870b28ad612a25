"""What a permit leaves to see and to write: categories, reasons, and who may be told that a service takes part."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from chassis.permit import Kept
from logbook.model.errors import CategoryClosed
from logbook.model.facts import PARTICIPANTS, SYSTEM_CATEGORIES, LevelChange, Reference


class Allowed(Protocol):
    """What a permit tells the model. masked: nothing that tells where the subject is to be found."""

    @property
    def masked(self) -> bool:
        """Is the subject hidden from this reader?"""

    def categories(self) -> frozenset[str]:
        """Every category of the permit."""

    def allows(self, category: str, at: datetime | None = None) -> bool:
        """Is this category allowed, for something that happened at `at`?"""

    @property
    def kept(self) -> Kept | None:
        """What is kept from the reader all the same."""


def may_write(allowed: Allowed, category: str) -> None:
    """Content goes under a category that the permit holds and that is not one of the system's own."""
    if category in SYSTEM_CATEGORIES or not allowed.allows(category):
        raise CategoryClosed


def reason_categories(allowed: Allowed, category: str | None) -> tuple[str, ...]:
    """Under which categories a free-text reason stands: the named one, else all that its writer could have touched."""
    if category is not None:
        may_write(allowed, category)
        return (category,)
    found = tuple(sorted(allowed.categories() - SYSTEM_CATEGORIES))
    if not found:
        raise CategoryClosed
    return found


def may_read_log(allowed: Allowed) -> bool:
    """Whose permit holds nothing but system categories other than participation has no business with the log itself."""
    return bool(allowed.categories() - {"looks", "grants"})


def reason_is_seen(allowed: Allowed, change: LevelChange) -> bool:
    """A reason may touch all its categories, so its reader needs every one, and none of them may be kept."""
    if any(allowed.kept is not None and category in allowed.kept.categories for category in change.categories):
        return False
    return all(allowed.allows(category, change.at) for category in change.categories)


def change_is_seen(allowed: Allowed, change: LevelChange) -> bool:
    """A level change is part of the log's history: it is seen as far back as any content may be."""
    return any(allowed.allows(category, change.at) for category in allowed.categories() - SYSTEM_CATEGORIES)


def may_be_mentioned(allowed: Allowed, reference: Reference | None) -> bool:
    """May this reader be told that the item stands under another?"""
    if reference is None or not allowed.allows(reference.category, reference.at):
        return False
    return allowed.kept is None or not allowed.kept.hides(reference.category, reference.id, reference.by)


def service_is_known(allowed: Allowed, own: Collection[str], holder: str, service: str | None) -> bool:
    """May this reader be told that `service` takes part? (rule 6) The holder, the own, and all with `participants`;
    where places are masked the own alone: a school or a district says where somebody is."""
    if allowed.masked:
        return service is None or service in own
    return service is None or service == holder or service in own or allowed.allows(PARTICIPANTS)
