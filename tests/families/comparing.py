"""Families, requests and answers at random, put to consent and to the reading; each difference is a sentence."""

import copy
import random
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from consent.handlers.tables import LAW
from consent.model.births import Born, Unborn
from consent.model.facts import Fact, fits
from consent.model.law import Category, Law, LawInvalid, age, answerers
from consent.model.law_file import parse
from consent.model.requests import Asked, Cell, asked_for, counts, in_force, needed, nobody_answers, waits_for
from consent.model.state import Known, by_law, seen_today
from tests.families.reading import Family, RawFact, Reading, Table, Thing, days_from, turning_days

THINGS = (
    Thing("school", special=False), Thing("leisure", special=False), Thing("health", special=True),
    Thing("police", special=True), Thing("participants", special=True), Thing("odd", special=True),
)  # fmt: skip
SYSTEM = (Thing("looks", special=True), Thing("grants", special=True))
SECTORS = (None, "health", "school", "child-welfare")
PLACES = (None, "Solvik", "Havn")
CHILD, MOTHER, FATHER, UNCLE, CARER = "child", "mother", "father", "uncle", "carer"
EACH_TABLE = 40
_PACKAGED = tomllib.loads(LAW.read_text("utf-8"))
_FIRST, _LAST = date(1996, 1, 1), date(2034, 12, 31)


@dataclass(frozen=True)
class World:
    """One table for one municipality, read twice."""

    table: Table
    law: Law
    reading: Reading


def world(rng: random.Random) -> World:
    """The packaged table with changes; those that a table may not have are left out."""
    table, where = copy.deepcopy(_PACKAGED), rng.choice(PLACES)
    for number in range(rng.randrange(12)):
        tried = copy.deepcopy(table)
        _change(rng, tried, f"new-{number}")
        try:
            parse(tried)
        except LawInvalid:
            continue
        table = tried
    return World(table, parse(table, municipality=where), Reading(table, where))


def _change(rng: random.Random, table: Table, name: str) -> None:
    if rng.random() < 0.25:
        _change_own_say(rng, table, name)
        return
    kind = rng.choice(["answer", "answer", "sight"])
    usual = [row for row in table[kind] if not {"care", "party"} & set(row)]
    row = rng.choice(usual if rng.random() < 0.6 else table[kind])
    act = rng.randrange(6)
    if act == 0:  # another rule from a day on
        day = _day(rng)
        table[kind].append({**row, **_said(rng, kind), "id": name, "valid_from": day})
        row["valid_to"] = day
    elif act == 1 and row["from_age"] == "unborn":  # another time after the due date
        row["past_due"] = rng.randrange(60)
    elif act == 1:  # two ages where one was
        age = row["from_age"] + rng.randrange(1, 5)
        upper = {**row, **_said(rng, kind), "id": name, "from_age": age}
        row["to_age"] = age
        table[kind].append(upper)
    elif act == 2:  # nobody's name under it
        row.pop("verified_by", None)
    else:
        more: dict[str, Any] = {"municipality": rng.choice(PLACES[1:])} if act == 3 or kind == "sight" else {}
        if kind == "answer" and act >= 4:
            more["sector"] = rng.sample(["health", "school", "child-welfare"], rng.randrange(1, 3))
        begins = rng.randrange(12)
        what = rng.choice(["class:general", "class:special", "health", "school", "odd"])
        ages = {"from_age": begins, "to_age": begins + rng.randrange(3, 12)}
        added = {**row, **_said(rng, kind), **more, "id": name, "what": [what]}
        if row["from_age"] != "unborn":
            added |= ages
        table[kind].append(added)


def _change_own_say(rng: random.Random, table: Table, name: str) -> None:
    """Another age, another row for one category, one that nobody has signed, or one of a municipality."""
    kind = rng.choice(["keep", "share", "exception"])
    row, act = rng.choice(table[kind]), rng.randrange(4)
    if act == 0:
        row["from_age"] = rng.randrange(20)
    elif act == 1:
        row.pop("verified_by", None)
    elif act == 2:
        begins = rng.randrange(12)
        ages = {"from_age": begins, "to_age": begins + rng.randrange(3, 12)}
        what = [rng.choice(["health", "school", "odd", "police"])]
        table[kind].append({**row, **ages, "id": name, "what": what, "valid_from": _day(rng)})
    elif kind == "exception":
        more = {"municipality": rng.choice(PLACES[1:]), "to": ["guardians", "service"]}
        table[kind].append({**row, **more, "id": name})


def _said(rng: random.Random, kind: str) -> dict[str, Any]:
    if kind == "sight":
        return {"actions": rng.choice([[], ["read"], ["read", "contribute"]])}
    parties = ["subject", "guardians", "representatives", "expectant"]
    return {
        "needs": rng.sample(parties, rng.randrange(1, 3)), "asks": rng.sample(parties, rng.randrange(2)),
        "hears": rng.sample(parties, rng.randrange(2)),
    }  # fmt: skip


def _day(rng: random.Random) -> date:
    return _FIRST + timedelta(days=rng.randrange((_LAST - _FIRST).days))


def family(rng: random.Random) -> Family:
    """Somebody with none to four facts."""
    born = date(rng.choice((2000, 2004, 2008, 2012)), 2, 29) if rng.random() < 0.05 else _day(rng)
    claimed = frozenset(rng.sample([MOTHER, FATHER, UNCLE], rng.randrange(4)))
    facts = tuple(_fact(rng) for _ in range(rng.choice((0, 0, 1, 2, 4))))
    return Family(CHILD, born, claimed, facts, unborn=rng.random() < 0.15)


def _birth(one: Family) -> Born:
    return Unborn(one.born) if one.unborn else one.born


def _first(one: Family) -> date:
    """The first day on which there is anything to ask."""
    return one.born - timedelta(days=280) if one.unborn else one.born


def _fact(rng: random.Random) -> RawFact:
    kind = rng.choice(["responsibility", "care", "capacity", "party"])
    begins, people, what = _day(rng), frozenset[str](), None
    ends = begins + timedelta(days=rng.randrange(1, 3_000)) if rng.random() < 0.4 else None
    if kind == "responsibility":
        value = rng.choice(["felles", "mor", "far", "medmor", "andre", "ukjent"])
        count = next(n for n in (2, 1, 0) if fits(value, n))
        people = frozenset(rng.sample([MOTHER, FATHER, UNCLE], count))
    else:
        usual, *others = {"care": ["parents", "child-welfare"], "capacity": ["able", "lacking", "temporarily"],
                          "party": ["age", "decision"]}[kind]  # fmt: skip
        value = rng.choice([usual, *others, *others])
        if kind == "party":
            what = rng.choice([None, "health", "odd", "looks"])
        elif value != usual:
            people = frozenset(rng.sample([CARER, UNCLE], rng.randrange(3)))
    return RawFact(kind, value, begins, ends, people, what)


def compare(seed: int, count: int) -> list[str]:
    """Put so many families to both; what differs, in sentences. A new table every EACH_TABLE families."""
    rng, found = random.Random(seed), list[str]()
    for number in range(count):
        if number % EACH_TABLE == 0:
            here = world(rng)
        one = family(rng)
        found += [f"seed {seed}, family {number}: {said}" for said in _differences(rng, here, one)]
    return found


def _differences(rng: random.Random, here: World, one: Family) -> Iterator[str]:
    facts = tuple(
        Fact(f.kind, f.value, f.begins, f.ends, f.people, f.what, order)  # type: ignore[arg-type]
        for order, f in enumerate(one.facts)
    )
    turning = sorted(turning_days(here.table, one))
    on = rng.choice([day for day in turning if day >= _first(one)] or [one.born])
    yield from _sight(rng, here, one, facts, on, turning)
    yield from _answers(rng, here, one, facts, on, turning)
    yield from _own_say(here, one, on)


def _own_say(here: World, one: Family, on: date) -> Iterator[str]:
    """Who may keep it, let see it, or have it shown on this day."""
    old, say = age(_birth(one), on), here.law.say
    for thing in THINGS:
        kind = Category(thing.category, thing.special)
        found: dict[tuple[str, str], Any] = {
            ("keep", "subject"): say.keep(kind, old, on, "subject"),
            ("keep", "professional"): say.keep(kind, old, on, "professional"),
            ("share", "guardian"): say.share(kind, old, on, "guardian"),
            ("share", "other"): say.share(kind, old, on, "other"),
            ("exception", "guardians"): say.exception(kind, old, on, "guardians"),
            ("exception", "service"): say.exception(kind, old, on, "service"),
        }
        for (what, how), row in found.items():
            if (None if row is None else row.source.row) != here.reading.own_say(one, thing, on, what, how):
                yield f"on {on} another row says of {thing} who may {what} it ({how})"


def _sight(
    rng: random.Random, here: World, one: Family, facts: tuple[Fact, ...], on: date, turning: list[date]
) -> Iterator[str]:
    """What the published grants give on days to come, against the reading of those days."""
    law = here.law
    categories = [Category(thing.category, thing.special) for thing in THINGS]
    known = Known(one.child, _birth(one), one.claimed, facts)
    grants = by_law(law, known, categories, datetime.combine(on, time(12), law.zone))
    later = [day for day in turning if day >= on]
    for day in {on, *rng.sample(later, min(len(later), 6))}:
        noon = int(datetime.combine(day, time(12), law.zone).timestamp())
        given = {
            (grant["recipient"], category, action)
            for grant in grants if grant["from"] <= noon and (grant["until"] is None or noon < grant["until"])
            for category in grant["categories"] for action in grant["actions"]
        }  # fmt: skip
        read = {
            (f"person:{person}", thing.category, action)
            for thing in (*THINGS, *SYSTEM) for person, action in here.reading.seen(one, thing, day)
        }  # fmt: skip
        if given != read:
            yield f"asked on {on}, on {day} sight differs: {sorted(given ^ read)}"
    for person in (MOTHER, CARER):
        read_now = {thing.category for thing in (*THINGS, *SYSTEM)
                    if any(who == person for who, _ in here.reading.seen(one, thing, on))}  # fmt: skip
        if seen_today(law, known, categories, person, on) != read_now:
            yield f"on {on} {person} sees today something else"


def _answers(
    rng: random.Random, here: World, one: Family, facts: tuple[Fact, ...], on: date, turning: list[date]
) -> Iterator[str]:
    law, reading = here.law, here.reading
    things = {
        Cell(f"service-{number}", thing.category, "read"): Thing(thing.category, thing.special, rng.choice(SECTORS))
        for number, thing in enumerate(rng.choices(THINGS, k=3))
    }
    kinds = {cell: Category(thing.category, thing.special, thing.sector) for cell, thing in things.items()}
    last = on + timedelta(days=rng.randrange(1, 2_000))
    request = Asked("r", one.child, _birth(one), one.claimed, kinds, "p", law.ends(last), facts)
    people = [CHILD, MOTHER, FATHER, UNCLE, CARER]
    said: dict[tuple[str, Cell], Any] = {
        (person, cell): rng.choice(("yes", "yes", "yes", "yes", "yes", "no"))
        for person in people for cell in things if rng.random() < 0.85
    }  # fmt: skip
    if asked_for(law, request, on) != frozenset().union(*(reading.asked(one, t, on) for t in things.values())):
        yield f"on {on} others are asked"
    given = in_force(law, request, said, on)
    waiting: set[str] = set()
    for cell, thing in things.items():
        now = reading.deciders(one, thing, on)
        persons = {person for party in now for person in reading.people(one, party, on)}
        waiting |= {person for person in persons if (person, cell) not in said}
        told = answerers(law, kinds[cell], _birth(one), on, facts)
        if (set(told.needs), set(told.hears)) != (set(now), reading.heard(one, thing, on)):
            yield f"on {on} others answer about {thing}: {sorted(told.needs)}, not {sorted(now)}"
        if needed(law, request, cell, on) != persons:
            yield f"on {on} other people answer about {thing}"
        if nobody_answers(law, request, (cell,), on) != any(not reading.people(one, party, on) for party in now):
            yield f"on {on} it is not the same whether anybody can answer about {thing}"
        yield from _stands(rng, here, one, request, cell, on)
        if (cell in given) != reading.agreed(one, thing, on, lambda who, cell=cell: said.get((who, cell))):  # type: ignore[misc]
            yield f"on {on} it is not the same whether all have agreed to {thing}"
        if cell in given:
            yield from _end(here, one, thing, on, given[cell], last, turning)
    if waits_for(law, request, things, said, on) != waiting:
        yield f"on {on} it waits for others"


def _stands(rng: random.Random, here: World, one: Family, request: Asked, cell: Cell, on: date) -> Iterator[str]:
    """Whether a yes of an earlier day still counts."""
    thing = next(thing for thing in THINGS if thing.category == cell.category)
    thing = Thing(thing.category, thing.special, request.cells[cell].sector)
    for person in (CHILD, MOTHER, CARER):
        said = max(_first(one), on - timedelta(days=rng.choice((0, 1, rng.randrange(4_000)))))
        at = datetime.combine(said, time(12), here.law.zone)
        if said <= on and counts(here.law, request, person, cell, at, on) != here.reading.stands(
            one, thing, person, said, on
        ):
            yield f"on {on} it is not the same whether {person}'s yes of {said} about {thing} still counts"


def _end(
    here: World, one: Family, thing: Thing, on: date, end: int, last: date, turning: Iterable[date]
) -> Iterator[str]:
    """A grant ends on the first day on which others decide, or with the request's last day."""
    now = here.reading.deciders(one, thing, on)
    days = (day for day in turning if on < day <= last)
    first = next((day for day in days if here.reading.deciders(one, thing, day) != now), None)
    expected = here.law.ends(last) if first is None else here.law.starts(first)
    if end != expected:
        yield f"asked on {on}, the grant of {thing} ends at {end}, not at {expected} ({first or last})"


def compare_day_by_day(seed: int, days: int) -> list[str]:
    """One family, asked once, and then each day of some years read: no turning day is taken for granted."""
    rng = random.Random(seed)
    here, one = world(rng), family(rng)
    facts = tuple(
        Fact(f.kind, f.value, f.begins, f.ends, f.people, f.what, order)  # type: ignore[arg-type]
        for order, f in enumerate(one.facts)
    )
    on = max(_first(one), _day(rng))
    every = list(days_from(on, days))
    found = list(_sight(rng, here, one, facts, on, every))
    for thing in THINGS:
        told = answerers(here.law, Category(thing.category, thing.special), _birth(one), on, facts)
        now = here.reading.deciders(one, thing, on)
        first = next((day for day in every if here.reading.deciders(one, thing, day) != now), None)
        if first != (told.until if told.until is not None and told.until <= every[-1] else None):
            found.append(f"seed {seed}: {thing} is decided by others from {first}, not {told.until}")
    return found
