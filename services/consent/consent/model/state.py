"""The whole state of a subject as it is published: grants by consent and by law, and open requests."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from consent.model.births import Born, Unborn
from consent.model.facts import ALWAYS, Facts, Party, Span, tenures
from consent.model.grants import BASES, GrantKind, Terms
from consent.model.law import PARTICIPANTS, SYSTEM_CATEGORIES, Category, Law, Sight, Who, circle, sights
from consent.model.own_say import Kept
from consent.model.registers import PLAIN, Standings, outside

TYPE = "consent.state.v1"
PURPOSE_BY_LAW = "insight"
_TELLS_PLACES = frozenset({PARTICIPANTS, *SYSTEM_CATEGORIES})
"""What is about services: for a guardian who may not know where the subject is, there is nothing left of it."""
_BY_LAW = UUID("6f1d8a52-7f0e-5b0b-9b1c-2f6f3a7c4e11")


@dataclass(frozen=True, slots=True)
class Live:
    """A grant by consent, or by an exception, that has not ended."""

    id: str
    kind: GrantKind
    begins: int
    terms: Terms


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """Who asks whom."""

    id: str
    asker: str
    asked: tuple[str, ...]


def whole(
    subject: str, version: int, live: Iterable[Live], by_law: Iterable[Mapping[str, Any]],
    requests: Iterable[OpenRequest], kept: Kept, inside: Iterable[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The record on the state topic; the order of its lists says nothing but is always the same.

    What is kept stands beside the grants, and changes none of them: a grant that told of it would tell the guardian.
    inside: who is told where the subject is to be found, under address protection; None: there is none.
    """
    hidden = {
        "categories": list(kept.categories), "items": [{"id": id_, "category": one} for id_, one in kept.items],
    }  # fmt: skip
    grants = [_by_consent(grant) for grant in live] + [dict(grant) for grant in by_law]
    return {
        "version": version, "subject": subject, "grants": sorted(grants, key=lambda grant: grant["id"]),
        "requests": [
            {"id": found.id, "asker": f"service:{found.asker}", "asked": list(found.asked), "open": True}
            for found in sorted(requests, key=lambda found: found.id)
        ],
        "circle": None if inside is None else sorted(inside),
        **({"kept": hidden} if kept else {}),
    }  # fmt: skip


def _by_consent(grant: Live) -> dict[str, Any]:
    terms = grant.terms
    return {
        "id": grant.id, "kind": "consent", "recipient": terms.recipient, "categories": list(terms.categories),
        "actions": list(terms.actions), "purpose": terms.purpose, "basis": BASES[grant.kind], "from": grant.begins,
        "until": terms.until, "back": terms.back, "except": list(terms.excluded),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A subject as the law table is asked about them. guardians: as those who asked have said, and who see by law.

    standings: of the subject and of everybody who answers for them, as far as a register has said anything.
    """

    subject: str
    born: Born
    guardians: frozenset[str]
    facts: Facts = ()
    standings: Standings = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Is the record nobody's any more: of somebody dead, of two people, or merged into another?"""
        own = self.standings.get(self.subject, PLAIN)
        return own.dead or own.closed or own.same_as is not None

    @property
    def expected_no_more(self) -> bool:
        """Has the pregnancy ended? Then nobody is asked, and those who asked know of it by their own request alone."""
        return self.standings.get(self.subject, PLAIN).ended


def by_law(law: Law, known: Known, categories: Sequence[Category], now: datetime) -> list[dict[str, Any]]:
    """The grants of kind `self` and `parental`. Their ids come from their content: the same grant, the same id.

    Whoever answers in the guardians' place, or expects the subject, has grants of kind `parental` too; their basis
    tells them apart.
    """
    return [
        grant
        for person, who, seen in _seers(law, known, categories, law.day_of(now))
        for grant in _grants(law, known.subject, "self" if who == "self" else "parental", person, seen)
    ]


def seen_today(law: Law, known: Known, categories: Sequence[Category], person: str, on: date) -> frozenset[str]:
    """The categories that this person sees by law today."""
    return frozenset(
        sight.category
        for seer, _, seen in _seers(law, known, categories, on)
        if seer == person
        for sight in seen
        if sight.start <= on
    )


_PARTIES: tuple[tuple[Who, Party], ...] = (
    ("self", "subject"), ("parental", "guardians"), ("representative", "representatives"),
    ("expectant", "expectant"),
)  # fmt: skip


def _seers(law: Law, known: Known, categories: Sequence[Category], on: date) -> Iterator[tuple[str, Who, list[Sight]]]:
    """Everybody who sees by law from now on, with what they see while they are who they are, and as far as what a
    register says lets them."""
    own = known.standings.get(known.subject, PLAIN)
    if own.over:
        return
    for who, party in _PARTIES:
        if own.same_as is not None and who != "self":
            continue
        if (who == "expectant") is not isinstance(known.born, Unborn):
            continue
        people = tenures(known.facts, party, known.subject, known.guardians)
        if people:
            seen = sights(law, who, categories, known.born, on, known.facts)
            for person, spans in people.items():
                left = seen if not known.standings else list(_left(law, known, person, seen, on))
                found = [cut for span in spans for sight in left if (cut := _within(sight, span, on))]
                yield (own.same_as or person) if who == "self" else person, who, found


def _left(law: Law, known: Known, person: str, seen: Iterable[Sight], on: date) -> Iterator[Sight]:
    """What a register leaves of somebody's sight by law: nothing of the dead's, and not what tells where the subject is
    to whoever may not know."""
    subject, standings = known.subject, known.standings
    own = standings.get(person, PLAIN)
    if own.over or (own.same_as is not None and person != subject):
        return
    hidden = outside(standings, subject, person)
    row = circle(law, standings[subject].protection, on) if hidden else None
    if hidden and (row is None or row.guardians == "nothing"):
        return
    yield from (sight for sight in seen if not hidden or sight.category not in _TELLS_PLACES)


def inside(law: Law, known: Known, services: Mapping[str, str | None], on: date) -> frozenset[str] | None:
    """Who is told where the subject is to be found; None without address protection: everybody who sees anything.

    services: those that have to do with the subject, each with its sector.
    """
    subject, standings = known.subject, known.standings
    protection = standings.get(subject, PLAIN).protection
    if not standings.get(subject, PLAIN).protected:
        return None
    people = {person for person, one in standings.items() if not one.over and not outside(standings, subject, person)}
    row = circle(law, protection, on)
    kept = () if row is None else [id_ for id_, kind in services.items() if row.admits(kind)]
    return frozenset({f"person:{person}" for person in people} | {f"service:{id_}" for id_ in kept})


def _within(sight: Sight, span: Span, on: date) -> Sight | None:
    """The part of a sight within a span, if it is not over."""
    if span == ALWAYS:
        return sight
    ends = [day for day in (sight.end, span[1]) if day is not None]
    start, end = max(sight.start, span[0]), min(ends, default=None)
    if end is not None and end <= max(start, on):
        return None
    return replace(sight, start=start, end=end)


def _grants(law: Law, subject: str, kind: str, person: str, seen: Iterable[Sight]) -> list[dict[str, Any]]:
    """One grant for all that is seen on the same days in the same way."""
    head = {"kind": kind, "recipient": f"person:{person}"}
    return [
        {"id": str(uuid5(_BY_LAW, f"{subject} {kind} {person} {name}")), **head, **content}
        for name, content in _contents(law, tuple(seen))
    ]


@lru_cache(maxsize=50_000)
def _contents(law: Law, seen: tuple[Sight, ...]) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """What grants of these sights say, each with the text of it. Kept: many are born on the same day."""
    grouped: dict[tuple[date, date | None, tuple[str, ...], str], list[str]] = {}
    for sight in seen:
        grouped.setdefault((sight.start, sight.end, sight.actions, sight.basis), []).append(sight.category)
    found = []
    for (start, end, actions, basis), categories in grouped.items():
        content = {
            "categories": sorted(categories), "actions": list(actions), "purpose": PURPOSE_BY_LAW, "basis": basis,
            "from": law.starts(start), "until": None if end is None else law.starts(end), "back": None, "except": [],
        }  # fmt: skip
        found.append((json.dumps(content, sort_keys=True, separators=(",", ":")), content))
    return tuple(found)
