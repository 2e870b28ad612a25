"""The age-and-law table: who must answer, who may see, and from when to when. Ages are data, never code.

A row that nobody has verified, or whose time of validity is not now, gives way to its strict value or to nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

Who = Literal["self", "parental"]
Party = Literal["subject", "guardians"]

SPECIAL = "class:special"
GENERAL = "class:general"
SYSTEM_CATEGORIES = ("looks", "grants")
"""What is about the consent itself: who looked, and who may see."""


class LawInvalid(ValueError):
    """The table cannot be read; its text names the row."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category of content as the directory knows it. An unknown classification counts as special."""

    id: str
    special: bool = True

    def names(self) -> tuple[str, str]:
        """What rows may name it by, the most particular first."""
        return self.id, SPECIAL if self.special else GENERAL


PARTICIPANTS = "participants"
ASKED_LIKE_OTHERS = {PARTICIPANTS: Category(PARTICIPANTS)}
"""Who takes part: not in every directory, but always something that can be asked for."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a row comes from, who verified it and in which period it holds."""

    row: str
    legal: str
    verified_by: str
    verified_at: date | None
    valid_from: date
    valid_to: date | None

    def holds(self, on: date) -> bool:
        """Is the row in force on this day?"""
        return self.valid_from <= on and (self.valid_to is None or on < self.valid_to)

    def verified(self) -> bool:
        """Has somebody put their name to it?"""
        return bool(self.verified_by) and self.verified_at is not None


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Who must say yes about a category between two ages, and who is asked without deciding."""

    source: Source
    what: str
    from_age: int
    to_age: int | None
    needs: frozenset[Party]
    hears: frozenset[Party]


@dataclass(frozen=True, slots=True)
class SightRow:
    """Who sees what by law between two ages."""

    source: Source
    who: Who
    what: str
    from_age: int
    to_age: int | None
    actions: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True)
class Answerers:
    """Who decides now, who is heard, and from which day on the answer would be another (None: never)."""

    needs: frozenset[Party]
    hears: frozenset[Party]
    until: date | None


@dataclass(frozen=True, slots=True)
class Sight:
    """One category that may be seen from one day to another (None: without end)."""

    category: str
    start: date
    end: date | None
    actions: tuple[str, ...]
    basis: str


@dataclass(frozen=True, slots=True)
class Law:
    """The whole table, one version of it. `zone` says when a day begins."""

    version: str
    zone: ZoneInfo
    longest_days: int
    answers: tuple[AnswerRow, ...]
    sights: tuple[SightRow, ...]
    strict_needs: frozenset[Party]

    def day_of(self, moment: datetime) -> date:
        """The local date at a moment."""
        return moment.astimezone(self.zone).date()

    def starts(self, day: date) -> int:
        """Epoch seconds at which a day begins where the municipality is."""
        return int(datetime.combine(day, time.min, self.zone).timestamp())

    def ends(self, last_day: date) -> int:
        """Epoch seconds at which a last day is over."""
        return self.starts(last_day + timedelta(days=1))


def birthday(born: date, age: int) -> date:
    """The day on which an age is reached; somebody born on 29 February reaches it on 1 March in other years."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return date(born.year + age, 3, 1)


def answerers(law: Law, category: Category, born: date, on: date) -> Answerers:
    """Who must answer about this category on this day. Without a row that fits, everybody the strict default names."""
    needs, hears = _parties(law, category, born, on)
    thresholds = sorted({day for row in law.answers for day in _edges(row, born) if day > on})
    until = next((day for day in thresholds if _parties(law, category, born, day, holds_on=on) != (needs, hears)), None)
    return Answerers(needs, hears, until)


def guardians_ever_needed(law: Law, categories: Iterable[Category], born: date, on: date) -> bool:
    """Must guardians answer about any of these categories on this day?"""
    return any("guardians" in answerers(law, category, born, on).needs for category in categories)


def sights(law: Law, who: Who, categories: Iterable[Category], born: date, on: date) -> list[Sight]:
    """What `who` sees by law, each with its days. Rows about one category outrank rows about its class."""
    found = []
    system = [Category(id_, special=True) for id_ in SYSTEM_CATEGORIES]
    for category in [*categories, *system]:
        keys = (category.id,) if category.id in SYSTEM_CATEGORIES else category.names()
        rows = _most_particular([row for row in law.sights if row.who == who and row.source.holds(on)], keys)
        for row in rows:
            end = None if row.to_age is None else birthday(born, row.to_age)
            if row.source.verified() and (end is None or end > on):
                found.append(Sight(category.id, birthday(born, row.from_age), end, row.actions, row.basis))
    return found


def _most_particular(rows: list[SightRow], keys: tuple[str, ...]) -> list[SightRow]:
    for key in keys:
        fitting = [row for row in rows if row.what == key]
        if fitting:
            return fitting
    return []


def _parties(
    law: Law, category: Category, born: date, on: date, *, holds_on: date | None = None
) -> tuple[frozenset[Party], frozenset[Party]]:
    rows = [row for row in law.answers if row.source.holds(holds_on or on) and _covers(row, born, on)]
    for key in category.names():
        for row in rows:
            if row.what == key:
                return (row.needs if row.source.verified() else row.needs | law.strict_needs), row.hears
    return law.strict_needs, frozenset()


def _covers(row: AnswerRow, born: date, on: date) -> bool:
    return birthday(born, row.from_age) <= on and (row.to_age is None or on < birthday(born, row.to_age))


def _edges(row: AnswerRow, born: date) -> Iterable[date]:
    yield birthday(born, row.from_age)
    if row.to_age is not None:
        yield birthday(born, row.to_age)


def parse(data: Mapping[str, Any]) -> Law:
    """The table in `law.toml`'s form; LawInvalid when a row is not complete."""
    row: Mapping[str, Any] = {}
    try:
        answers = []
        for row in data["answer"]:
            needs, hears = frozenset(row["needs"]), frozenset(row.get("hears", ()))
            answers.append(AnswerRow(_source(row), row["what"], row["from_age"], row.get("to_age"), needs, hears))
        sight_rows = []
        for row in data["sight"]:
            ages, actions = (row["from_age"], row.get("to_age")), tuple(row["actions"])
            sight_rows += [
                SightRow(_source(row), row["who"], what, *ages, actions, row["basis"]) for what in row["what"]
            ]
        row = {"id": "head"}
        return Law(
            data["version"], ZoneInfo(data["zone"]), data["longest_days"], tuple(answers), tuple(sight_rows),
            frozenset(data["strict_needs"]),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise LawInvalid(f"law table, row {row.get('id', '?')}: {error}") from error


def _source(row: Mapping[str, Any]) -> Source:
    verified_by, verified_at = row.get("verified_by", ""), row.get("verified_at")
    return Source(row["id"], row["legal"], verified_by, verified_at, row["valid_from"], row.get("valid_to"))
