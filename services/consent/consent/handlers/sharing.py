"""What somebody lets a person see whom the law does not show it: guardians after sixteen, an adult's next of kin.

By law next of kin see nothing. It is a grant like any other: immutable, confirmed, and taken back like one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.permit import Actor
from consent import storage
from consent.handlers import changes, granting
from consent.handlers.granting import Plan
from consent.handlers.requests import Made, Office
from consent.handlers.state import content_categories, known_of
from consent.model.errors import AssuranceTooLow, CategoryUnknown, SamePerson, ShareNotYours, Unseen
from consent.model.facts import situation
from consent.model.grants import BASES
from consent.model.law import Category, Law, age
from consent.model.own_say import Kin
from consent.model.people import Claim, check_birth_dates
from consent.model.requests import check_until
from consent.model.state import PURPOSE_BY_LAW, Known
from consent.storage import GrantRow

KIND = "shared"
"""Of the changes that come from it."""


@dataclass(frozen=True, slots=True)
class Share:
    """Whom somebody lets see which categories, until the end of which day. person: known here, or named by number."""

    person: str | Claim
    categories: frozenset[str]
    until: date


async def share(
    conn: AsyncConnection, office: Office, actor: Actor, subject: str, wanted: Share, now: datetime
) -> Made:
    """Let a person read these categories; repeated, it is the same grant.

    Unseen for anybody but the subject; ShareNotYours where the law table does not let them alone; CategoryUnknown,
    PeriodInvalid, BirthDateInvalid, SamePerson.
    """
    if actor.kind != "person" or actor.id != subject:
        raise Unseen
    if actor.assurance != "high":
        raise AssuranceTooLow
    law = office.law
    on = law.day_of(now)
    check_until(law, wanted.until, on)
    recipient = await _named(conn, office, subject, wanted.person, now)
    await changes.lock(conn, subject)
    known = (await known_of(conn, [subject]))[subject]
    categories = await content_categories(conn)
    if not wanted.categories <= categories.keys():
        raise CategoryUnknown
    chosen = [categories[one] for one in sorted(wanted.categories)]
    if not may(law, known, _kin(recipient, await storage.guardians(conn, subject)), chosen, on):
        raise ShareNotYours
    ends = law.ends(wanted.until)
    for grant in await storage.grants_of(conn, subject, int(now.timestamp())):
        same = grant.request is None and grant.kind == "consent" and not grant.ended
        if same and (grant.terms.recipient, frozenset(grant.terms.categories), grant.terms.until) == (
            f"person:{recipient}", wanted.categories, ends,
        ):  # fmt: skip
            return Made(grant.id, subject, None)
    row = {
        "id": str(uuid4()), "subject": subject, "request": None, "recipient": f"person:{recipient}",
        "categories": sorted(wanted.categories), "actions": ["read"], "purpose": PURPOSE_BY_LAW,
        "basis": BASES["consent"], "controller": None, "begins": int(now.timestamp()), "ends": ends, "back": None,
        "excluded": [], "law_version": law.version,
        "granted_by": [{"person": subject, "capacity": "subject", "answers": [], "manners": ["digital"]}],
    }  # fmt: skip
    change = await granting.carry_out(conn, subject, [Plan((), (row,))], KIND, {"by": subject}, now)
    return Made(str(row["id"]), subject, change)


async def _named(conn: AsyncConnection, office: Office, subject: str, person: str | Claim, now: datetime) -> str:
    """The person's id. By an id only who holds, or held, responsibility: another id tells whether somebody is known."""
    if isinstance(person, Claim):
        check_birth_dates([person], office.law.day_of(now))
        [found] = await office.registry.find_or_add(conn, [person], f"named-by:person:{subject}", now)
        if found.id == subject:
            raise SamePerson
        return found.id
    if person not in await storage.guardians(conn, subject):
        raise ShareNotYours
    return person


def _kin(person: str, guardians: Mapping[str, bool]) -> Kin:
    return "guardian" if person in guardians else "other"


def may(law: Law, known: Known, to: Kin, categories: Iterable[Category], on: date) -> bool:
    """May the subject alone let such a person see these categories on this day?"""
    able = situation(known.facts, on).capacity == "able"
    return able and all(law.say.share(one, age(known.born, on), on, to) is not None for one in categories)


async def plans_for(
    conn: AsyncConnection, law: Law, subjects: Sequence[str], grants: Mapping[str, Sequence[GrantRow]], now: datetime
) -> Mapping[str, Plan]:
    """Which of these grants to persons end, because the subject could not give them alone any more today."""
    mine = {
        subject: [one for one in grants.get(subject, ()) if one.request is None and one.kind == "consent"]
        for subject in subjects
    }
    concerned = [subject for subject, found in mine.items() if any(not one.ended for one in found)]
    if not concerned:
        return {}
    known, categories, on = await known_of(conn, concerned), await content_categories(conn), law.day_of(now)
    found: dict[str, Plan] = {}
    for subject in concerned:
        guardians = await storage.guardians(conn, subject)
        ended = tuple(
            one.id for one in mine[subject]
            if not one.ended and not may(
                law, known[subject], _kin(one.terms.recipient.removeprefix("person:"), guardians),
                [categories.get(name, Category(name)) for name in one.terms.categories], on,
            )
        )  # fmt: skip
        if ended:
            found[subject] = Plan(ended, ())
    return found


async def taken_back(
    conn: AsyncConnection, law: Law, grants: Iterable[GrantRow], recipient: str | None, category: str | None,
    now: datetime,
) -> Plan:  # fmt: skip
    """What ends, and what goes on of it, when the subject takes back what they let this person see (None: anybody)."""
    mine = [one for one in grants if one.request is None and one.kind == "consent" and not one.ended]
    theirs = [
        one for one in mine
        if recipient in (None, one.terms.recipient) and (category is None or category in one.terms.categories)
    ]  # fmt: skip
    rows = await storage.grants_by_id(conn, [one.id for one in theirs])
    begin = []
    for row in rows.values():
        left = [name for name in row["categories"] if category is not None and name != category]
        if left:
            new = {"id": str(uuid4()), "categories": left, "begins": int(now.timestamp()), "law_version": law.version}
            begin.append({**{name: row[name] for name in row if name not in ("began", "ended")}, **new})
    return Plan(tuple(rows), tuple(begin))


async def change_of(conn: AsyncConnection, id_: str) -> str | None:
    """The change that began a grant, or the grants of an exception, of this id."""
    return await storage.began_by(conn, id_)
