"""Births: whoever was expected gets a birth date, a name and a number, and those decide who hold responsibility."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from consent import storage
from consent.handlers import facts
from consent.handlers.desk import Desk
from consent.handlers.merging import merge
from consent.handlers.requests import Made, Office
from consent.model.births import Unborn
from consent.model.errors import BirthImpossible, FactUnfit, ResponsibilityIncomplete
from consent.model.facts import Fact, Responsibility, fits
from consent.model.people import Claim, check_birth_dates, check_different
from consent.model.registers import GRADES, PLAIN

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Of a standing that no register was asked about: it is asked as soon as it can be."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What a professional tells: the child, and who holds parental responsibility, with what it rests on."""

    child: Claim
    responsibility: Responsibility
    guardians: tuple[Claim, ...]
    reference: str = field(repr=False)


async def tell(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, said: Birth, now: datetime
) -> Made:  # fmt: skip
    """A professional tells that whoever was expected is born.

    Unseen, FactNotYours as for a fact; FactUnfit where nobody is expected; BirthImpossible, BirthDateInvalid,
    SamePerson, ResponsibilityIncomplete for what cannot be. That the number is known already is told nobody.
    """
    law, registry = office.law, office.registry
    service = await facts.recorded_by(conn, law, actor, subject, "pregnancy", law.day_of(now))
    claims = [said.child, *said.guardians]
    check_birth_dates(claims, law.day_of(now))
    check_different(claims)
    if not fits(said.responsibility, len(said.guardians)):
        raise ResponsibilityIncomplete
    await storage.lock_numbers(conn, [registry.hash(claim.number) for claim in claims])
    desk = Desk(conn, office, said.reference, now, f"asker:{service}", actor.id or "", facts.KIND)
    await desk.touch([subject])
    row = await storage.person_by_id(conn, subject)
    if row is None or not isinstance(row.born, Unborn) or await _is_over(conn, subject):
        raise FactUnfit
    if not row.born.may_be(said.child.birth_date):
        raise BirthImpossible
    people = await registry.find_or_add(conn, said.guardians, desk.source, now)
    await born(desk, subject, said.child)
    held = frozenset(one.id for one in people)
    await desk.record(subject, Fact("responsibility", said.responsibility, said.child.birth_date, people=held))
    known = await registry.find(conn, said.child.number)
    if known is None:
        await registry.add_number(conn, subject, said.child.number, desk.source, now, in_use=True)
    else:
        rows = await storage.numbers_by_hash(conn, [registry.hash(said.child.number)])
        await merge(desk, [known, subject], {said.child.number: True}, rows)
    await desk.publish()
    return Made(subject, subject, desk.change[subject])


async def _is_over(conn: AsyncConnection, subject: str) -> bool:
    own = (await storage.standings_of(conn, [subject])).get(subject, PLAIN)
    return own.over or own.same_as is not None


async def expected(conn: AsyncConnection, mother: str, birth_date: date) -> str | None:
    """Who was expected by this mother and can have been born on this day."""
    found = await storage.expected_by(conn, mother)
    fitting = found is not None and isinstance(found.born, Unborn) and found.born.may_be(birth_date)
    return found.id if found is not None and fitting else None


async def born(desk: Desk, unborn: str, child: Claim) -> None:
    """Make the record of whoever was expected the child's; the caller sees to the number, and publishes.

    What the mother agreed to before counts no more, and everybody who decides now is asked. Who holds responsibility
    is not known by birth alone: until it is told nobody answers, and nobody sees anything by law. The child is hidden
    as the mother is until a register says otherwise.
    """
    await desk.touch([unborn])
    desk.before[unborn] = {}
    mothers = await storage.guardians(desk.conn, unborn)
    hidden = [one.protection for one in (await storage.standings_of(desk.conn, mothers)).values()]
    values = {
        "birth_date": child.birth_date, "birth_source": desk.source, "birth_told_at": desk.now,
        "names": await desk.office.registry.names(unborn, child.given_name, child.family_name),
        "language": child.language,
    }  # fmt: skip
    await storage.set_born(desk.conn, unborn, values)
    if protection := max(hidden, key=GRADES.index, default=None):
        await storage.set_standing(
            desk.conn, unborn, {"version": 0, "protection": protection, "changed_at": _NEVER}
        )  # fmt: skip
    await desk.record(unborn, Fact("pregnancy", "born", child.birth_date))
    await desk.record(unborn, Fact("responsibility", "ukjent", child.birth_date))
