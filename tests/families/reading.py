"""The law table read a second time, one day at a time, from the rows as they stand in the file.

Nothing of consent is imported here, and nothing is folded into periods: each question is put to every row.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

Table = dict[str, Any]
RawRow = dict[str, Any]


@dataclass(frozen=True)
class RawFact:
    """One recorded fact, in the order of a family's list."""

    kind: str
    value: str
    begins: date
    ends: date | None
    people: frozenset[str]
    what: str | None


@dataclass(frozen=True)
class Family:
    """Somebody, who claims to be a guardian, and what is recorded. unborn: `born` is the day that they are due."""

    child: str
    born: date
    claimed: frozenset[str]
    facts: tuple[RawFact, ...]
    unborn: bool = False


@dataclass(frozen=True)
class Thing:
    """What is asked about: a category, how the directory classifies it, and the sector of who would get it."""

    category: str
    special: bool
    sector: str | None = None


def years(born: date, day: date) -> int:
    """How old somebody is: the birthdays that have been."""
    passed = (day.month, day.day) >= (born.month, born.day)
    return day.year - born.year - (0 if passed else 1)


def _old(family: Family, day: date) -> int:
    """As years, and -1 before birth."""
    return -1 if family.unborn else max(-1, years(family.born, day))


class Reading:
    """One table, read for one municipality."""

    def __init__(self, table: Table, municipality: str | None) -> None:
        self.table, self.municipality = table, municipality

    def deciders(self, family: Family, thing: Thing, day: date) -> dict[str, frozenset[str] | None]:
        """Each party whose yes is needed, with its people; None: those who claim it."""
        row = self._answer(family, thing, day)
        parties = set(self.table["strict_needs"])
        if row is not None:
            signed = bool(row.get("verified_by")) and "verified_at" in row
            parties = set(_listed(row["needs"])) | (set() if signed else parties)
        return {party: self._recorded(family, party, day) for party in parties}

    def asked(self, family: Family, thing: Thing, day: date) -> frozenset[str]:
        """Everybody who is asked, deciding or not."""
        row = self._answer(family, thing, day)
        parties = set(self.deciders(family, thing, day)) | set(_listed((row or {}).get("asks", [])))
        return frozenset().union(*(self.people(family, party, day) for party in parties))

    def heard(self, family: Family, thing: Thing, day: date) -> set[str]:
        """The parties that must be heard."""
        return set(_listed((self._answer(family, thing, day) or {}).get("hears", [])))

    def people(self, family: Family, party: str, day: date) -> frozenset[str]:
        """Who is this party. Before birth nobody but the mother, who claims it, is any."""
        if family.unborn and party != "expectant":
            return frozenset()
        found = self._recorded(family, party, day)
        return family.claimed if found is None else found

    def agreed(self, family: Family, thing: Thing, day: date, said: Callable[[str], str | None]) -> bool:
        """Has everybody whose yes is needed said yes, and the child not said no?"""
        if said(family.child) == "no":
            return False
        for party in self.deciders(family, thing, day):
            people = self.people(family, party, day)
            if not people or any(said(person) != "yes" for person in people):
                return False
        return True

    def stands(self, family: Family, thing: Thing, person: str, said: date, day: date) -> bool:
        """Does a yes of that day count on this one? Each day between is read: on none of them may a party that the
        person belongs to today have come to decide, or have lost another that had to agree as well."""
        mine = {p for p in self.deciders(family, thing, day) if person in self.people(family, p, day)}
        turning = sorted(turn for turn in turning_days(self.table, family) if said < turn <= day)
        for turn in turning:
            before = set(self.deciders(family, thing, turn - timedelta(days=1)))
            after = set(self.deciders(family, thing, turn))
            if any(party in after and (party not in before or before - after) for party in mine):
                return False
        return True

    def seen(self, family: Family, thing: Thing, day: date) -> set[tuple[str, str]]:
        """Who sees this by law on this day, and may do what: person and action."""
        found = set()
        parties = ("self", "child"), ("parental", "guardians"), ("representative", "representatives")
        for who, party in [("expectant", "expectant")] if family.unborn else parties:
            row = self._sight(family, thing, day, who)
            if row is not None and row.get("verified_by") and "verified_at" in row:
                for person in self.people(family, party, day):
                    found |= {(person, action) for action in row["actions"]}
        return found

    def own_say(self, family: Family, thing: Thing, day: date, kind: str, how: str) -> str | None:
        """The row of this kind by which somebody keeps it (how: by whose word), lets see it or may have it shown (how:
        to whom); None: no row."""
        old, names = _old(family, day), [thing.category, "class:special" if thing.special else "class:general"]
        said = "by" if kind == "keep" else "to"
        for name in names:
            for row in self.table[kind]:
                inside = row["valid_from"] <= day and ("valid_to" not in row or day < row["valid_to"])
                signed = row.get("verified_by") and "verified_at" in row
                here = row.get("municipality", self.municipality) == self.municipality
                about = name in _listed(row["what"]) and how in _listed(row[said]) and _aged(row, old)
                if inside and signed and here and about:
                    return str(row["id"])
        return None

    def _recorded(self, family: Family, party: str, day: date) -> frozenset[str] | None:
        if party == "expectant":
            return None
        if party in ("subject", "child"):
            return frozenset({family.child})
        if party == "representatives":
            named = [self._fact(family, kind, day) for kind in ("care", "capacity")]
            return frozenset(person for fact in named if fact is not None for person in fact.people)
        found = self._fact(family, "responsibility", day)
        return None if found is None else found.people

    def _fact(self, family: Family, kind: str, day: date, what: str | None = None) -> RawFact | None:
        for fact in reversed(family.facts):
            if fact.kind == kind and fact.what == what and fact.begins <= day and not (fact.ends and day >= fact.ends):
                return fact
        return None

    def _fits(self, row: RawRow, family: Family, thing: Thing, day: date) -> bool:
        """Everything but the ages."""
        if day < row["valid_from"] or ("valid_to" in row and day >= row["valid_to"]):
            return False
        if row.get("municipality", self.municipality) != self.municipality:
            return False
        names = [thing.category]
        if thing.category not in ("looks", "grants"):
            names.append("class:special" if thing.special else "class:general")
        if not set(names) & set(_listed(row["what"])):
            return False
        if "sector" in row and thing.sector not in _listed(row["sector"]):
            return False
        told = {"capacity": "able", "care": "parents"}
        for kind, usual in told.items():
            fact = self._fact(family, kind, day)
            if (usual if fact is None else fact.value) not in _listed(row.get(kind, usual)):
                return False
        decisions = [self._fact(family, "party", day, what) for what in (thing.category, None)]
        decided = any(fact is not None and fact.value == "decision" for fact in decisions)
        return ("decision" if decided else "age") in _listed(row.get("party", "age"))

    def _rank(self, row: RawRow, thing: Thing) -> tuple[bool, bool, bool]:
        return thing.category in _listed(row["what"]), "sector" in row, "municipality" in row

    def _answer(self, family: Family, thing: Thing, day: date) -> RawRow | None:
        rows = [
            row for row in self.table["answer"] if _of_age(row, family, day) and self._fits(row, family, thing, day)
        ]  # fmt: skip
        return max(rows, key=lambda row: self._rank(row, thing), default=None)

    def _sight(self, family: Family, thing: Thing, day: date, who: str) -> RawRow | None:
        rows = [row for row in self.table["sight"] if row["who"] == who and self._fits(row, family, thing, day)]
        best = max((self._rank(row, thing) for row in rows), default=None)
        return next((row for row in rows if self._rank(row, thing) == best and _of_age(row, family, day)), None)


def _aged(row: RawRow, old: int) -> bool:
    begins = -1 if row["from_age"] == "unborn" else row["from_age"]
    return bool(begins <= old < row.get("to_age", 1_000))


def _of_age(row: RawRow, family: Family, day: date) -> bool:
    """Is the row for somebody so old, or so long after the day that they were due?"""
    late = family.unborn and "past_due" in row and day > family.born + timedelta(days=row["past_due"])
    return _aged(row, _old(family, day)) and not late


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def days_from(day: date, count: int) -> Iterator[date]:
    """This day and those after it."""
    for number in range(count):
        yield day + timedelta(days=number)


def turning_days(table: Table, family: Family) -> set[date]:
    """Days on which something may become another, each with the day before and the day after."""
    found: set[date] = set()
    for row in (*table["answer"], *table["sight"]):
        found |= {row["valid_from"], row.get("valid_to", row["valid_from"])}
        if family.unborn:
            found |= {family.born, family.born + timedelta(days=row.get("past_due", 0))}
            continue
        for age in {row["from_age"], row.get("to_age", row["from_age"])} - {"unborn"}:
            found |= set(_around(family.born, age))
    for fact in family.facts:
        found |= {fact.begins, fact.ends or fact.begins}
    return found | {day + timedelta(days=step) for day in found for step in (-1, 1)}


def _around(born: date, age: int) -> Iterable[date]:
    """The birthday, whichever day it is kept on."""
    year = born.year + age
    return (
        [date(year, born.month, 28), date(year, 3, 1)]
        if (born.month, born.day) == (2, 29)
        else [date(year, born.month, born.day)]
    )
