"""What is read of a log, as its permit leaves it, with its words opened."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis.keys import KeyGone, SubjectKeys
from chassis.permit import Permit
from logbook import model, storage
from logbook.handlers.work import PLACE, TEXT, TITLE, bound
from logbook.model import Item, LogView

FRONT = 200
"""How many goals and measures are shown with the log at most, the newest; every one of them is among the items."""

Words = Callable[[str, str, bytes | None], str | None]
"""Opens the words of a column and row; None where there are none or their key was destroyed (rule 12)."""


async def log_view(conn: AsyncConnection, keys: SubjectKeys, permit: Permit, now: datetime) -> LogView | None:
    """The open log as the permit leaves it; None when there is none."""
    found = await storage.current_log(conn, permit.subject)
    if found is None or not model.may_read_log(permit):
        return None
    history = await storage.level_history(conn, permit, found.id)
    front = await storage.front(conn, permit, FRONT + 1)
    meeting = await storage.next_meeting(conn, permit, now)
    newest = front[-FRONT:]
    needed = bool(newest) or meeting is not None or any(sealed for _, sealed in history)
    words = await _words(keys, permit.subject, needed=needed)
    levels = [replace(change, reason=words("level_change.reason", change.id, sealed)) for change, sealed in history]
    knows = permit.allows(model.PARTICIPANTS) and not permit.masked
    return LogView(
        found,
        not await storage.has_left(conn, permit.subject, f"service:{found.holder.service}", now),
        tuple(levels),
        tuple(await storage.holders(conn, permit, found.id)) if knows else (found.holder,),
        await storage.waiting_offer(conn, found.id),
        tuple(await storage.participants(conn, permit.subject, now)) if knows else (),
        await storage.next_evaluation(conn, permit),
        tuple(_opened(words, each) for each in newest if each.kind == model.GOAL),
        tuple(_opened(words, each) for each in newest if each.kind == model.MEASURE),
        len(front) == len(newest),
        None if meeting is None else _opened(words, meeting),
    )


async def read_item(conn: AsyncConnection, keys: SubjectKeys, permit: Permit, item_id: str) -> Item | None:
    """The item with its words, if the permit leaves it."""
    sealed = await storage.one_item(conn, permit, item_id)
    return None if sealed is None else (await _with_words(keys, permit.subject, [sealed]))[0]


async def read_items(
    engine: AsyncEngine,
    keys: SubjectKeys,
    permit: Permit,
    *,
    kind: str | None,
    due_by: date | None,
    after: str | None,
    limit: int,
) -> tuple[list[Item], bool]:
    """At most `limit` items that the permit leaves, in the order they were written, and whether there are more."""
    found = await storage.some_items(engine, permit, kind, due_by, after, limit + 1)
    return await _with_words(keys, permit.subject, found[:limit]), len(found) > limit


async def _with_words(keys: SubjectKeys, subject: str, found: Sequence[storage.Sealed]) -> list[Item]:
    """The items with their words: the subject's key is fetched once, and only if something is sealed."""
    words = await _words(keys, subject, needed=any(each.title or each.text for each in found))
    return [_opened(words, each) for each in found]


def _opened(words: Words, each: storage.Sealed) -> Item:
    return each.item(
        None if each.title is None else words(TITLE, each.id, each.title),
        None if each.text is None else words(TEXT, each.id, each.text),
        None if each.place is None else words(PLACE, each.id, each.place),
    )


async def _words(keys: SubjectKeys, subject: str, *, needed: bool) -> Words:
    """What opens the words of this subject. needed: is there any to open? The keys are not asked for nothing."""
    try:
        opened = await keys.opener(subject) if needed else None
    except KeyGone:
        opened = None

    def words(column: str, row: str, sealed: bytes | None) -> str | None:
        if not sealed or opened is None:
            return None
        try:
            return opened(sealed, bound(column, row))
        except KeyGone:
            return None

    return words
