"""What may be sent of words on paper, spoken, or through a companion; and what is told of them."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from chassis.clock import from_rfc3339
from consent.api.bodies import AnsweredCell, Body, Conveyance, Day, Language, Name, Person, Slug, Text
from consent.model.otherwise import Act, Manner, Told

_LONGEST_MOMENT = 40
_MOST_CELLS = 400


def _moment(value: object) -> object:
    if not isinstance(value, str) or len(value) > _LONGEST_MOMENT:
        raise ValueError("must be a time with its zone")
    try:
        return from_rfc3339(value)
    except OverflowError as error:
        raise ValueError("must be a time that exists") from error


Moment = Annotated[datetime, BeforeValidator(_moment, json_schema_input_type=str)]
Staff = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Who = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Code = Annotated[str, Field(min_length=10, max_length=24, pattern=r"^[A-Za-z0-9 -]+$")]
Cells = Annotated[list[AnsweredCell], Field(min_length=1, max_length=_MOST_CELLS)]
TextVersion = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[^\x00-\x1f\x7f]*$")]
Point = Literal["asks", "purpose", "not_shared", "voluntary", "withdraw"]


class Scan(Body):
    """A scanned form: its SHA-256 in hexadecimal digits, and where the service keeps it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    reference: Name


class Backed(Body):
    """What a registered word rests on: how, where and when it was given, who witnessed it, a scan or a statement."""

    manner: Told
    witness: Staff | None = None
    given_at: Moment
    place: Name
    form: Code | None = None
    scan: Scan | None = None
    statement: Text | None = None


class NewRegisteredAnswer(Backed):
    """What `person` said, cell by cell. The text: that on the `form`, or the one in use that they were read."""

    person: Who
    cells: Cells
    text_version: TextVersion | None = None
    language: Language | None = None
    conveyed: Conveyance = Conveyance()


class RegisteredAnswerView(BaseModel):
    """What a registered answer came to; `change` is what is waited for, if anything."""

    id: str
    state: Literal["answered", "in-force"]
    change: str | None
    status: Literal["confirmed", "pending"]


class NewToldWithdrawal(Body):
    """What somebody told to withdraw: one service's, or everything (no recipient); as in one's own withdrawal.

    person: who told it; the subject where it is left out. Nothing else is needed.
    """

    person: Who | None = None
    recipient: Annotated[str, Field(pattern=r"^service:[a-z0-9][a-z0-9._-]{0,62}$")] | None = None
    category: Slug | None = None
    staff: Staff | None = None
    back_to: Day | None = None
    until: Day | None = None
    manner: Told = "oral"
    given_at: Moment | None = None
    place: Name | None = None
    statement: Text | None = None

    @model_validator(mode="after")
    def _a_part_of_something(self) -> Self:
        if self.recipient is None and (self.staff or self.back_to or self.until):
            raise ValueError("a part is of one recipient")
        return self


class NewInformation(Body):
    """What `person` was told orally: which text, which of its points, when, and whether somebody interpreted."""

    person: Who
    text_version: TextVersion
    language: Language
    points: Annotated[list[Point], Field(min_length=1, max_length=10)]
    interpreter: bool
    told_at: Moment


class MadeInformation(BaseModel):
    """It is kept."""

    id: str


class NewForm(Body):
    """For whom a form is printed; the subject, or oneself, where it is left out."""

    person: Who | None = None


class FoundForm(BaseModel):
    """Which request a code on paper belongs to, for whom it was printed, and which text is on it."""

    code: str
    subject: str
    request: str
    person: str
    text_version: str
    language: str


class TakenBack(BaseModel):
    """The request that is no longer asked."""

    id: str
    state: Literal["taken-back"]


class NewCompanion(Person):
    """Who writes, for what and until which day. person, registered: where staff register it for whoever names them."""

    acts: Annotated[list[Act], Field(min_length=1, max_length=2)]
    until: Day
    person: Who | None = None
    registered: Backed | None = None


class MadeCompanion(BaseModel):
    """They may write from now on, or no longer."""

    id: str


class _Companionship(BaseModel):
    id: str
    kind: Literal["companion"]
    acts: list[str]
    named_at: str
    until: str
    state: Literal["live", "ended"]
    ended_at: str | None


class CompanionView(_Companionship):
    """Whom one has named. `called`: by which name. `manner`: how one named them."""

    called: str
    manner: Manner


class CompanionList(BaseModel):
    """Everybody one has named, the newest first."""

    items: list[CompanionView]
    next: None


class WritesForView(_Companionship):
    """For whom one may write."""

    subject: str
    person: str


class WritesForList(BaseModel):
    """All for whom one may write now."""

    items: list[WritesForView]
    next: None


class NewWrittenAnswer(Body):
    """What `person` said on the paper with this code."""

    person: Who
    form: Code
    cells: Cells


class Receipt(BaseModel):
    """That one's own act was taken, and when."""

    id: str
    at: str
