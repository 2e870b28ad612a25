"""The life of a measure: planned, accepted, started, evaluated."""

from collections.abc import Callable
from datetime import date

from logbook import messages, model, storage
from logbook.handlers.work import Work
from logbook.model import Item


async def plan_measure(
    work: Work, *, goal: str, title: str, category: str, responsible: str, evaluate_on: date | None
) -> str:
    """Add a measure that points at a goal the planner may see; gives its id."""
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    model.may_write(work.permit, category)
    sealed = await storage.one_item(work.conn, work.permit, goal)
    aim = None if sealed is None else sealed.item()
    if aim is None or aim.kind != model.GOAL:
        raise model.GoalUnknown
    towards = model.Reference(aim.id, aim.category, aim.at, aim.by.id)
    draft = Item(work.new_id(), model.MEASURE, category, work.now, by, title, goal=towards)
    planned = model.plan_measure(draft, evaluate_on, work.now.date())
    participants = await storage.participants(work.conn, work.subject, work.now)
    party = model.responsible_party(work.permit, found, by, participants, responsible)
    await work.add(found, model.assign_measure(planned, party, work.now), messages.MEASURE_PLANNED)
    return planned.id


async def start_measure(work: Work, *, measure: str, evaluate_on: date, check: Callable[[Item], None]) -> str | None:
    """A planned measure gets under way; gives its id, or None when there is none that the permit leaves."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await work.item(model.MEASURE, measure, check)
    if before is None:
        return None
    by = await work.author()
    after = model.start_measure(before, by, evaluate_on, work.now.date())
    await work.change(found, after, by, messages.MEASURE_STARTED)
    return after.id


async def evaluate_measure(
    work: Work, *, measure: str, outcome: str, text: str, evaluate_on: date | None, check: Callable[[Item], None]
) -> str | None:
    """Evaluate a measure of the own service; gives its id, or None when there is none that the permit leaves."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await work.item(model.MEASURE, measure, check)
    if before is None:
        return None
    by = await work.author()
    after = model.evaluate_measure(before, by, outcome, evaluate_on, work.now.date())
    await storage.change_item(work.conn, after)
    of = model.Reference(before.id, before.category, before.at, before.by.id)
    new = Item(work.new_id(), model.EVALUATION, before.category, work.now, by, None, text, measure=of, outcome=outcome)
    await work.add(found, new, messages.MEASURE_EVALUATED, towards=before.goal)
    return before.id


async def accept_measure(work: Work, *, measure: str, check: Callable[[Item], None]) -> str | None:
    """The responsible party says yes to a measure; gives its id, or None when there is none that the permit leaves."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await work.item(model.MEASURE, measure, check)
    if before is None:
        return None
    by = await work.author()
    after = model.accept_measure(before, by, work.now)
    await work.change(found, after, by, messages.MEASURE_ACCEPTED)
    return after.id
