"""What is only written: goals, entries and highlights."""

from logbook import messages, model, storage
from logbook.handlers.work import Work
from logbook.model import Item


async def set_goal(work: Work, *, title: str, category: str) -> str:
    """Add a goal; gives its id."""
    return await _write(work, model.GOAL, messages.GOAL_SET, category, title=title)


async def add_entry(work: Work, *, text: str, category: str) -> str:
    """Add an entry; gives its id."""
    return await _write(work, model.ENTRY, messages.ENTRY_ADDED, category, text=text)


async def add_highlight(work: Work, *, text: str, category: str) -> str:
    """Add a highlight; any participant may, the youth and guardians too. Gives its id."""
    return await _write(work, model.HIGHLIGHT, messages.HIGHLIGHT_ADDED, category, text=text)


async def _write(
    work: Work, kind: str, event: str, category: str, *, title: str | None = None, text: str | None = None
) -> str:
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    model.may_write(work.permit, category)
    new = Item(work.new_id(), kind, category, work.now, by, title, text)
    await work.add(found, new, event)
    return new.id
