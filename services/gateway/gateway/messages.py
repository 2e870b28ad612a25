"""The events that the gateway publishes, and the slices that it reads of others' events and states."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.model.facts import Entity, WireState

LOGBOOK = "logbook.events.v1"
CONSENT = "consent.events.v1"
STATE = "consent.state.v1"
DIRECTORY = "directory.state.v1"

CHANGES = (
    "log.opened.v1",
    "log.level-changed.v1",
    "holder.changed.v1",
    "goal.set.v1",
    "measure.planned.v1",
    "measure.started.v1",
    "measure.accepted.v1",
    "measure.evaluated.v1",
    "entry.added.v1",
    "highlight.added.v1",
    "meeting.planned.v1",
    "meeting.moved.v1",
    "meeting.called-off.v1",
)
REQUESTED = "consent.requested.v1"
GRANTED = "consent.granted.v1"
DENIED = "consent.denied.v1"
WITHDRAWN = "consent.withdrawn.v1"
ENDING_SOON = "consent.ending-soon.v1"
SIGHT_CHANGED = "consent.sight-changed.v1"
REGISTERED = "consent.registered.v1"
EXCEPTION_MADE = "consent.exception-made.v1"
QUESTION_ASKED = "consent.question-asked.v1"
QUESTION_ANSWERED = "consent.question-answered.v1"
STATE_CHANGED = "consent.state.v1"
BARRIER = "consent.barrier.v1"
DIRECTORY_CHANGED = "directory.state.v1"

Id = Annotated[str, Field(min_length=1, max_length=64)]
Recipient = Annotated[str, Field(pattern=r"^(service|person):[A-Za-z0-9._-]{1,64}$")]
Slug = Annotated[str, Field(max_length=120)]


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RecordedActor(_Event):
    """Who looked. `id` is a person id, a staff id or an attachment id; None for a login that matched nobody."""

    kind: Literal["person", "staff", "machine"]
    id: str | None
    services: list[Slug]
    role: Slug | None
    agency: Slug | None


class AccessRecorded(_Event):
    """access.recorded.v1: one look, or one refusal, at the level of categories. Never content, never free text.

    `count` is above one where the refusals of one caller about one subject were folded into one record.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "7a0c5f4e-3b43-4c1e-8d55-5d3b2f0c9e21",
                    "at": "2026-03-02T08:15:00.000Z",
                    "subject": "3f2c1a50-6d0e-4c53-9a57-0d4e4e8d7a10",
                    "actor": {
                        "kind": "staff",
                        "id": "7b1e9d0c-90d2-4a7e-a4ad-2c1e5f6b8d34",
                        "services": ["school-health"],
                        "role": "professional",
                        "agency": "education",
                    },
                    "route": "logbook.get-items",
                    "action": "read",
                    "categories": ["school"],
                    "grants": ["0e5f2d3c-1b7a-4f5e-9c8d-6a4b3c2d1e0f"],
                    "basis": "grant",
                    "purpose": "follow-up",
                    "outcome": "answered",
                    "reason": None,
                    "count": 1,
                }
            ]
        }
    )

    id: str
    at: str
    subject: str | None
    actor: RecordedActor
    route: Slug
    action: Literal["read", "contribute", "none"]
    categories: list[Slug]
    grants: list[str]
    basis: Slug
    purpose: Slug | None
    outcome: Literal["answered", "refused"]
    reason: Slug | None
    count: int = Field(default=1, ge=1)


class AccessHeldBack(_Event):
    """access.held-back.v1: the look recorded as `record` got no answer, or only the beginning of one.

    sent, of: how far an answer came that was cut off: at most so many bytes of so many left.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "record": "7a0c5f4e-3b43-4c1e-8d55-5d3b2f0c9e21",
                    "reason": "decided-anew",
                    "sent": None,
                    "of": None,
                },
                {
                    "record": "7a0c5f4e-3b43-4c1e-8d55-5d3b2f0c9e21",
                    "reason": "cut-off",
                    "sent": 32_516,
                    "of": 4_100_213,
                },
            ]
        }
    )

    record: str
    reason: Slug
    sent: Annotated[int, Field(ge=0)] | None = None
    of: Annotated[int, Field(ge=0)] | None = None


class NoticeDue(_Event):
    """notice.due.v1: somebody is to be told that there is something to see. `cause` is the event behind it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "notice": "b54b6c3e-51c8-4d4a-8f0c-3b7d3f9a6e02",
                    "recipient": "person:3f2c1a50-6d0e-4c53-9a57-0d4e4e8d7a10",
                    "cause": "c1d2e3f4-0a1b-4c2d-9e3f-405162738495",
                }
            ]
        }
    )

    notice: str
    recipient: Annotated[str, Field(pattern=r"^(person|staff):")]
    cause: str


class NoticeRevoked(_Event):
    """notice.revoked.v1: what the notice was about may no longer be seen; if it still waits, it is not sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "notice": "b54b6c3e-51c8-4d4a-8f0c-3b7d3f9a6e02",
                    "recipient": "person:3f2c1a50-6d0e-4c53-9a57-0d4e4e8d7a10",
                }
            ]
        }
    )

    notice: str
    recipient: Annotated[str, Field(pattern=r"^(person|staff):")]


class Pointer(_Event):
    """samlogg.pointer.v1 on an agency's feed: what to ask the gateway about. `handle` is that agency's own."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "handle": "mQ2x0cXUqmN8bVh3Jk5dTz1rWyPs7LfGa9eBtC4uHoI",
                    "what": "changed",
                    "href": "/subjects/mQ2x0cXUqmN8bVh3Jk5dTz1rWyPs7LfGa9eBtC4uHoI/items",
                }
            ]
        }
    )

    handle: str
    what: Literal["changed", "grant-began", "grant-ended"]
    href: str


PUBLISHED: dict[str, dict[str, type[BaseModel]]] = {
    "gateway.access.v1": {"access.recorded.v1": AccessRecorded, "access.held-back.v1": AccessHeldBack},
    "gateway.notices.v1": {"notice.due.v1": NoticeDue, "notice.revoked.v1": NoticeRevoked},
    "agency.{opaque}.feed.v1": {"samlogg.pointer.v1": Pointer},
}
"""Topic, type, and the form of the data. Pointers go to one feed for each agency."""


class _Slice(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class By(_Slice):
    """Who did it."""

    kind: Annotated[str, Field(max_length=16)]
    id: Id


class Above(_Slice):
    """An item that another stands under."""

    item: Id
    category: Annotated[str, Field(max_length=64)]


class LogChanged(_Slice):
    """Any event of the logbook: whose log, which category (None: the log itself), which item and what that stands
    under, who did it and when."""

    subject: Id
    item: Id
    category: Annotated[str, Field(max_length=64)] | None
    above: list[Above] = []
    actor: By
    at: datetime


class ConsentRequested(_Slice):
    """consent.requested.v1: who is asked."""

    subject: Id
    asked: list[Id]


class ConsentGranted(_Slice):
    """consent.granted.v1: a grant is in force and confirmed."""

    subject: Id
    grant: Id
    recipient: Recipient


class ConsentDenied(_Slice):
    """consent.denied.v1: somebody said no."""

    subject: Id
    request: Id
    by: Id


class SightChanged(_Slice):
    """consent.sight-changed.v1: what those see who see by law has become another; whom to tell of it."""

    subject: Id
    tell: list[Recipient]


class ConsentWithdrawn(_Slice):
    """consent.withdrawn.v1: a grant has ended, confirmed."""

    subject: Id
    grant: Id
    recipient: Recipient


class ConsentEndingSoon(_Slice):
    """consent.ending-soon.v1: grants of one request end in some days, unless somebody acts."""

    subject: Id
    asker: Recipient
    people: list[Id]


class Registered(_Slice):
    """consent.registered.v1: somebody else wrote something down for this person."""

    subject: Id
    person: Id


class ExceptionMade(_Slice):
    """consent.exception-made.v1: staff of a service used the exception for life and health."""

    subject: Id
    service: Recipient


class QuestionAsked(_Slice):
    """consent.question-asked.v1: somebody asks a service about a look."""

    subject: Id
    service: Recipient


class QuestionAnswered(_Slice):
    """consent.question-answered.v1: the service has answered."""

    subject: Id
    asked_by: Id


class BarrierRead(_Slice):
    """consent.barrier.v1, on both state topics: a leader's first word in a partition."""

    epoch: int


CONSUMED: dict[str, dict[str, type[Any]]] = {
    LOGBOOK: dict.fromkeys(CHANGES, LogChanged),
    CONSENT: {
        REQUESTED: ConsentRequested,
        GRANTED: ConsentGranted,
        DENIED: ConsentDenied,
        WITHDRAWN: ConsentWithdrawn,
        ENDING_SOON: ConsentEndingSoon,
        SIGHT_CHANGED: SightChanged,
        REGISTERED: Registered,
        EXCEPTION_MADE: ExceptionMade,
        QUESTION_ASKED: QuestionAsked,
        QUESTION_ANSWERED: QuestionAnswered,
    },
    STATE: {STATE_CHANGED: WireState, BARRIER: BarrierRead},
    DIRECTORY: {DIRECTORY_CHANGED: Entity, BARRIER: BarrierRead},
}
"""Topic, type, and the slice that is relied on. Whole states are msgspec structs: there are a million of them."""
