"""A request: who must answer which cell, who has answered, and which cells are in force."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from consent.model.births import Born, Unborn
from consent.model.errors import AnswersContradict, AskerUnclear, PeriodInvalid
from consent.model.facts import Facts, Party, situation
from consent.model.law import Answerers, Category, Law, answerers

State = Literal["waiting", "answered", "pending", "in-force", "expired", "taken-back"]
Said = Literal["yes", "no"]
Capacity = Literal["subject", "guardian", "representative", "expectant"]
WaitedFor = Literal["subject", "guardians", "representatives", "expectant", "nobody"]
"""Whose answer is missing; nobody: whose it would be is not known yet."""


class Cell(NamedTuple):
    """The smallest thing one can say yes or no to."""

    service: str
    category: str
    action: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the rules need it. guardians: who hold responsibility, as those who asked have said.

    facts: what is recorded of the subject; where it says who holds responsibility, that counts. barred: whom a register
    keeps from being asked (model/registers.py): their yes is missing where it is needed. told: when a birth was told
    of; a yes from before it counts no more.
    """

    id: str
    subject: str
    born: Born
    guardians: frozenset[str]
    cells: Mapping[Cell, Category]
    purpose: str
    until: int
    facts: Facts = ()
    barred: frozenset[str] = frozenset()
    told: datetime | None = None


Answers = Mapping[tuple[str, Cell], Said]
"""The latest word of each person about each cell."""


def asker_of(services: Sequence[str], named: str | None) -> str:
    """The service that asks: the staff member's only one, or the one named among their own; else AskerUnclear."""
    if named is None and len(services) == 1:
        return services[0]
    if named is None or named not in services:
        raise AskerUnclear
    return named


def check_until(law: Law, until: date, today: date) -> None:
    """PeriodInvalid unless the last day is today or later and within the longest period."""
    if not today <= until <= today + timedelta(days=law.longest_days):
        raise PeriodInvalid


def each_once(answers: Iterable[tuple[Cell, Said]]) -> dict[Cell, Said]:
    """One word for each cell; AnswersContradict when a cell has several."""
    found: dict[Cell, Said] = {}
    for cell, said in answers:
        if cell in found:
            raise AnswersContradict
        found[cell] = said
    return found


def needed(law: Law, request: Asked, cell: Cell, on: date) -> frozenset[str]:
    """Every person whose yes this cell needs on this day, as far as they are known."""
    return _people(request, _who(law, request, cell, on).needs, on)


def capacity(request: Asked, person: str, on: date) -> Capacity:
    """As whom this person answers on this day."""
    if person == request.subject:
        return "subject"
    if isinstance(request.born, Unborn):
        return "expectant"
    return "representative" if person in situation(request.facts, on).representatives else "guardian"


def asked_for(law: Law, request: Asked, on: date) -> frozenset[str]:
    """Everybody who is asked: those who decide some cell, and those who are asked without deciding."""
    found: set[str] = set()
    for cell in _different(request):
        who = _who(law, request, cell, on)
        found |= _people(request, who.needs | who.asks, on)
    return frozenset(found) - request.barred


def nobody_answers(law: Law, request: Asked, cells: Iterable[Cell], on: date) -> bool:
    """Is there a cell among these whose yes nobody can give today, because who must is not known?"""
    return any(
        not _people(request, frozenset({party}), on) for cell in cells for party in _who(law, request, cell, on).needs
    )


def visible(law: Law, request: Asked, person: str, sees: frozenset[str], on: date) -> list[Cell]:
    """The cells this person is shown: the subject all; a guardian those they decide or whose category they see by law.

    What a youth may keep to themselves is thus not told by the form.
    """
    if person == request.subject:
        return sorted(request.cells)
    return sorted(cell for cell in request.cells if cell.category in sees or person in needed(law, request, cell, on))


def counts(law: Law, request: Asked, person: str, cell: Cell, at: datetime, on: date) -> bool:
    """Does a yes that was said at this time still count on this day?

    Not where its giver has more say now than then: who takes over a decision is asked anew. (With a yes that was good
    only together with somebody else's, nobody has agreed alone.)
    """
    if _before_birth(request, at):
        return False
    day, grown = law.day_of(at), _who(law, request, cell, on).since.values()
    return day >= max(grown, default=date.min) or day >= _say_since(law, request, person, cell, on)


def _before_birth(request: Asked, at: datetime) -> bool:
    """Was it said before a birth was told of?"""
    return request.told is not None and at < request.told


def _say_since(law: Law, request: Asked, person: str, cell: Cell, on: date) -> date:
    """The last day on which this person's say about the cell grew."""
    who = _who(law, request, cell, on)
    grown = [day for party, day in who.since.items() if person in _people(request, frozenset({party}), on)]
    return max(grown, default=date.min)


def opened_again(
    law: Law, request: Asked, given: Mapping[tuple[str, Cell], datetime], answers: Answers, on: date
) -> date | None:
    """The day since which the request waits again: others decide some cell than did when it was answered.

    given: when each person spoke last. None: nobody who had answered is waited for, or asked besides.
    """
    cells = {cell for _, cell in given}
    turned = [
        since
        for cell in cells
        for person in needed(law, request, cell, on)
        if (person, cell) not in answers
        and (since := _say_since(law, request, person, cell, on)) != date.min
        and any(
            where == cell and (law.day_of(at) < since or _before_birth(request, at)) for (_, where), at in given.items()
        )
    ]
    return max(turned, default=None)


def in_force(law: Law, request: Asked, answers: Answers, on: date) -> dict[Cell, int]:
    """Each cell that all who are needed said yes to, with the epoch second at which it ends.

    It ends with the request, or on the earlier birthday from which others would have to answer. The subject's own no
    stops a cell even where no yes of theirs is needed.
    """
    found = {}
    for cell in request.cells:
        who = _who(law, request, cell, on)
        agreed = not nobody_answers(law, request, (cell,), on) and all(
            answers.get((person, cell)) == "yes" for person in _people(request, who.needs, on)
        )
        if agreed and answers.get((request.subject, cell)) != "no":
            end = request.until if who.until is None else min(request.until, law.starts(who.until))
            found[cell] = end
    return found


def waits_for(law: Law, request: Asked, cells: Iterable[Cell], answers: Answers, on: date) -> frozenset[str]:
    """Those who must still answer one of these cells of the request."""
    return frozenset(
        person for cell in cells for person in needed(law, request, cell, on) if (person, cell) not in answers
    )


def waited_for(law: Law, request: Asked, cells: Iterable[Cell], answers: Answers, on: date) -> list[WaitedFor]:
    """As waits_for, by kind, with whether there is a cell that nobody can answer yet."""
    found: set[WaitedFor] = set()
    for cell in cells:
        for party in _who(law, request, cell, on).needs:
            people = _people(request, frozenset({party}), on)
            if not people:
                found.add("nobody")
            elif any((person, cell) not in answers for person in people):
                found.add(party)
    return sorted(found)


def state_of_request(
    *, now: int, until: int, waiting: bool, pending: bool, live: bool, taken_back: bool = False
) -> State:
    """How far a request has come. `pending`: some change of its grants is not confirmed; then nothing is called done.

    While somebody must still answer it waits, even if what others alone decide is in force.
    """
    if until <= now:
        return "expired"
    if taken_back:
        return "taken-back"
    if pending:
        return "pending"
    if waiting:
        return "waiting"
    return "in-force" if live else "answered"


def progress(asked: Iterable[str], answers: Answers) -> dict[str, Literal["waiting", "answered"]]:
    """Person by person whether they have answered: never what."""
    spoken = {person for person, _ in answers}
    return {person: "answered" if person in spoken else "waiting" for person in sorted(asked)}


def _different(request: Asked) -> list[Cell]:
    """One cell for each category and sector: who answers is the same for the rest."""
    return list({category: cell for cell, category in request.cells.items()}.values())


def _who(law: Law, request: Asked, cell: Cell, on: date) -> Answerers:
    return answerers(law, request.cells[cell], request.born, on, request.facts)


def _people(request: Asked, parties: frozenset[Party], on: date) -> frozenset[str]:
    now = situation(request.facts, on)
    found: frozenset[str] = frozenset()
    if isinstance(request.born, Unborn):
        parties &= {"expectant"}  # who is not born answers nothing, and nobody holds responsibility yet
    return found.union(*(now.people(party, request.subject, request.guardians) for party in parties))
