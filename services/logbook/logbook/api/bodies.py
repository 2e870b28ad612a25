"""What a caller may send, and the form of what comes back."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from chassis.clock import from_rfc3339

Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
"""Short on purpose: the log holds agreements, not a journal (F010)."""
Place = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Kind = Literal["goal", "measure", "evaluation", "entry", "highlight", "meeting"]
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("must be a time with its zone")
    try:
        return from_rfc3339(value)
    except OverflowError as error:
        raise ValueError("must be a time with its zone") from error


Moment = Annotated[datetime, BeforeValidator(_moment)]
"""RFC 3339 with its zone: `2026-03-04T12:00:00+01:00`."""
Responsible = Annotated[str, Field(pattern=r"^(service:[a-z0-9][a-z0-9._-]{0,62}|person:[0-9a-f-]{36})$")]


class Listing(BaseModel):
    """Which items: of one kind, or due by a day; after an earlier page's cursor, so many at most."""

    model_config = ConfigDict(hide_input_in_errors=True)

    kind: Kind | None = None
    due_by: date | None = None
    after: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class _Body(BaseModel):
    """`service`: for which of the own services this is done; needed only by those who work for several."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    service: Slug | None = None


class OpenLog(_Body):
    """`guide`: the district whose guide applies. `category`: what the decision's text is about, else all granted."""

    plan_type: Slug
    level: Annotated[int, Field(ge=0, le=99, strict=True)]
    guide: Slug
    decision: Text
    category: Slug | None = None


class ChangeLevel(_Body):
    """Up or down, with the reason."""

    level: Annotated[int, Field(ge=0, le=99, strict=True)]
    decision: Text
    category: Slug | None = None


class OfferHandover(_Body):
    """To whom the baton is offered."""

    to_service: Slug


class AcceptHandover(_Body):
    """Nothing but, where needed, for which service."""


class SetGoal(_Body):
    """A goal."""

    title: Title
    category: Slug


class PlanMeasure(_Body):
    """Without `evaluate_on` the measure stays planned until it is started."""

    goal: UUID
    title: Title
    category: Slug
    responsible: Responsible
    evaluate_on: date | None = None


class StartMeasure(_Body):
    """A measure gets under way with its first evaluation date."""

    evaluate_on: date


class AcceptMeasure(_Body):
    """Nothing but, where needed, for which service."""


class EvaluateMeasure(_Body):
    """`continue` and `change` need the next `evaluate_on`, `end` has none."""

    outcome: Literal["continue", "change", "end"]
    text: Text
    evaluate_on: date | None = None


class AddEntry(_Body):
    """An entry."""

    category: Slug
    text: Text


class AddHighlight(_Body):
    """Something good."""

    category: Slug
    text: Text


class PlanMeeting(_Body):
    """What it is for (`title`), when, and where if that is known."""

    title: Title
    category: Slug
    meet_at: Moment
    place: Place | None = None


class MoveMeeting(_Body):
    """Another time; without `place` the place stays."""

    meet_at: Moment
    place: Place | None = None


class CallOffMeeting(_Body):
    """Nothing but, where needed, for which service."""


class By(BaseModel):
    """Who did it. Staff and their service are told only to those who may know that the service takes part."""

    kind: Literal["person", "staff", "machine"]
    id: str | None
    service: str | None


class ItemView(BaseModel):
    """One item. Which members there are beyond the first five depends on its kind."""

    id: UUID
    kind: Kind
    category: str
    at: str
    by: By
    title: str | None = None
    text: str | None = None
    goal: UUID | None = None
    measure: UUID | None = None
    state: Literal["planned", "active", "continued", "changed", "ended", "called-off"] | None = None
    responsible: str | None = None
    accepted: bool | None = None
    evaluate_on: date | None = None
    outcome: Literal["continue", "change", "end"] | None = None
    meet_at: str | None = None
    place: str | None = None


class ItemList(BaseModel):
    """A page of items in the order they were written; `next` is given back as `after`."""

    items: list[ItemView]
    next: str | None


class LogDocument(BaseModel):
    """The log as the permit leaves it. `handover` and `participants` are there only for those who may know.

    measures: those that have not ended. complete: all goals and measures are here, else only the newest; each is among
    the items too. next_meeting: the earliest that lies ahead. guide, and the holder's service and staff, null: the
    person is under address protection, and the reader is not told where they are.
    """

    id: UUID
    plan_type: str
    guide: str | None
    level: int
    levels: list[dict[str, Any]]
    holder: dict[str, Any]
    holders: list[dict[str, Any]]
    goals: list[ItemView]
    measures: list[ItemView]
    complete: bool
    next_evaluation: date | None
    next_meeting: ItemView | None
    handover: dict[str, Any] | None = None
    participants: list[dict[str, Any]] | None = None
