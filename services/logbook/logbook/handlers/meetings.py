"""Meetings: planned, moved, called off."""

from collections.abc import Callable
from datetime import datetime

from logbook import messages, model, storage
from logbook.handlers.work import Work
from logbook.model import Item


async def plan_meeting(work: Work, *, title: str, category: str, meet_at: datetime, place: str | None) -> str:
    """Plan a meeting; any participant may. Gives its id."""
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    model.may_write(work.permit, category)
    draft = Item(work.new_id(), model.MEETING, category, work.now, by, title, place=place)
    await work.add(found, model.plan_meeting(draft, meet_at, work.now), messages.MEETING_PLANNED)
    return draft.id


async def move_meeting(
    work: Work, *, meeting: str, meet_at: datetime, place: str | None, check: Callable[[Item], None]
) -> str | None:
    """The meeting gets another time, and another place if one is named; gives its id, or None when it is not seen."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await work.item(model.MEETING, meeting, check)
    if before is None:
        return None
    by = await work.author()
    after = model.move_meeting(before, found, by, meet_at, work.now)
    await work.change(found, after._replace(place=place), by, messages.MEETING_MOVED)
    return after.id


async def call_off_meeting(work: Work, *, meeting: str, check: Callable[[Item], None]) -> str | None:
    """The meeting will not be held; gives its id, or None when there is none that the permit leaves."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await work.item(model.MEETING, meeting, check)
    if before is None:
        return None
    by = await work.author()
    after = model.call_off_meeting(before, found, by, work.now)
    await work.change(found, after, by, messages.MEETING_CALLED_OFF)
    return after.id
