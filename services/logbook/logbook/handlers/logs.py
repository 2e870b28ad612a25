"""The log itself: opening it, its levels, and who holds the baton."""

from collections.abc import Callable

from logbook import messages, model, storage
from logbook.handlers.work import Work, bound
from logbook.model import Author, Guide, Holder, LevelChange, Log, Offer


async def open_log(
    work: Work, *, guide: Guide | None, plan_type: str, level: int, decision: str, category: str | None
) -> str:
    """Open the subject's log with the opener's service as holder; gives its id."""
    by = await work.author()
    if by.service is None:
        raise model.ServiceNeeded
    under = model.open_log(guide, plan_type, level)
    staff = by.id if by.kind == "staff" else None
    turn = Holder(work.new_id(), by.service, staff, work.now)
    found = Log(work.new_id(), work.subject, plan_type, under.id, level, turn)
    await storage.add_log(work.conn, found, work.now)
    number = await _set_level(work, found, under, level, by, decision, category)
    await work.announce(found, messages.LOG_OPENED, number, by)
    return found.id


async def change_level(
    work: Work, *, guide_of: Callable[[str], Guide | None], level: int, decision: str, category: str | None
) -> str:
    """Move the log up or down; gives the log's id."""
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    under = model.change_level(found, guide_of(found.guide), level, by)
    number = await _set_level(work, found, under, level, by, decision, category)
    await work.announce(found, messages.LEVEL_CHANGED, number, by)
    return found.id


async def _set_level(
    work: Work, found: Log, under: Guide, level: int, by: Author, decision: str, category: str | None
) -> int:
    categories = model.reason_categories(work.permit, category)
    change = LevelChange(work.new_id(), level, work.now, by, under.id, under.version, None, categories)
    reason = await work.keys.seal(work.subject, decision, bound("level_change.reason", change.id))
    number = await storage.next_number(work.conn, found)
    await storage.add_level(work.conn, found.id, number, change, reason)
    return number


async def offer_handover(work: Work, *, to_service: str) -> str:
    """Offer the baton; the old holder keeps it. Gives the log's id."""
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    participants = await storage.participants(work.conn, work.subject, work.now)
    left = await storage.has_left(work.conn, work.subject, f"service:{found.holder.service}", work.now)
    model.offer_handover(work.permit, found, by, participants, to_service, holder_acts=not left)
    await storage.add_offer(work.conn, found.id, Offer(work.new_id(), to_service, by, work.now))
    return found.id


async def accept_handover(work: Work) -> str:
    """Take the baton that was offered to the own service; gives the log's id."""
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    offer = await storage.waiting_offer(work.conn, found.id)
    ended, begun = model.accept_handover(found, offer, by, work.new_id(), work.now)
    await storage.hand_over(work.conn, found.id, ended, begun)
    number = await storage.next_number(work.conn, found)
    await work.announce(found, messages.HOLDER_CHANGED, number, by)
    return found.id
