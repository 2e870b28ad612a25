"""The age-and-law table: who must answer, who may see, and from when to when. Ages are data, never code.

Both questions are answered day by day, and folded into days from which on the answer is another. A row that nobody has
verified, or whose time of validity is not now, gives way to its strict value or to nothing. Of rows that fit, the most
particular counts: a category before its class, a sector before none, a municipality's own before the country's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from consent.model.births import UNBORN, Born, Unborn
from consent.model.facts import Fact, Facts, Party, Situation, edges, situation, spans
from consent.model.own_say import OwnSay

Who = Literal["self", "parental", "representative", "expectant"]

SPECIAL = "class:special"
GENERAL = "class:general"
SYSTEM_CATEGORIES = ("looks", "grants")
"""What is about the consent itself: who looked, and who may see."""


class LawInvalid(ValueError):
    """The table cannot be used; its text names the row."""


@dataclass(frozen=True, slots=True)
class Category:
    """A category of content as the directory knows it. An unknown classification counts as special.

    sector: of the service that it would be shared with, where that is what is asked.
    """

    id: str
    special: bool = True
    sector: str | None = None

    def names(self) -> tuple[str, ...]:
        """What rows may name it by, the most particular first."""
        if self.id in SYSTEM_CATEGORIES:
            return (self.id,)
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
class Reach:
    """For whom a row is: between which ages, in whose care, with which capacity, as a party by what, and where.

    municipality None: the whole country. from_age UNBORN: before birth; then past_due says for how many days after the
    due date, as long as nobody has told of a birth (None: until somebody does).
    """

    from_age: int
    to_age: int | None
    capacity: tuple[str, ...]
    care: tuple[str, ...]
    party: tuple[str, ...]
    municipality: str | None
    past_due: int | None = None

    def covers(self, born: Born, on: date) -> bool:
        """Is somebody born then, or due then, of these ages on this day?"""
        if isinstance(born, Unborn):
            return self.from_age == UNBORN and (self.past_due is None or on < _over(born, self.past_due))
        begun = self.from_age == UNBORN or birthday(born, self.from_age) <= on
        return begun and (self.to_age is None or on < birthday(born, self.to_age))


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """Who must say yes, who is asked without deciding, and who must be heard. sectors empty: of every service."""

    source: Source
    reach: Reach
    what: tuple[str, ...]
    sectors: tuple[str, ...]
    needs: frozenset[Party]
    asks: frozenset[Party]
    hears: frozenset[Party]


@dataclass(frozen=True, slots=True)
class SightRow:
    """Who sees what by law. Without actions: nothing, and no less particular row counts instead."""

    source: Source
    reach: Reach
    who: Who
    what: tuple[str, ...]
    actions: tuple[str, ...]
    basis: str


Row = AnswerRow | SightRow
Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class RecordRow:
    """Who records a kind of fact: staff with one of these roles, of services of these sectors (none: of any)."""

    source: Source
    kind: str
    roles: tuple[str, ...]
    sectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CircleRow:
    """Who may know where somebody under address protection is: services of these sectors (none: of any that has to do
    with them), and whether guardians outside it still see content, without places (`masked`) or not at all."""

    source: Source
    protection: tuple[str, ...]
    sectors: tuple[str, ...]
    guardians: Literal["masked", "nothing"]

    def admits(self, sector: str | None) -> bool:
        """Is a service of this sector in the circle?"""
        return not self.sectors or sector in self.sectors


@dataclass(frozen=True, eq=False)
class Law:
    """The whole table, one version of it, for one municipality. `zone` says when a day begins.

    mark: a short hash of everything that the answers depend on, so that no change goes unnoticed.
    """

    version: str
    mark: str
    zone: ZoneInfo
    longest_days: int
    answers: tuple[AnswerRow, ...]
    sights: tuple[SightRow, ...]
    records: tuple[RecordRow, ...]
    circles: tuple[CircleRow, ...]
    strict_needs: frozenset[Party]
    say: OwnSay
    by_key: Mapping[Key, tuple[Row, ...]] = field(repr=False)
    ages: tuple[int, ...] = field(repr=False)
    past_due: tuple[int, ...] = field(repr=False)
    days: frozenset[date] = field(repr=False)

    def day_of(self, moment: datetime) -> date:
        """The local date at a moment."""
        return moment.astimezone(self.zone).date()

    def day_of_epoch(self, epoch: int) -> date:
        """The local date at epoch seconds."""
        return datetime.fromtimestamp(epoch, self.zone).date()

    def starts(self, day: date) -> int:
        """Epoch seconds at which a day begins where the municipality is."""
        return _begins(self.zone, day)

    def ends(self, last_day: date) -> int:
        """Epoch seconds at which a last day is over."""
        return self.starts(last_day + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Answerers:
    """Who decides now, who is asked besides and who is heard, and from which day on others decide (None: never).

    row: which row says so; None: no row fits, and the strict default counts. strict: was something added to the row?
    since: of each party that decides, the day since which its say has not grown: before it somebody else had to agree
    who need not any more, or the party did not decide at all (date.min: always as now).
    """

    needs: frozenset[Party]
    asks: frozenset[Party]
    hears: frozenset[Party]
    until: date | None
    row: AnswerRow | None
    strict: bool
    since: Mapping[Party, date]


@dataclass(frozen=True, slots=True)
class Sight:
    """One category that may be seen from one day to another (None: without end), and which rows say so."""

    category: str
    start: date
    end: date | None
    actions: tuple[str, ...]
    basis: str
    rows: tuple[str, ...]


def circle(law: Law, protection: str, on: date) -> CircleRow | None:
    """The row about somebody under this protection; None where none that is verified says anything: then no service is
    in the circle, and guardians outside it see nothing."""
    return next(
        (
            row for row in law.circles
            if protection in row.protection and row.source.holds(on) and row.source.verified()
        ),
        None,
    )  # fmt: skip


@lru_cache(maxsize=50_000)
def _begins(zone: ZoneInfo, day: date) -> int:
    return int(datetime.combine(day, time.min, zone).timestamp())


def age(born: Born, on: date) -> int:
    """How many birthdays have been; UNBORN before the first day."""
    if isinstance(born, Unborn) or on < born:
        return UNBORN
    return on.year - born.year - (birthday(born, on.year - born.year) > on)


def birthday(born: date, age: int) -> date:
    """The day on which an age is reached; somebody born on 29 February reaches it on 1 March in other years."""
    try:
        return born.replace(year=born.year + age)
    except ValueError:
        return date(born.year + age, 3, 1)


def _over(unborn: Unborn, past_due: int) -> date:
    """The day from which on a row for so many days after the due date holds no longer."""
    return unborn.due + timedelta(days=past_due + 1)


def keys(row: Row) -> Iterator[Key]:
    """Under which names a row is found: one for each thing, sector and situation that it is about."""
    who, sectors = (None, row.sectors or (None,)) if isinstance(row, AnswerRow) else (row.who, (None,))
    reach = row.reach
    for what in row.what:
        for sector in sectors:
            for capacity in reach.capacity:
                for care in reach.care:
                    for party in reach.party:
                        yield who, what, sector, reach.municipality and "own", capacity, care, party


def _places(law: Law, who: Who | None, category: Category, now: Situation) -> Iterator[tuple[Row, ...]]:
    """The rows that may be about this, the most particular first."""
    told = now.capacity, now.care, now.standing(category.id)
    for what in category.names():
        for sector in dict.fromkeys((category.sector, None)):
            for own in ("own", None):
                found = law.by_key.get((who, what, sector, own, *told))
                if found:
                    yield found


@lru_cache(maxsize=50_000)
def answerers(law: Law, category: Category, born: Born, on: date, facts: Facts = ()) -> Answerers:
    """Who must answer about this category on this day. Without a row that fits, everybody the strict default names.

    Kept, as sight is: many are born on the same day.
    """
    return _answerers(law, category, born, on, facts)


def _answerers(law: Law, category: Category, born: Born, on: date, facts: Facts) -> Answerers:
    today = _deciding(law, category, born, on, facts)
    later = (day for day in _edges(law, born, facts) if day > on)
    until = next((day for day in later if _deciding(law, category, born, day, facts)[:2] != today[:2]), None)
    needs, _, row = today
    since = _since(law, category, born, on, facts, needs)
    nobody: frozenset[Party] = frozenset()
    if row is None:
        return Answerers(needs, nobody, nobody, until, None, strict=True, since=since)
    return Answerers(needs, row.asks, row.hears, until, row, strict=needs != row.needs, since=since)


def _since(
    law: Law, category: Category, born: Born, on: date, facts: Facts, needs: frozenset[Party]
) -> dict[Party, date]:
    """The last day on which the say of each of these parties grew, going back from today."""
    found: dict[Party, date] = {}
    after = needs
    for day in reversed([day for day in _edges(law, born, facts) if date.min < day <= on]):
        before = _deciding(law, category, born, day - timedelta(days=1), facts)[0]
        for party in needs - found.keys():
            if party not in before or before - after:
                found[party] = day
        if len(found) == len(needs):
            break
        after = before
    return {party: found.get(party, date.min) for party in needs}


def _deciding(
    law: Law, category: Category, born: Born, on: date, facts: Facts
) -> tuple[frozenset[Party], tuple[object, ...], AnswerRow | None]:
    """Which parties decide, who they are as far as facts say it, and which row says so."""
    now = situation(facts, on)
    row = next(_fitting(law, category, born, on, now), None)
    needs = law.strict_needs if row is None else row.needs
    if row is not None and not row.source.verified():
        needs |= law.strict_needs
    people: tuple[object, ...] = (
        now.holders if "guardians" in needs and now.responsibility is not None else None,
        now.representatives if "representatives" in needs else None,
    )
    return needs, people, row


def _fitting(law: Law, category: Category, born: Born, on: date, now: Situation) -> Iterator[AnswerRow]:
    for rows in _places(law, None, category, now):
        for row in rows:
            if isinstance(row, AnswerRow) and row.source.holds(on) and row.reach.covers(born, on):
                yield row


def guardians_ever_needed(law: Law, categories: Iterable[Category], born: Born, on: date) -> bool:
    """Must guardians answer about any of these categories on this day?"""
    return any("guardians" in answerers(law, category, born, on).needs for category in categories)


def sights(law: Law, who: Who, categories: Iterable[Category], born: Born, on: date, facts: Facts = ()) -> list[Sight]:
    """What `who` sees by law on this day or later, each with its days."""
    return [
        sight
        for sight in _all_runs(law, who, (*categories, *_SYSTEM), born, facts)
        if sight.end is None or sight.end > on
    ]


_SYSTEM = tuple(Category(id_) for id_ in SYSTEM_CATEGORIES)


@lru_cache(maxsize=50_000)
def _all_runs(law: Law, who: Who, categories: tuple[Category, ...], born: Born, facts: Facts) -> tuple[Sight, ...]:
    begins = born.since if isinstance(born, Unborn) else born
    days = [begins, *(day for day in _edges(law, born, facts) if day > begins)]
    stretches = [(start, end, situation(facts, start)) for start, end in spans(days)]
    return tuple(sight for category in categories for sight in _runs(law, who, category, born, stretches))


def _runs(
    law: Law, who: Who, category: Category, born: Born, stretches: Iterable[tuple[date, date | None, Situation]]
) -> tuple[Sight, ...]:
    """The days of sight, joined where nothing changes but the row."""
    found: list[Sight] = []
    for start, end, now in stretches:
        row = _seen(law, who, category, born, start, now)
        if row is None:
            continue
        last = found[-1] if found else None
        if last is not None and (last.end, last.actions, last.basis) == (start, row.actions, row.basis):
            rows = tuple(dict.fromkeys((*last.rows, row.source.row)))
            found[-1] = Sight(category.id, last.start, end, row.actions, row.basis, rows)
        else:
            found.append(Sight(category.id, start, end, row.actions, row.basis, (row.source.row,)))
    return tuple(found)


def _seen(law: Law, who: Who, category: Category, born: Born, on: date, now: Situation) -> SightRow | None:
    """The row by which the category is seen on this day. The most particular place decides for all ages: rows of it
    that end at an age leave nothing behind, whatever a class would give."""
    for rows in _places(law, who, category, now):
        valid = [row for row in rows if isinstance(row, SightRow) and row.source.holds(on)]
        if valid:
            found = next((row for row in valid if row.reach.covers(born, on)), None)
            return found if found is not None and found.actions and found.source.verified() else None
    return None


def next_turn(law: Law, born: Born, on: date, facts: Facts = ()) -> date | None:
    """The next day on which who decides, is asked or sees can become another; None: never."""
    return next((day for day in _edges(law, born, facts) if day > on), None)


def _edges(law: Law, born: Born, facts: Iterable[Fact]) -> list[date]:
    """Every day on which an answer can become another one, in their order."""
    if isinstance(born, Unborn):
        own = {_over(born, days) for days in law.past_due}
    else:
        own = {birthday(born, age) for age in law.ages}
    return sorted(own | law.days | edges(facts))
