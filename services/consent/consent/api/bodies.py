"""What may be sent to consent, with strict lengths; unknown fields are refused."""

import re
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from consent.api.evidence_bodies import RegisteredView, ToldView
from consent.model.facts import Responsibility
from consent.model.languages import TAG
from consent.model.otherwise import Manner
from consent.model.requests import WaitedFor
from consent.model.texts import Direction, Helper, How, Status, Way

_PLAIN = r"^[^\x00-\x1f\x7f]*$"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MOST_CELLS = 400


def _day(value: object) -> object:
    if not (isinstance(value, str) and _DAY.fullmatch(value)):
        raise ValueError("must be a date like 2026-01-31")
    return value


Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120, pattern=_PLAIN)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Language = Annotated[str, Field(pattern=TAG)]
Number = Annotated[SecretStr, Field(min_length=1, max_length=40)]
Day = Annotated[date, BeforeValidator(_day)]
Action = Literal["read", "contribute"]


class Body(BaseModel):
    """What is sent: nothing but the fields that are named."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Person(Body):
    """Somebody as the asker knows them. The birth date is what the asker says, never taken from the number."""

    national_id: Number
    given_name: Name
    family_name: Name
    birth_date: Day
    language: Language = "nb"


class AskedService(Body):
    """What is asked for one service: every category with every action."""

    service: Slug
    categories: Annotated[list[Slug], Field(min_length=1, max_length=40)]
    actions: Annotated[list[Action], Field(min_length=1, max_length=2)]


class NewRequest(Body):
    """Whom it is about, and what is asked. `asker`: which of one's own services asks; needed with several.

    Somebody who is not born has a `due_date` and a `mother`, and nothing else of a person: nobody else answers.
    """

    national_id: Number | None = None
    given_name: Name | None = None
    family_name: Name | None = None
    birth_date: Day | None = None
    language: Language = "nb"
    due_date: Day | None = None
    mother: Person | None = None
    guardians: Annotated[list[Person], Field(max_length=6)] = []
    responsibility: Responsibility = "ukjent"
    level: Annotated[int, Field(ge=0, le=9, strict=True)]
    why: Text
    purpose: Slug
    cells: Annotated[list[AskedService], Field(min_length=1, max_length=40)]
    until: Day
    asker: Slug | None = None

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if sum(len(cell.categories) * len(cell.actions) for cell in self.cells) > _MOST_CELLS:
            raise ValueError("too many cells")
        return self

    @model_validator(mode="after")
    def _born_or_expected(self) -> Self:
        whole = (self.national_id, self.given_name, self.family_name, self.birth_date)
        expected = self.due_date is not None and self.mother is not None and not self.guardians
        if expected and whole != (None,) * len(whole):
            raise ValueError("who is not born has a due date and a mother alone")
        if not expected and (None in whole or self.due_date is not None or self.mother is not None):
            raise ValueError(
                "needed: a national id, names and a birth date; or a due date and the mother, no guardians"
            )
        return self

    def person(self) -> Person:
        """Whom it is about; of somebody who is not born, the mother."""
        if self.mother is not None:
            return self.mother
        return Person.model_construct(
            national_id=self.national_id, given_name=self.given_name, family_name=self.family_name,
            birth_date=self.birth_date, language=self.language,
        )  # fmt: skip


class AnsweredCell(Body):
    """Yes or no to one cell."""

    service: Slug
    category: Slug
    action: Action
    answer: Literal["yes", "no"]


class Conveyance(Body):
    """How the text reached the person. Somebody who helped is named by their role alone: `by`. into: the language that
    it was interpreted into, by an interpreter or staff; a relative or companion may read aloud, never interpret."""

    how: How = "read"
    by: Helper | None = None
    into: Language | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.by is None) is not (self.how == "read"):
            raise ValueError("by: who read it aloud or interpreted it, and nobody where the person read it")
        if (self.into is None) is (self.how == "interpreted"):
            raise ValueError("into: the language that it was interpreted into, and only then")
        if self.how == "interpreted" and self.by not in ("interpreter", "staff"):
            raise ValueError("by: only an interpreter, or staff who speak the language, interpret")
        return self


class NewAnswer(Body):
    """Cell by cell, with the text that was read, and how. Cells that are left out stay as they are."""

    cells: Annotated[list[AnsweredCell], Field(min_length=1, max_length=_MOST_CELLS)]
    text_version: Annotated[str, Field(min_length=1, max_length=32, pattern=_PLAIN)]
    language: Language
    conveyed: Conveyance = Conveyance()


class NewWithdrawal(Body):
    """All that was agreed to for a service, or for a person whom the subject let see, or one category of it; or of a
    service's only a part, and the rest stays.

    staff: one member of the service's staff, by the id that the list of looks shows. back_to: nothing from before this
    day any more. until: nothing after this day.
    """

    recipient: Annotated[str, Field(pattern=r"^(service:[a-z0-9][a-z0-9._-]{0,62}|person:[0-9a-f-]{36})$")]
    category: Slug | None = None
    staff: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = None
    back_to: Day | None = None
    until: Day | None = None

    @model_validator(mode="after")
    def _whole_of_a_person(self) -> Self:
        if self.recipient.startswith("person:") and (self.staff or self.back_to or self.until):
            raise ValueError("of what a person may see, all or a category is taken back")
        return self


class Match(Body):
    """A national id, to find whose it is."""

    national_id: Number


class AskedState(BaseModel):
    """Whether a person has answered, never what. `manners`: how it came; only one's own, and for whoever asked."""

    person: str
    state: Literal["waiting", "answered"]
    manners: list[Manner] | None = None


class MadeRequest(BaseModel):
    """What a new request gave. `status`: pending until every gateway able to answer knows of it."""

    id: str
    subject: str
    state: str
    status: Literal["confirmed", "pending"]
    asked_state: list[AskedState]


class ServiceInformation(BaseModel):
    """A service in plain words: what it does, and what it will use the information for."""

    service: str
    name: str
    does: str
    uses: str


class ShownText(BaseModel):
    """The consent text as it is to be read; version and language go with the answer, as its evidence. way: `read`, or
    `interpreter` where there is no text in the person's own language: then the answer says how it was conveyed."""

    version: str
    language: str
    direction: Direction
    status: Status
    way: Way
    body: str
    services: list[ServiceInformation]


class OwnCell(BaseModel):
    """What one has said to one cell, and how it came. counts: no for a yes from before one decided as one does now."""

    service: str
    category: str
    action: Action
    answer: Literal["yes", "no"]
    manner: Manner
    counts: bool


class RequestView(BaseModel):
    """A request. `why`, `text` and `mine` are only for those who are asked. `registered`, `told`: the own, and for
    whoever asked all of them. waiting_for: whose answer is missing (nobody: it is not known whose it would be).
    opened_again: the day since which others decide, so that it waits once more. renews: the request that it follows."""

    id: str
    kind: Literal["request"]
    subject: str
    at: str
    state: Literal["waiting", "answered", "pending", "in-force", "expired", "taken-back"]
    status: Literal["confirmed", "pending"]
    asker: str
    level: int
    purpose: str
    cells: list[AskedService]
    until: date
    waiting_for: list[WaitedFor]
    opened_again: date | None
    renews: str | None
    answers: list[AskedState]
    why: str | None = None
    text: ShownText | None = None
    mine: list[OwnCell] | None = None
    registered: list[RegisteredView]
    told: list[ToldView]


class RequestList(BaseModel):
    """Requests that concern the reader."""

    items: list[RequestView]
    next: None


class AnswerView(BaseModel):
    """What an answer came to; `change` is what is waited for, if anything."""

    state: Literal["answered", "in-force"]
    change: str | None
    status: Literal["confirmed", "pending"]


class WithdrawalView(BaseModel):
    """One's own withdrawal. `text`: what ends now, and what those who have read keep, in the person's language."""

    id: str
    status: Literal["confirmed", "pending"]
    text: str
    language: str


class IdentityView(BaseModel):
    """Whom it is about. Who is not born has a due date, no given name yet, and the mother's family name."""

    given_name: str | None
    family_name: str
    birth_date: date | None
    due_date: date | None


class MatchView(BaseModel):
    """Whose number it is."""

    person: str
