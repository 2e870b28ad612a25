"""What can be done with a log: one function each, all in the caller's transaction. None of them commits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.events import Event, new_event
from chassis.inbox import first_time
from chassis.keys import KeyGone, SubjectKeys
from chassis.outbox import announce
from chassis.permit import Actor, Permit
from logbook import messages, model, storage
from logbook.model import Author, Guide, Holder, Item, LevelChange, Log, LogView, Offer, Participation

SERVICE = "logbook"
_HANDLER = "participation"


@dataclass(frozen=True, slots=True)
class Work:
    """One contribution: its transaction, its permit, who acts (and for which service, where it was said), and when."""

    conn: AsyncConnection
    keys: SubjectKeys
    permit: Permit
    actor: Actor
    now: datetime
    new_id: Callable[[], str]
    for_service: str | None = None

    @property
    def subject(self) -> str:
        """Whom the log is about."""
        return self.permit.subject

    async def author(self) -> Author:
        """The actor, and the service acted for; ServiceNeeded when that is not clear."""
        if self.actor.id is None:
            raise model.ServiceNeeded
        grants = [cell.grant for cell in self.permit.cells]
        known = await storage.granted_to(self.conn, grants) if len(self.actor.services) > 1 else {}
        service = model.acting_service(self.actor.services, known, grants, self.for_service)
        return Author(self.actor.kind, self.actor.id, service)


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
    await _announce(work, found, messages.LOG_OPENED, number, by)
    return found.id


async def change_level(
    work: Work, *, guide_of: Callable[[str], Guide | None], level: int, decision: str, category: str | None
) -> str:
    """Move the log up or down; gives the log's id."""
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    under = model.change_level(found, guide_of(found.guide), level, by)
    number = await _set_level(work, found, under, level, by, decision, category)
    await _announce(work, found, messages.LEVEL_CHANGED, number, by)
    return found.id


async def _set_level(
    work: Work, found: Log, under: Guide, level: int, by: Author, decision: str, category: str | None
) -> int:
    categories = model.reason_categories(work.permit, category)
    change = LevelChange(work.new_id(), level, work.now, by, under.id, under.version, None, categories)
    reason = await work.keys.seal(work.subject, decision, _place("level_change.reason", change.id))
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
    await _announce(work, found, messages.HOLDER_CHANGED, number, by)
    return found.id


async def set_goal(work: Work, *, title: str, category: str) -> str:
    """Add a goal; gives its id."""
    return await _add_words(work, model.GOAL, messages.GOAL_SET, category, title=title)


async def add_entry(work: Work, *, text: str, category: str) -> str:
    """Add an entry; gives its id."""
    return await _add_words(work, model.ENTRY, messages.ENTRY_ADDED, category, text=text)


async def add_highlight(work: Work, *, text: str, category: str) -> str:
    """Add a highlight; any participant may, the youth and guardians too. Gives its id."""
    return await _add_words(work, model.HIGHLIGHT, messages.HIGHLIGHT_ADDED, category, text=text)


async def _add_words(
    work: Work, kind: str, event: str, category: str, *, title: str | None = None, text: str | None = None
) -> str:
    found, by = await storage.lock_log(work.conn, work.subject), await work.author()
    model.may_write(work.permit, category)
    new = Item(work.new_id(), kind, category, work.now, by, title, text)
    await _add(work, found, new, event)
    return new.id


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
    towards = model.Reference(aim.id, aim.category, aim.at)
    draft = Item(work.new_id(), model.MEASURE, category, work.now, by, title, goal=towards)
    planned = model.plan_measure(draft, evaluate_on, work.now.date())
    participants = await storage.participants(work.conn, work.subject, work.now)
    party = model.responsible_party(work.permit, found, by, participants, responsible)
    await _add(work, found, model.assign_measure(planned, party, work.now), messages.MEASURE_PLANNED)
    return planned.id


async def start_measure(work: Work, *, measure: str, evaluate_on: date, check: Callable[[Item], None]) -> str | None:
    """A planned measure gets under way; gives its id, or None when there is none that the permit leaves."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await _measure(work, measure, check)
    if before is None:
        return None
    by = await work.author()
    after = model.start_measure(before, by, evaluate_on, work.now.date())
    await _change(work, found, after, by, messages.MEASURE_STARTED)
    return after.id


async def evaluate_measure(
    work: Work, *, measure: str, outcome: str, text: str, evaluate_on: date | None, check: Callable[[Item], None]
) -> str | None:
    """Evaluate a measure of the own service; gives its id, or None when there is none that the permit leaves.

    check: called with the measure as it stands, under the lock; raises when the editor saw another state.
    """
    found = await storage.lock_log(work.conn, work.subject)
    before = await _measure(work, measure, check)
    if before is None:
        return None
    by = await work.author()
    after = model.evaluate_measure(before, by, outcome, evaluate_on, work.now.date())
    await storage.change_item(work.conn, after)
    of = model.Reference(before.id, before.category, before.at)
    new = Item(work.new_id(), model.EVALUATION, before.category, work.now, by, None, text, measure=of, outcome=outcome)
    await _add(work, found, new, messages.MEASURE_EVALUATED)
    return before.id


async def accept_measure(work: Work, *, measure: str, check: Callable[[Item], None]) -> str | None:
    """The responsible party says yes to a measure; gives its id, or None when there is none that the permit leaves."""
    found = await storage.lock_log(work.conn, work.subject)
    before = await _measure(work, measure, check)
    if before is None:
        return None
    by = await work.author()
    after = model.accept_measure(before, by, work.now)
    await _change(work, found, after, by, messages.MEASURE_ACCEPTED)
    return after.id


async def _change(work: Work, found: Log, after: Item, by: Author, event: str) -> None:
    await storage.change_item(work.conn, after)
    number = await storage.next_number(work.conn, found)
    await _announce(work, found, event, number, by, after)


async def _measure(work: Work, measure: str, check: Callable[[Item], None]) -> Item | None:
    sealed = await storage.one_item(work.conn, work.permit, measure)
    found = None if sealed is None else sealed.item()
    if found is None or found.kind != model.MEASURE:
        return None
    check(found)
    return found


async def _add(work: Work, found: Log, new: Item, event: str) -> None:
    """The row with its words sealed, and its event, in one transaction (rule 8)."""
    title = await _seal(work, "item.title", new.id, new.title)
    text = await _seal(work, "item.text", new.id, new.text)
    number = await storage.add_item(work.conn, found, new, title, text)
    await _announce(work, found, event, number, new.by, new)


async def _seal(work: Work, column: str, item_id: str, words: str | None) -> bytes | None:
    return None if words is None else await work.keys.seal(work.subject, words, _place(column, item_id))


async def _announce(work: Work, found: Log, kind: str, number: int, by: Author, about: Item | None = None) -> None:
    await announce(work.conn, storage.outbox, messages.TOPIC, _event(work, found, kind, number, by, about))


def _event(work: Work, found: Log, kind: str, number: int, by: Author, about: Item | None) -> Event:
    data = messages.PUBLISHED[messages.TOPIC][kind].model_validate(
        {
            "subject": work.subject,
            "log": found.id,
            "item": found.id if about is None else about.id,
            "category": None if about is None else about.category,
            "actor": {"kind": by.kind, "id": by.id, "services": [by.service] if by.service else []},
            "at": rfc3339(work.now),
        }
    )
    return new_event(SERVICE, kind, work.subject, data.model_dump(), work.now, version=number)


async def log_view(conn: AsyncConnection, keys: SubjectKeys, permit: Permit, now: datetime) -> LogView | None:
    """The open log as the permit leaves it; None when there is none."""
    found = await storage.current_log(conn, permit.subject)
    if found is None or not model.may_read_log(permit):
        return None
    history = await storage.level_history(conn, permit, found.id)
    words = await _words(keys, permit.subject, needed=any(sealed for _, sealed in history))
    levels = [replace(change, reason=words("level_change.reason", change.id, sealed)) for change, sealed in history]
    knows = permit.allows(model.PARTICIPANTS)
    return LogView(
        found,
        not await storage.has_left(conn, permit.subject, f"service:{found.holder.service}", now),
        tuple(levels),
        tuple(await storage.holders(conn, permit, found.id)) if knows else (found.holder,),
        await storage.waiting_offer(conn, found.id),
        tuple(await storage.participants(conn, permit.subject, now)) if knows else (),
        await storage.next_evaluation(conn, permit),
    )


async def read_item(conn: AsyncConnection, keys: SubjectKeys, permit: Permit, item_id: str) -> Item | None:
    """The item with its words, if the permit leaves it."""
    sealed = await storage.one_item(conn, permit, item_id)
    return None if sealed is None else (await _with_words(keys, permit.subject, [sealed]))[0]


async def read_items(
    conn: AsyncConnection,
    keys: SubjectKeys,
    permit: Permit,
    *,
    kind: str | None,
    due_by: date | None,
    after: str | None,
    limit: int,
) -> tuple[list[Item], bool]:
    """At most `limit` items that the permit leaves, in the order they were written, and whether there are more."""
    found = await storage.some_items(conn, permit, kind, due_by, after, limit + 1)
    return await _with_words(keys, permit.subject, found[:limit]), len(found) > limit


async def _with_words(keys: SubjectKeys, subject: str, found: Sequence[storage.Sealed]) -> list[Item]:
    """The items with their words: the subject's key is fetched once, and only if something is sealed."""
    words = await _words(keys, subject, needed=any(each.title or each.text for each in found))
    return [
        each.item(words("item.title", each.id, each.title), words("item.text", each.id, each.text)) for each in found
    ]


async def _words(keys: SubjectKeys, subject: str, *, needed: bool) -> Callable[[str, str, bytes | None], str | None]:
    """Opens the words of a column and row; None where there are none or their key was destroyed (rule 12).

    needed: is there anything to open? The keys are not asked for nothing.
    """
    try:
        opened = await keys.opener(subject) if needed else None
    except KeyGone:
        opened = None

    def words(column: str, row: str, sealed: bytes | None) -> str | None:
        if not sealed or opened is None:
            return None
        try:
            return opened(sealed, _place(column, row))
        except KeyGone:
            return None

    return words


def _place(column: str, row: str) -> str:
    """Binds sealed words to their row: nobody can move them into an item of another category."""
    return f"{column}/{row}"


async def take_grant(conn: AsyncConnection, event: str, grant: messages.ConsentGranted) -> None:
    """Somebody takes part from now on. Has its effect once per event."""
    if await first_time(conn, storage.inbox, event, _HANDLER):
        found = Participation(grant.grant, grant.recipient, tuple(grant.categories), tuple(grant.actions), grant.since)
        await storage.keep_grant(conn, grant.subject, found, grant.until)


async def take_withdrawal(
    conn: AsyncConnection, event: str, withdrawn: messages.ConsentWithdrawn, at: datetime
) -> None:
    """A grant has ended. Has its effect once per event, also when it comes before the grant itself."""
    if await first_time(conn, storage.inbox, event, _HANDLER):
        await storage.end_grant(conn, withdrawn.subject, withdrawn.grant, withdrawn.recipient, at)
