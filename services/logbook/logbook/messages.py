"""The events that the logbook publishes, and the slices that it reads of others' events."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

TOPIC = "logbook.events.v1"
CONSENT_EVENTS = "consent.events.v1"
DIRECTORY_STATE = "directory.state.v1"

LOG_OPENED = "log.opened.v1"
LEVEL_CHANGED = "log.level-changed.v1"
HOLDER_CHANGED = "holder.changed.v1"
GOAL_SET = "goal.set.v1"
MEASURE_PLANNED = "measure.planned.v1"
MEASURE_STARTED = "measure.started.v1"
MEASURE_ACCEPTED = "measure.accepted.v1"
MEASURE_EVALUATED = "measure.evaluated.v1"
ENTRY_ADDED = "entry.added.v1"
HIGHLIGHT_ADDED = "highlight.added.v1"
MEETING_PLANNED = "meeting.planned.v1"
MEETING_MOVED = "meeting.moved.v1"
MEETING_CALLED_OFF = "meeting.called-off.v1"

CONSENT_GRANTED = "consent.granted.v1"
CONSENT_WITHDRAWN = "consent.withdrawn.v1"
DIRECTORY_CHANGED = "directory.state.v1"

Id = Annotated[str, Field(min_length=1, max_length=64)]
Slug = Annotated[str, Field(min_length=1, max_length=64)]
Recipient = Annotated[str, Field(pattern=r"^(service|person):[A-Za-z0-9-]{1,64}$")]


class _Published(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_SUBJECT, _LOG = "7d0e4b1c-52e4-4a53-9d3b-0c8d5f6f2a10", "5b0f6d0e-2c7a-4a49-8d15-6a3e9c1b7f24"
_ITEM = "9c1e2f3a-4b5d-4c6e-8f70-a1b2c3d4e5f6"
_RECORD = "7a0c5f4e-3b43-4c1e-8d55-5d3b2f0c9e21"


def _example(item: str = _ITEM, category: str | None = "school") -> ConfigDict:
    actor: dict[str, JsonValue] = {"kind": "staff", "id": "staff-of-the-school", "services": ["gamlebyen-school"]}
    fields: dict[str, JsonValue] = {
        "subject": _SUBJECT,
        "log": _LOG,
        "item": item,
        "category": category,
        "actor": actor,
        "at": "2026-03-02T12:00:00.000Z",
        "record": _RECORD,
        "above": [],
    }
    return ConfigDict(json_schema_extra={"examples": [fields]})


class EventActor(_Published):
    """Who did it: the acting service is the only one in `services`; a person acts for none."""

    kind: Literal["person", "staff", "machine"]
    id: Id
    services: list[Slug]


class Above(_Published):
    """An item that another stands under: the goal of a measure, or the measure of an evaluation."""

    item: Id
    category: Slug


class LogbookEvent(_Published):
    """Something happened in a log. It points, and carries no content: what it was is fetched under a permit.

    item: what can be fetched as /items/<item>; for events without a category it is the log itself.
    record: the access record of the write that it comes of, for who reads the ledger. It never leaves our own services.
    above: what the item stands under: who may not know of that may not know of this.
    """

    subject: Id
    log: Id
    item: Id
    category: Slug | None
    actor: EventActor
    at: str
    record: Id | None = None
    above: list[Above] = []


class LogOpened(LogbookEvent):
    """log.opened.v1"""

    model_config = _example(_LOG, None)


class LevelChanged(LogbookEvent):
    """log.level-changed.v1"""

    model_config = _example(_LOG, None)


class HolderChanged(LogbookEvent):
    """holder.changed.v1: the new holder has accepted."""

    model_config = _example(_LOG, None)


class GoalSet(LogbookEvent):
    """goal.set.v1"""

    model_config = _example()


class MeasurePlanned(LogbookEvent):
    """measure.planned.v1"""

    model_config = _example()


class MeasureStarted(LogbookEvent):
    """measure.started.v1: a planned measure got its first evaluation date."""

    model_config = _example()


class MeasureAccepted(LogbookEvent):
    """measure.accepted.v1: whoever it was given to has said yes."""

    model_config = _example()


class MeasureEvaluated(LogbookEvent):
    """measure.evaluated.v1: `item` is the evaluation, which names its measure."""

    model_config = _example()


class EntryAdded(LogbookEvent):
    """entry.added.v1"""

    model_config = _example()


class HighlightAdded(LogbookEvent):
    """highlight.added.v1"""

    model_config = _example()


class MeetingPlanned(LogbookEvent):
    """meeting.planned.v1"""

    model_config = _example()


class MeetingMoved(LogbookEvent):
    """meeting.moved.v1: it has another time, and perhaps another place."""

    model_config = _example()


class MeetingCalledOff(LogbookEvent):
    """meeting.called-off.v1: it will not be held."""

    model_config = _example()


PUBLISHED: dict[str, dict[str, type[LogbookEvent]]] = {
    TOPIC: {
        LOG_OPENED: LogOpened,
        LEVEL_CHANGED: LevelChanged,
        HOLDER_CHANGED: HolderChanged,
        GOAL_SET: GoalSet,
        MEASURE_PLANNED: MeasurePlanned,
        MEASURE_STARTED: MeasureStarted,
        MEASURE_ACCEPTED: MeasureAccepted,
        MEASURE_EVALUATED: MeasureEvaluated,
        ENTRY_ADDED: EntryAdded,
        HIGHLIGHT_ADDED: HighlightAdded,
        MEETING_PLANNED: MeetingPlanned,
        MEETING_MOVED: MeetingMoved,
        MEETING_CALLED_OFF: MeetingCalledOff,
    }
}
"""Topic, type, and the form of the data."""


class _Slice(BaseModel):
    """What is relied on of another service's event; everything else in it is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True)


class ConsentGranted(_Slice):
    """consent.granted.v1: a grant is in force and confirmed."""

    grant: Id
    subject: Id
    recipient: Recipient
    categories: list[Slug]
    actions: list[Slug]
    since: Annotated[datetime, Field(alias="from")]
    until: datetime | None = None


class ConsentWithdrawn(_Slice):
    """consent.withdrawn.v1: a grant has ended, confirmed. Grants are immutable: one that goes on in part is another."""

    grant: Id
    subject: Id
    recipient: Recipient


class GuideSettings(_Slice):
    """Of a district's settings, those that say when a log is made."""

    log_from_level: int = 1
    plan_types: list[Slug] = ["stafettlogg"]


class DistrictState(_Slice):
    """directory.state.v1 of kind `district`: which levels its guide has, and from which of them logs are made."""

    version: Annotated[int, Field(ge=0)]
    kind: Literal["district"]
    id: Id
    levels: list[int]
    settings: GuideSettings


CONSUMED: dict[str, dict[str, type[BaseModel]]] = {
    CONSENT_EVENTS: {CONSENT_GRANTED: ConsentGranted, CONSENT_WITHDRAWN: ConsentWithdrawn},
    DIRECTORY_STATE: {DIRECTORY_CHANGED: DistrictState},
}
"""Topic, type, and the slice that is relied on. Of the directory's state only districts are read."""
