"""What is known of a subject besides the birth date: responsibility, care, capacity, decisions under fifteen, and
that they are expected.

Each fact has days on which it holds. On a day, of several facts of one kind the one recorded last counts; without
any, a subject is in the care of the parents, has capacity, and is treated as the age says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

from consent.model.errors import FactPeriodInvalid, FactUnfit

Kind = Literal["responsibility", "care", "capacity", "party", "guardianship", "pregnancy"]
Responsibility = Literal["felles", "mor", "far", "medmor", "andre", "ukjent"]
"""The National Population Register's words (Foreldreansvarstype, domain report 3.3)."""
Care = Literal["parents", "child-welfare"]
Ability = Literal["able", "lacking", "temporarily"]
Standing = Literal["age", "decision"]
"""Is the subject a party by their age, or by a decision before it?"""
Mandate = Literal["none", "personal", "economic"]
"""What an adult's guardian (verge) has a mandate for: there is none, personal matters too, or economic ones alone."""
Pregnancy = Literal["expected", "ended", "born"]
"""What is known of a pregnancy: the day it is due, that it has ended, or that a child was born."""
Party = Literal["subject", "guardians", "representatives", "expectant"]
"""expectant: the expectant mother, who stands for a subject until birth. guardians: who holds parental responsibility.
representatives: whom a care order or a decision on capacity names, and while capacity is away a guardian whose
mandate is about personal matters."""

VALUES: Mapping[Kind, tuple[str, ...]] = {
    "responsibility": get_args(Responsibility),
    "care": get_args(Care),
    "capacity": get_args(Ability),
    "party": get_args(Standing),
    "guardianship": get_args(Mandate),
    "pregnancy": get_args(Pregnancy),
}
"""What each kind of fact can say; but for responsibility the first is what counts without a fact."""

_JOINT = 2
_LONE = frozenset({"mor", "far", "medmor"})


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact, from a day on until (not including) another. people: holders or representatives.

    what: the category that a decision under fifteen is about; None: all of them. order: of the recording.
    """

    kind: Kind
    value: str
    begins: date
    ends: date | None = None
    people: frozenset[str] = frozenset()
    what: str | None = None
    order: int = 0

    def holds(self, on: date) -> bool:
        """Does it hold on this day?"""
        return self.begins <= on and (self.ends is None or on < self.ends)


Facts = tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Situation:
    """What holds on one day. responsibility None: nothing is recorded, and what those who ask have said counts."""

    responsibility: str | None = None
    holders: frozenset[str] = frozenset()
    care: str = "parents"
    capacity: str = "able"
    representatives: frozenset[str] = frozenset()
    parties: frozenset[str | None] = frozenset()

    def standing(self, category: str) -> str:
        """Is the subject a party to this category by age, or by a decision?"""
        return "decision" if self.parties & {category, None} else "age"

    def people(self, party: Party, subject: str, claimed: frozenset[str]) -> frozenset[str]:
        """Who answers as this party; nobody where nobody can (`ukjent`, or nobody named).

        claimed: guardians as those who asked have named them; they count until a fact says who holds responsibility.
        Of a subject not yet born: the expectant mother.
        """
        if party == "subject":
            return frozenset({subject})
        if party == "representatives":
            return self.representatives
        return claimed if party == "expectant" or self.responsibility is None else self.holders


_USUAL = Situation()


def situation(facts: Sequence[Fact], on: date) -> Situation:
    """What holds on a day: of each kind, and for decisions of each category, the fact recorded last."""
    if not facts:
        return _USUAL
    last: dict[tuple[str, str | None], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.order):
        if fact.holds(on):
            last[fact.kind, fact.what] = fact
    responsibility, care, capacity = (last.get((kind, None)) for kind in ("responsibility", "care", "capacity"))
    named: frozenset[str] = frozenset()
    for one in (care, capacity):
        named |= frozenset() if one is None else one.people
    guardianship = last.get(("guardianship", None))
    if guardianship is not None and guardianship.value == "personal" and capacity is not None:
        named |= guardianship.people if capacity.value != "able" else frozenset()
    parties = frozenset(what for (kind, what), fact in last.items() if kind == "party" and fact.value == "decision")
    return Situation(
        None if responsibility is None else responsibility.value,
        frozenset() if responsibility is None else responsibility.people,
        "parents" if care is None else care.value,
        "able" if capacity is None else capacity.value,
        named,
        parties,
    )


def edges(facts: Iterable[Fact]) -> set[date]:
    """Every day on which a fact begins or ends."""
    return {day for fact in facts for day in (fact.begins, fact.ends) if day is not None}


Span = tuple[date, date | None]
"""From a day on until (not including) another."""
ALWAYS: Span = (date.min, None)


def spans(days: Sequence[date]) -> Iterator[Span]:
    """From each of these days until the next, and from the last one on without end."""
    for place, begins in enumerate(days, start=1):
        yield begins, days[place] if place < len(days) else None


def tenures(facts: Facts, party: Party, subject: str, claimed: frozenset[str]) -> dict[str, list[Span]]:
    """Each person who at any time answers as this party, with the days on which they do."""
    if not facts:
        return {person: [ALWAYS] for person in sorted(_USUAL.people(party, subject, claimed))}
    days = [date.min, *sorted(edges(facts))]
    found: dict[str, list[Span]] = {}
    for begins, ends in spans(days):
        for person in sorted(situation(facts, begins).people(party, subject, claimed)):
            held = found.setdefault(person, [])
            if held and held[-1][1] == begins:
                held[-1] = (held[-1][0], ends)
            else:
                held.append((begins, ends))
    return found


def fits(kind: str, holders: int) -> bool:
    """Can so many people hold this kind of parental responsibility? Joint is two, one parent alone one, nobody knows
    none, others at least one."""
    if kind == "felles":
        return holders == _JOINT
    if kind in _LONE:
        return holders == 1
    return holders == 0 if kind == "ukjent" else holders >= 1


def check(fact: Fact, people: int) -> None:
    """FactUnfit unless the value is one of its kind and fits what and how many people it names; FactPeriodInvalid
    when it ends before it begins.

    A care order and a decision that somebody lacks capacity name who answers: without a name nobody could.
    """
    if fact.value not in VALUES[fact.kind] or (fact.what is not None and fact.kind != "party"):
        raise FactUnfit
    names = fact.value in ("child-welfare", "lacking", "personal", "economic")
    if fact.kind == "responsibility":
        named = fits(fact.value, people)
    elif fact.value == "temporarily":
        named = True
    else:
        named = people >= 1 if names else people == 0
    if not named:
        raise FactUnfit
    if fact.ends is not None and fact.ends <= fact.begins:
        raise FactPeriodInvalid
