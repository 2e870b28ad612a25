"""The events that consent publishes, and the slices that it reads of others' events and states."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from consent.model.ending import Mark, Reason
from consent.model.otherwise import DIGITAL, Manner

SOURCE = "/samlogg/consent"
STATE = "consent.state.v1"
EVENTS = "consent.events.v1"
ACCESS = "gateway.access.v1"
DIRECTORY = "directory.state.v1"
CHECKPOINTS = "consent.checkpoints.v1"
LOGBOOK = "logbook.events.v1"

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
HORIZON_PASSED = "consent.horizon-passed.v1"
STATE_CHANGED = "consent.state.v1"
BARRIER = "consent.barrier.v1"
CHECKPOINT_SIGNED = "consent.checkpoint-signed.v1"
LOOKED = "access.recorded.v1"
HELD_BACK = "access.held-back.v1"
DIRECTORY_CHANGED = "directory.state.v1"
CHANGES = (
    "log.opened.v1", "log.level-changed.v1", "holder.changed.v1", "goal.set.v1", "measure.planned.v1",
    "measure.started.v1", "measure.accepted.v1", "measure.evaluated.v1", "entry.added.v1", "highlight.added.v1",
    "meeting.planned.v1", "meeting.moved.v1", "meeting.called-off.v1",
)  # fmt: skip
"""What happens in a log."""

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
Id = Annotated[str, Field(pattern=_UUID)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Recipient = Annotated[str, Field(pattern=r"^(service|person):[A-Za-z0-9._-]{1,64}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T[0-9:.]{8,15}Z$")]


class Published(BaseModel):
    """What consent says on the bus: ids and codes, nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, populate_by_name=True)


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


_SUBJECT, _GUARDIAN = "7d0e4b1c-52e4-4a53-9d3b-0c8d5f6f2a10", "b1f0c9de-8a3e-4a0c-a7f7-3d2e1c0b9a88"
_REQUEST, _GRANT = "2f9d1b7a-6c35-4d0e-8f61-9a4be0c7d512", "c6a7e0d4-19f2-4b7e-b6a5-5f3d2c1b0e97"
_CHANGE = "e4b8c2a6-3d71-4f95-8c0a-1b2d3e4f5a60"
_QUESTION, _LOOK = "5a2e7c1d-90b4-4e63-b8f2-6c1d0a9e7f34", "91d4f0b8-2c6e-4a17-9e3b-0f5d8c7a6b21"


class ConsentRequested(Published):
    """consent.requested.v1: somebody is asked, and can find the question."""

    model_config = _example(
        request=_REQUEST, subject=_SUBJECT, asker="service:school-health", asked=[_SUBJECT, _GUARDIAN]
    )  # fmt: skip

    request: Id
    subject: Id
    asker: Recipient
    asked: list[Id]


class ConsentGranted(Published):
    """consent.granted.v1: a grant is in force at every gateway able to answer. manners: how the words for it came."""

    model_config = _example(
        **{
            "grant": _GRANT, "subject": _SUBJECT, "recipient": "service:school-health", "categories": ["school"],
            "actions": ["read"], "from": "2026-11-22T12:00:00.000Z", "until": "2027-06-30T22:00:00.000Z", "version": 4,
            "manners": ["digital", "paper"],
        }
    )  # fmt: skip

    grant: Id
    subject: Id
    recipient: Recipient
    categories: list[Slug]
    actions: list[Literal["read", "contribute"]]
    begins: Annotated[Moment, Field(alias="from")]
    until: Moment | None
    version: int
    manners: list[Manner] = []


class ConsentDenied(Published):
    """consent.denied.v1: somebody said no to something they were asked."""

    model_config = _example(
        request=_REQUEST, subject=_SUBJECT, by=_GUARDIAN, manner="digital"
    )  # fmt: skip

    request: Id
    subject: Id
    by: Id
    manner: Manner = DIGITAL


class ConsentWithdrawn(Published):
    """consent.withdrawn.v1: a grant has ended for certain. `categories` are all it had; what goes on is another.

    reason: somebody has said so, the law or a fact has become another, or its time was over.
    """

    model_config = _example(
        grant=_GRANT, subject=_SUBJECT, recipient="service:police", categories=["school"], version=5, change=_CHANGE,
        manner="oral", reason="said",
    )  # fmt: skip

    grant: Id
    subject: Id
    recipient: Recipient
    categories: list[Slug]
    version: int
    change: Id
    manner: Manner = DIGITAL
    reason: Literal["said", "law", "date"] = "said"


class ConsentEndingSoon(Published):
    """consent.ending-soon.v1: grants of one request end in so many days or fewer, unless somebody acts.

    people: who is asked now, and who takes over where others decide from then on. reason: the period is over, others
    decide, or somebody has said so. Raised once for each of the days; after a silence only the nearest.
    """

    model_config = _example(
        request=_REQUEST, subject=_SUBJECT, asker="service:school-health", grants=[_GRANT],
        people=[_SUBJECT, _GUARDIAN], ends="2027-06-30T22:00:00.000Z", days=30, reason="period",
    )  # fmt: skip

    request: Id
    subject: Id
    asker: Recipient
    grants: list[Id]
    people: list[Id]
    ends: Moment
    days: Mark
    reason: Reason


class SightChanged(Published):
    """consent.sight-changed.v1: what those see who see by law has become another, at every gateway able to answer:
    something is kept from them, or no longer, or shown to them by an exception.

    tell: who is to hear of it: the subject, or services whose staff may give the reason.
    """

    model_config = _example(
        subject=_SUBJECT, tell=["service:school-health"], version=6
    )  # fmt: skip

    subject: Id
    tell: list[Recipient]
    version: int


class Registered(Published):
    """consent.registered.v1: something was written down for this person that they did not write themselves: on paper,
    spoken, through a companion, or by a person register that changed what is in force."""

    model_config = _example(
        subject=_SUBJECT, person=_GUARDIAN
    )  # fmt: skip

    subject: Id
    person: Id


class ExceptionMade(Published):
    """consent.exception-made.v1: staff of this service have used the exception for life and health. Which, and by which
    reason, its leaders find over HTTPS."""

    model_config = _example(
        subject=_SUBJECT, service="service:school-health"
    )  # fmt: skip

    subject: Id
    service: Recipient


class QuestionAsked(Published):
    """consent.question-asked.v1: somebody asks a service about a look. What is asked travels over HTTPS only."""

    model_config = _example(
        question=_QUESTION, subject=_SUBJECT, look=_LOOK, service="service:school-health"
    )  # fmt: skip

    question: Id
    subject: Id
    look: Slug
    service: Recipient


class QuestionAnswered(Published):
    """consent.question-answered.v1: the service has answered whoever asked."""

    model_config = _example(
        question=_QUESTION, subject=_SUBJECT, service="service:school-health", asked_by=_SUBJECT
    )  # fmt: skip

    question: Id
    subject: Id
    service: Recipient
    asked_by: Id


class HorizonPassed(Published):
    """consent.horizon-passed.v1: every gateway able to answer has passed this position."""

    model_config = _example(
        topic="directory.state.v1", partition=0, position=42
    )  # fmt: skip

    topic: str
    partition: int
    position: int


class StateGrant(Published):
    """One grant in the published state. Times are epoch seconds."""

    id: Id
    kind: Literal["consent", "self", "parental"]
    recipient: Recipient
    categories: list[Slug]
    actions: list[Literal["read", "contribute"]]
    purpose: Slug
    basis: Annotated[str, Field(max_length=64)]
    begins: Annotated[int, Field(alias="from")]
    until: int | None
    back: int | None
    excluded: Annotated[list[str], Field(alias="except")]


class StateRequest(Published):
    """One open request in the published state."""

    id: Id
    asker: Recipient
    asked: list[Id]
    open: Literal[True]


class KeptItem(Published):
    """An item that is kept, and its category."""

    id: Slug
    category: Slug


class StateKept(Published):
    """What is kept from those who see by law (`parental`), beside grants that do not tell of it."""

    categories: list[Slug]
    items: list[KeptItem]


class ConsentState(Published):
    """consent.state.v1: the whole state of one subject. circle: under address protection, who is told where the subject
    is to be found; null: everybody who sees anything."""

    model_config = _example(
        version=4, subject=_SUBJECT,
        grants=[
            {
                "id": _GRANT, "kind": "consent", "recipient": "service:school-health", "categories": ["school"],
                "actions": ["read"], "purpose": "follow-up", "basis": "gdpr-6-1-a+9-2-a", "from": 1795348800,
                "until": 1814392800, "back": None, "except": [],
            }
        ],
        requests=[{"id": _REQUEST, "asker": "service:school-health", "asked": [_SUBJECT, _GUARDIAN], "open": True}],
        circle=None,
        kept={"categories": ["health"], "items": [{"id": _LOOK, "category": "school"}]},
    )  # fmt: skip

    version: int
    subject: Id
    grants: list[StateGrant]
    requests: list[StateRequest]
    circle: list[Recipient] | None = None
    kept: StateKept | None = None


class Barrier(Published):
    """consent.barrier.v1: a leader's first word in a partition."""

    model_config = _example(
        epoch=3
    )  # fmt: skip

    epoch: int


class CheckpointSigned(Published):
    """consent.checkpoint-signed.v1: the ledger's tree as it is signed (LEDGER.md). Of nobody in particular."""

    model_config = _example(
        origin="samlogg.example/ledger", size=1,
        note=(
            "samlogg.example/ledger\n1\nbjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=\n\n"
            "— samlogg.example/ledger LdrogTC6XtL963d4MFSqyjbMd043zE0a/QCHTJsUWcOwZsZBP+iNwi/xxwk8CoClA+KGkrBvzaEYWzof"
            "zlwfO83wgAw=\n"
        ),
    )  # fmt: skip

    origin: Annotated[str, Field(max_length=120)]
    size: Annotated[int, Field(ge=0)]
    note: Annotated[str, Field(max_length=2_000)]


PUBLISHED: dict[str, dict[str, type[Published]]] = {
    EVENTS: {
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
        HORIZON_PASSED: HorizonPassed,
    },
    STATE: {STATE_CHANGED: ConsentState, BARRIER: Barrier},
    DIRECTORY: {BARRIER: Barrier},
    CHECKPOINTS: {CHECKPOINT_SIGNED: CheckpointSigned},
}
"""Topic, type, and the form of the data."""


class _Slice(BaseModel):
    """What is relied on; everything else is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Looker(_Slice):
    """Who looked."""

    kind: Literal["person", "staff", "machine"]
    id: Slug | None


class AccessRecorded(_Slice):
    """access.recorded.v1: what the ledger sorts a record by. The whole record is kept as it came."""

    id: Slug
    at: Moment
    subject: Id | None
    actor: Looker
    categories: list[Slug]
    grants: list[Slug]
    outcome: Literal["answered", "refused"]


class AccessHeldBack(_Slice):
    """access.held-back.v1: the look with this id got no answer after all."""

    record: Slug


class DirectoryState(_Slice):
    """directory.state.v1 of kind category, service, staff or clock: names, agency, whether it is in use, and how far
    ahead the clock is, are read from the rest."""

    version: Annotated[int, Field(ge=0)]
    kind: Slug
    id: Slug


class Above(_Slice):
    """An item that another stands under."""

    item: Id
    category: Slug


class LogChanged(_Slice):
    """Any event of the logbook: which item of whose log, of which category (None: the log itself), and by which write.

    record: the write's access record; None: an event from before that was said. above: what the item stands under.
    """

    subject: Id
    item: Id
    category: Slug | None
    at: Moment
    record: Slug | None = None
    above: list[Above] = []


class PublishedCheckpoint(_Slice):
    """consent.checkpoint-signed.v1, read back at the start: the database must not be older than what was published."""

    note: Annotated[str, Field(max_length=2_000)]


CONSUMED: dict[str, dict[str, type[BaseModel]]] = {
    ACCESS: {LOOKED: AccessRecorded, HELD_BACK: AccessHeldBack},
    DIRECTORY: {DIRECTORY_CHANGED: DirectoryState},
    CHECKPOINTS: {CHECKPOINT_SIGNED: PublishedCheckpoint},
    LOGBOOK: dict.fromkeys(CHANGES, LogChanged),
}
"""Topic, type, and the slice that is relied on."""
