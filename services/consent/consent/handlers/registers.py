"""What follows of a person register's document: each difference from what was known has its effect, in one transaction.

Whatever takes sight away is a change of the subject like a withdrawal: pending, then confirmed. A document says how
things are now, so the same one twice, or an older one after a newer, changes nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.handlers import births
from consent.handlers.desk import Desk
from consent.handlers.facts import REGISTER as SOURCE
from consent.handlers.merging import merge
from consent.handlers.requests import Office
from consent.model.facts import Fact
from consent.model.national_id import NationalId
from consent.model.people import Claim
from consent.model.registers import BIRTH, PLAIN, SPLIT, Document, Event, Named, Standing, Unreadable

Outcome = Literal["done", "nothing", "nobody", "passed-over"]


async def handle(
    conn: AsyncConnection, office: Office, event: Event | None, found: Document, now: datetime
) -> Outcome:  # fmt: skip
    """Carry out what the document says that is news here. event None: it was looked up.

    Unreadable, or RuleBroken for a number or a birth date that cannot be, leaves everything as it was: the caller ends
    the transaction.
    """
    desk = Desk(conn, office, f"{SOURCE}, looked up" if event is None else f"{SOURCE}, event {event.sequence}", now)
    numbers = _numbers(office, found, desk.today)
    named = [one.person for one in found.guardianship or ()]
    named += found.responsibility.holders if found.responsibility is not None else ()
    named += () if found.mother is None else (found.mother,)
    others = [office.registry.accept(one.number, desk.today) for one in named]
    hashes = {office.registry.hash(one) for one in (*numbers, *others)}
    await storage.lock_numbers(conn, hashes)
    rows = await storage.numbers_by_hash(conn, [office.registry.hash(one) for one in numbers])
    known = list(dict.fromkeys(row.person for row in rows))
    if event is not None and event.type == BIRTH and (unborn := await _expected(desk, found)) is not None:
        await births.born(desk, unborn, _newborn(office, found, desk.today))
        known.append(unborn)
    if not known:
        return "nobody"
    if found.version < max([await storage.standing_version(conn, one) for one in known]):
        return "nothing"
    if event is not None and event.type == SPLIT:
        return await _split(desk, known, found)
    kept = known[0] if len(known) == 1 else await merge(desk, known, numbers, rows)
    done = await _reconcile(desk, kept, found, numbers) or len(known) > 1
    await desk.publish()
    return "done" if done else "nothing"


async def _expected(desk: Desk, found: Document) -> str | None:
    """Who was expected by this child's mother and can be this child."""
    if found.mother is None:
        return None
    mother = await desk.office.registry.find(desk.conn, desk.office.registry.accept(found.mother.number, desk.today))
    return None if mother is None else await births.expected(desk.conn, mother, found.birth_date)


def _newborn(office: Office, found: Document, today: date) -> Claim:
    named = found.named()
    number = office.registry.accept(named.number, today)
    return Claim(number, named.given_name, named.family_name, named.birth_date, named.language)


def _numbers(office: Office, found: Document, today: date) -> dict[NationalId, bool]:
    """The person's numbers, and whether each is in use."""
    return {office.registry.accept(one.number, today): one.in_use for one in found.numbers}


async def _reconcile(desk: Desk, person: str, found: Document, numbers: dict[NationalId, bool]) -> bool:
    """Make what is known of one person say what the document says; was anything news?"""
    conn = desk.conn
    was = (await storage.standings_of(conn, [person])).get(person, PLAIN)
    if was.closed:
        return False
    now = replace(was, protection=found.protection, dead=found.death is not None)
    row = await storage.person_by_id(conn, person)
    older = row is not None and row.born != found.birth_date
    told = await _facts(desk, person, found)
    moved = await _use_numbers(desk, person, numbers)
    if now != was or older or told:
        await desk.touch([person, *(await storage.wards_of(conn, person) if now != was else ())])
    if older:
        await storage.set_birth_date(conn, person, found.birth_date, SOURCE)
    await _stand(desk, person, found, now)
    if now.dead and not was.dead and person in desk.before:
        await storage.close_requests(conn, person, SOURCE, desk.now)
    for fact in told if person in desk.before else ():
        await desk.record(person, fact)
    return now != was or older or bool(told) or moved


async def _stand(desk: Desk, person: str, found: Document, now: Standing) -> None:
    values = {
        "version": found.version, "protection": now.protection, "died_on": found.death, "closed": now.closed,
        "same_as": now.same_as, "changed_at": desk.now,
    }  # fmt: skip
    await storage.set_standing(desk.conn, person, values)


async def _use_numbers(desk: Desk, person: str, numbers: dict[NationalId, bool]) -> bool:
    """The document's numbers are the person's, in use or not, and no other one is in use; was anything news?"""
    registry, moved = desk.office.registry, False
    have = {row.hash: row for row in await storage.numbers_of(desk.conn, person)}
    for number, in_use in numbers.items():
        row = have.pop(registry.hash(number), None)
        if row is None:
            await registry.add_number(desk.conn, person, number, SOURCE, desk.now, in_use=in_use)
        elif row.in_use != in_use:
            await storage.use_number(desk.conn, row.hash, None if in_use else desk.now)
        moved = moved or row is None or row.in_use != in_use
    for hash_, row in have.items():
        if row.in_use:
            await storage.use_number(desk.conn, hash_, desk.now)
            moved = True
    return moved


async def _facts(desk: Desk, person: str, found: Document) -> list[Fact]:
    """What the law table takes of the document and the register has not said before, of somebody who is a subject."""
    if not await storage.is_subject(desk.conn, person):
        return []
    said: dict[str, Fact] = {}
    for row in await storage.fact_rows(desk.conn, person):
        if row.source == SOURCE:
            said[row.fact.kind] = row.fact
    told = []
    if (held := found.responsibility) is not None:
        people = await _people(desk, person, held.holders)
        told.append(Fact("responsibility", held.type, min(held.since, desk.today), people=people))
    if found.guardianship is not None:
        told.append(await _guardianship(desk, person, found))
    nothing = Fact("guardianship", "none", desk.today)
    return [one for one in told if _other(one, said.get(one.kind, nothing))]


def _other(one: Fact, said: Fact) -> bool:
    return (one.kind, one.value, one.people) != (said.kind, said.value, said.people)


async def _guardianship(desk: Desk, person: str, found: Document) -> Fact:
    """The guardians whose mandate is about personal matters too; where there are none, those with another mandate, who
    decide nothing here."""
    listed = found.guardianship or ()
    personal = [one.person for one in listed if "personal" in one.mandate]
    value = "personal" if personal else "economic" if listed else "none"
    people = await _people(desk, person, personal or [one.person for one in listed])
    return Fact("guardianship", value, min(found.guardianship_since or desk.today, desk.today), people=people)


async def _people(desk: Desk, subject: str, named: Sequence[Named]) -> frozenset[str]:
    """Those whom a document names, found or made. Unreadable where somebody is said to answer for themselves."""
    registry = desk.office.registry
    claims = [
        Claim(registry.accept(one.number, desk.today), one.given_name, one.family_name, one.birth_date, one.language)
        for one in named
    ]
    people = frozenset(row.id for row in await registry.find_or_add(desk.conn, claims, SOURCE, desk.now))
    if subject in people:
        raise Unreadable("answers-for-themselves")
    return people


# -- one record of two people ------------------------------------------------------------------------------------------


async def _split(desk: Desk, known: Sequence[str], found: Document) -> Outcome:
    """A record that was of several people is closed to everybody, for nobody can tell what in it is whose. Each of them
    has a record of their own from now on, with nothing in it, and whoever needs to asks anew.

    What the record answered for others does not count any more. Unreadable unless the parts have each number once.
    """
    parts = [_numbers(desk.office, part, desk.today) for part in found.parts]
    every = [number for part in parts for number in part]
    if len(known) != 1 or len(parts) < 2 or len(set(every)) != len(every):
        raise Unreadable("split-without-parts")
    [person] = known
    was = (await storage.standings_of(desk.conn, [person])).get(person, PLAIN)
    if was.closed:
        return "nothing"
    await desk.touch([person, *await storage.wards_of(desk.conn, person)])
    await _stand(desk, person, found, replace(was, closed=True))
    if person in desk.before:
        await storage.close_requests(desk.conn, person, SOURCE, desk.now)
    have = {row.hash for row in await storage.numbers_of(desk.conn, person)}
    for part, numbers in zip(found.parts, parts, strict=True):
        mine = [number for number in numbers if desk.office.registry.hash(number) in have]
        if mine:
            await _part(desk, part, numbers, mine)
    for row in await storage.numbers_of(desk.conn, person):
        await storage.use_number(desk.conn, row.hash, desk.now)
    await desk.publish()
    return "done"


async def _part(desk: Desk, part: Document, numbers: dict[NationalId, bool], mine: Sequence[NationalId]) -> None:
    """A record of its own for one side of a split, with those numbers that the old record had."""
    named = part.named()
    first = mine[0]
    claim = Claim(first, named.given_name, named.family_name, named.birth_date, named.language)
    person = await desk.office.registry.begin(desk.conn, claim, SOURCE, desk.now)
    for number in mine:
        await desk.office.registry.move_number(desk.conn, person, number)
    await _reconcile(desk, person, _alone(part), numbers)


def _alone(part: Document) -> Document:
    """A part as a document of its own: what it says of others is told by events of its own."""
    return Document(
        part.version, part.numbers, part.given_name, part.family_name, part.birth_date, part.language, part.protection,
        part.death,
    )  # fmt: skip
