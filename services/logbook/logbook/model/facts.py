"""What a log consists of."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

PARTICIPANTS = "participants"
SYSTEM_CATEGORIES = frozenset({PARTICIPANTS, "looks", "grants"})
"""Categories that say what their reader may know about the log; nothing is ever written under them."""

GOAL, MEASURE, EVALUATION, ENTRY, HIGHLIGHT = "goal", "measure", "evaluation", "entry", "highlight"
MEETING = "meeting"
KINDS = (GOAL, MEASURE, EVALUATION, ENTRY, HIGHLIGHT, MEETING)

PLANNED, ACTIVE, CONTINUED, CHANGED, ENDED = "planned", "active", "continued", "changed", "ended"
RUNNING = frozenset({ACTIVE, CONTINUED, CHANGED})
"""States in which a measure is under way and must have a next evaluation date (F064)."""
CALLED_OFF = "called-off"
"""A meeting is planned or called off."""


class Author(NamedTuple):
    """Who did something. `service` is the service acted for; a person acts for none."""

    kind: str
    id: str
    service: str | None = None


@dataclass(frozen=True, slots=True)
class Guide:
    """What a district says about its levels. Their number and numbers are the district's (F034)."""

    id: str
    version: int
    levels: tuple[int, ...]
    create_from: int
    plan_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LevelChange:
    """One step in the level history. The reason may touch every one of `categories`: a reader needs them all."""

    id: str
    level: int
    at: datetime
    by: Author
    guide: str
    guide_version: int
    reason: str | None
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """A service's turn with the baton; `until` is None while it lasts."""

    id: str
    service: str
    staff: str | None
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A handover that waits for the other service. Until it accepts, the holder holds."""

    id: str
    to_service: str
    by: Author
    at: datetime


@dataclass(frozen=True, slots=True)
class Log:
    """The one open log of a subject. `number` counts its items and changes; it is never shown."""

    id: str
    subject: str
    plan_type: str
    guide: str
    level: int
    holder: Holder
    number: int = 0


@dataclass(frozen=True, slots=True)
class Participation:
    """One live grant as the log knows it: who takes part, in what, since when."""

    grant: str
    recipient: str
    categories: tuple[str, ...]
    actions: tuple[str, ...]
    since: datetime


class Reference(NamedTuple):
    """Another item, with what decides whether it may be mentioned. by: the id of who wrote it."""

    id: str
    category: str
    at: datetime
    by: str


class Item(NamedTuple):
    """One entry of the log, its text opened. None as title and text: not of this kind, or erased with its key.

    A tuple, as its author and references are: a page makes hundreds, and a frozen dataclass costs three times that.
    """

    id: str
    kind: str
    category: str
    at: datetime
    by: Author
    title: str | None = None
    text: str | None = None
    goal: Reference | None = None
    measure: Reference | None = None
    state: str | None = None
    responsible: str | None = None
    accepted_at: datetime | None = None
    """When the responsible party said yes to it; its own planner's service need not say it twice."""
    evaluate_on: date | None = None
    outcome: str | None = None
    version: int = 1
    holder: str | None = None
    """The service that holds the log now: every reader of the log may know it."""
    meet_at: datetime | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class LogView:
    """A log as its reader may see it, before services are cut from it. `acting`: the holder still has consent."""

    log: Log
    acting: bool
    levels: tuple[LevelChange, ...]
    holders: tuple[Holder, ...]
    offer: Offer | None
    participants: tuple[Participation, ...]
    next_evaluation: date | None
    goals: tuple[Item, ...]
    measures: tuple[Item, ...]
    """Those that have not ended."""
    complete: bool
    """Are these all the goals and measures that its reader may see, and not only the newest?"""
    next_meeting: Item | None
