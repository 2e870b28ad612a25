"""One contribution: its transaction and author, and the row with its sealed words and its event that it leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import rfc3339
from chassis.events import Event, new_event
from chassis.keys import SubjectKeys
from chassis.outbox import announce
from chassis.permit import Actor, Permit
from logbook import messages, model, storage
from logbook.model import Author, Item, Log, Reference

SERVICE = "logbook"
TITLE, TEXT, PLACE = "item.title", "item.text", "item.place"
"""The columns of an item in which there are sealed words."""


@dataclass(frozen=True, slots=True)
class Work:
    """One contribution: its transaction, its permit, who acts (and for which service, where it was said), and when.

    record: the id of its access record, which its events carry.
    """

    conn: AsyncConnection
    keys: SubjectKeys
    permit: Permit
    actor: Actor
    now: datetime
    new_id: Callable[[], str]
    for_service: str | None = None
    record: str | None = None

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

    async def item(self, kind: str, item_id: str, check: Callable[[Item], None]) -> Item | None:
        """The item of this kind, if the permit leaves it, without its words.

        check: called with the item as it stands, under the lock; raises when the editor saw another state.
        """
        sealed = await storage.one_item(self.conn, self.permit, item_id)
        found = None if sealed is None else sealed.item()
        if found is None or found.kind != kind:
            return None
        check(found)
        return found

    async def add(self, found: Log, new: Item, event: str, towards: Reference | None = None) -> None:
        """The row with its words sealed, and its event, in one transaction (rule 8).

        towards: the goal of an evaluation's measure.
        """
        title = await self.seal(TITLE, new.id, new.title)
        text = await self.seal(TEXT, new.id, new.text)
        place = await self.seal(PLACE, new.id, new.place)
        number = await storage.add_item(self.conn, found, new, title, text, place)
        await self.announce(found, event, number, new.by, new, towards)

    async def change(self, found: Log, after: Item, by: Author, event: str) -> None:
        """The item's new state, its new place if it has one, and its event."""
        await storage.change_item(self.conn, after, await self.seal(PLACE, after.id, after.place))
        number = await storage.next_number(self.conn, found)
        await self.announce(found, event, number, by, after)

    async def seal(self, column: str, row: str, words: str | None) -> bytes | None:
        """The words, sealed with the subject's key and bound to their row."""
        return None if words is None else await self.keys.seal(self.subject, words, bound(column, row))

    async def announce(
        self, found: Log, kind: str, number: int, by: Author, about: Item | None = None,
        towards: Reference | None = None,
    ) -> None:  # fmt: skip
        """Leave the event for the bus; without an item it is about the log."""
        above = [] if about is None else [one for one in (towards or about.goal, about.measure) if one is not None]
        event = self._event(found, kind, number, by, about, above)
        await announce(self.conn, storage.outbox, messages.TOPIC, event)

    def _event(
        self, found: Log, kind: str, number: int, by: Author, about: Item | None, above: Sequence[Reference]
    ) -> Event:
        data = messages.PUBLISHED[messages.TOPIC][kind].model_validate(
            {
                "subject": self.subject,
                "log": found.id,
                "item": found.id if about is None else about.id,
                "category": None if about is None else about.category,
                "actor": {"kind": by.kind, "id": by.id, "services": [by.service] if by.service else []},
                "at": rfc3339(self.now),
                "record": self.record,
                "above": [{"item": one.id, "category": one.category} for one in above],
            }
        )
        return new_event(SERVICE, kind, self.subject, data.model_dump(), self.now, version=number)


def bound(column: str, row: str) -> str:
    """Binds sealed words to their row: nobody can move them into an item of another category."""
    return f"{column}/{row}"
