"""Two records that turn out to be of one person: one of them stays."""

from collections.abc import Sequence
from dataclasses import replace

from consent import storage
from consent.handlers.desk import Desk
from consent.model.facts import Fact
from consent.model.national_id import NationalId
from consent.model.registers import PLAIN


async def merge(
    desk: Desk, known: Sequence[str], numbers: dict[NationalId, bool], rows: Sequence[storage.NumberRow]
) -> str:
    """Make one of several records; gives the one that stays: whose number is in use, else the one known longest.

    Nothing that was agreed to about one counts for the other, and nobody sees more for it: grants and requests of the
    records merged away end, and their own person alone, by the record that stays, still reads them. Where such a record
    answered for somebody, the one that stays is asked anew.
    """
    in_use = {desk.office.registry.hash(number) for number, used in numbers.items() if used}
    kept = next((row.person for row in rows if row.hash in in_use), known[0])
    gone = [person for person in known if person != kept]
    wards = {person: await storage.wards_of(desk.conn, person) for person in gone}
    await desk.touch([*gone, *(ward for found in wards.values() for ward in found)])
    for person in gone:
        for row in await storage.numbers_of(desk.conn, person):
            number = await desk.office.registry.unsealed(row, desk.today)
            await desk.office.registry.move_number(desk.conn, kept, number)
        was = (await storage.standings_of(desk.conn, [person])).get(person, PLAIN)
        version = await storage.standing_version(desk.conn, person)
        values = {
            "version": version, "protection": was.protection, "closed": was.closed, "same_as": kept,
            "changed_at": desk.now,
        }  # fmt: skip
        await storage.set_standing(desk.conn, person, values)
        for earlier in await storage.merged_into(desk.conn, person):
            await desk.touch([earlier])
            await storage.set_standing(
                desk.conn, earlier, {"version": version, "same_as": kept, "changed_at": desk.now}
            )
        if person in desk.before:
            await storage.close_requests(desk.conn, person, desk.by, desk.now)
        for ward in wards[person]:
            await _answers_instead(desk, ward, person, kept)
    return kept


async def _answers_instead(desk: Desk, ward: str, gone: str, kept: str) -> None:
    """Where `gone` is named, `kept` is. Of two holders who turn out to be one nobody knows who the other is."""
    both = await storage.replace_guardian(desk.conn, ward, gone, kept)
    last = {
        (row.fact.kind, row.fact.what): row.fact
        for row in await storage.fact_rows(desk.conn, ward)
        if row.fact.holds(desk.today)
    }
    held = last.get(("responsibility", None))
    if kept == ward or (held is None and both) or (held is not None and {gone, kept} <= held.people):
        await desk.record(ward, Fact("responsibility", "ukjent", desk.today))
        last.pop(("responsibility", None), None)
    for fact in last.values():
        if gone in fact.people and kept != ward:
            await desk.record(ward, replace(fact, begins=desk.today, people=fact.people - {gone} | {kept}))
