"""The life of a measure: planned, under way with an evaluation date, evaluated, ended; and who may lead it there."""

from collections.abc import Collection
from datetime import date, datetime

from logbook.model.batons import takes_part
from logbook.model.errors import (
    EvaluationDateNeeded,
    EvaluationDateNotNeeded,
    NotAParticipant,
    NotResponsible,
    NotTheOwner,
    ParticipantsHidden,
    ServiceNeeded,
    WrongState,
)
from logbook.model.facts import (
    ACTIVE,
    CHANGED,
    CONTINUED,
    ENDED,
    MEASURE,
    PLANNED,
    RUNNING,
    Author,
    Item,
    Log,
    Participation,
)
from logbook.model.sight import Allowed, service_is_known


def responsible_party(
    allowed: Allowed, log: Log, by: Author, participants: Collection[Participation], responsible: str
) -> str:
    """`service:<id>` of a service that takes part, or `person:<id>` (F005).

    Whoever may not know who takes part cannot ask it this way either: they name the own service, the holder's or a
    person. Which persons there are is the matter of `consent`; the gateway has opened the handle for this caller.
    """
    kind, _, name = responsible.partition(":")
    if kind == "person" or name == by.service:
        return responsible
    if not service_is_known(allowed, (), log.holder.service, name):
        raise ParticipantsHidden
    if not takes_part(participants, responsible):
        raise NotAParticipant
    return responsible


def _ahead(evaluate_on: date | None, today: date) -> date:
    if evaluate_on is None or evaluate_on < today:
        raise EvaluationDateNeeded
    return evaluate_on


def plan_measure(draft: Item, evaluate_on: date | None, today: date) -> Item:
    """A new measure: planned, and under way at once when its first evaluation date is set."""
    if draft.by.service is None:
        raise ServiceNeeded
    planned = draft._replace(state=PLANNED)
    return planned if evaluate_on is None else planned._replace(state=ACTIVE, evaluate_on=_ahead(evaluate_on, today))


def assign_measure(planned: Item, responsible: str, now: datetime) -> Item:
    """To whom it is given. What a service takes on itself is accepted at once; anybody else has to say yes (F005)."""
    own = responsible == f"service:{planned.by.service}"
    return planned._replace(responsible=responsible, accepted_at=now if own else None)


def accept_measure(measure: Item, by: Author, now: datetime) -> Item:
    """The responsible service or person says yes."""
    wanted = f"person:{by.id}" if by.service is None else f"service:{by.service}"
    if measure.responsible != wanted:
        raise NotResponsible
    if measure.accepted_at is not None or measure.state == ENDED:
        raise WrongState
    return measure._replace(accepted_at=now, version=measure.version + 1)


def start_measure(measure: Item, by: Author, evaluate_on: date, today: date) -> Item:
    """From planned to active."""
    _own(measure, by)
    if measure.state != PLANNED:
        raise WrongState
    return measure._replace(state=ACTIVE, evaluate_on=_ahead(evaluate_on, today), version=measure.version + 1)


_NEXT = {"continue": CONTINUED, "change": CHANGED, "end": ENDED}


def evaluate_measure(measure: Item, by: Author, outcome: str, evaluate_on: date | None, today: date) -> Item:
    """A running measure after its evaluation: continued or changed with a new date, or ended without one (F053)."""
    _own(measure, by)
    if measure.state not in RUNNING:
        raise WrongState
    if outcome == "end":
        if evaluate_on is not None:
            raise EvaluationDateNotNeeded
        return measure._replace(state=ENDED, evaluate_on=None, version=measure.version + 1)
    return measure._replace(state=_NEXT[outcome], evaluate_on=_ahead(evaluate_on, today), version=measure.version + 1)


def _own(measure: Item, by: Author) -> None:
    if measure.kind != MEASURE or by.service is None or by.service != measure.by.service:
        raise NotTheOwner
