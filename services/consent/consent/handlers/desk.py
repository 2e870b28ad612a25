"""One act on people while it is handled: the subjects that it touches, and the one change of each that tells of it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from consent import storage
from consent.handlers import changes, facts
from consent.handlers.facts import REGISTER, Asked, Recorder
from consent.handlers.requests import Office
from consent.model.facts import Fact


@dataclass(slots=True)
class Desk:
    """One document, or one birth, while it is handled: the subjects that it touches, each with who was asked before.

    cause: what it came with. source, by: who says it. kind: of the changes.
    """

    conn: AsyncConnection
    office: Office
    cause: str
    now: datetime
    source: str = REGISTER
    by: str = REGISTER
    kind: str = REGISTER
    before: dict[str, Asked] = field(default_factory=dict)
    change: dict[str, str] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The local date."""
        return self.office.law.day_of(self.now)

    async def touch(self, people: Iterable[str]) -> None:
        """Lock those of these people who are subjects, in one order, and remember who was asked about them."""
        for subject in sorted(set(people) - self.before.keys()):
            if await storage.is_subject(self.conn, subject):
                await changes.lock(self.conn, subject)
                self.before[subject] = await facts.asked_now(self.conn, self.office.law, subject, self.now)
                self.change[subject] = changes.new_id()

    async def record(self, subject: str, fact: Fact) -> None:
        """Keep a fact of a subject that was touched."""
        recorder = Recorder(self.source, self.by, self.cause, self.change[subject])
        await facts.keep(self.conn, self.office, subject, fact, recorder, self.now)

    async def publish(self) -> None:
        """One pending change for each subject that was touched."""
        told = {"cause": self.cause} if self.source == REGISTER else {}
        for subject, before in sorted(self.before.items()):
            await facts.settle(
                self.conn, self.office.law, subject, before, self.kind, told, self.now,
                change=self.change[subject],
            )  # fmt: skip
