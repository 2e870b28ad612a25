"""A person register for tests: its documents and events, and consent following it over the wire."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.keys import SubjectKeys
from consent import storage
from consent.handlers.following import Follower
from consent.handlers.people import Registry
from consent.handlers.requests import Office
from consent.handlers.tables import consent_texts, current_law
from consent.model import registers as words
from samlogg.registers import Feed, served


def office_of(keys: SubjectKeys) -> Office:
    """As the app of `settings_for` has it."""
    law = current_law()
    texts = consent_texts(None, law.day_of(datetime.now(UTC)), drafts=True)
    return Office(law, texts, Registry(keys, b"h" * 32, frozenset({"skatteetaten"})))


def named(person: Mapping[str, Any]) -> dict[str, Any]:
    """Somebody of a request, as a document names them."""
    return {
        "number": person["national_id"], "given_name": person["given_name"], "family_name": person["family_name"],
        "birth_date": person["birth_date"], "language": person["language"],
    }  # fmt: skip


def about(person: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A document about somebody of a request; their number is in use."""
    known = named(person)
    return {
        "version": 1, "numbers": [{"number": known.pop("number"), "in_use": True}], **known,
    } | more  # fmt: skip


@dataclass
class Register:
    """A feed that grows, and consent behind it."""

    engine: AsyncEngine
    keys: SubjectKeys
    lines: list[str] = field(default_factory=list)
    synthetic: bool = True

    async def start(self) -> "Register":
        """Places go on where the feed was left: one database serves all tests."""
        async with self.engine.connect() as conn:
            self.lines = [""] * await storage.feed_place(conn)
        return self

    def says(self, type_: str, document: Mapping[str, Any], sequence: int | None = None, key: str = "d") -> None:
        """One more event, with the person it points to."""
        place = len(self.lines) + 1
        event = {"sequence": sequence or place, "type": type_, "document": f"{key}{place}"}
        self.lines.append(json.dumps({"event": event, "person": document}))

    def line(self, raw: str) -> None:
        """One more line, whatever it is."""
        self.lines.append(raw)

    async def follow(self) -> None:
        """Have consent read all that is new, over the wire."""
        with served(Feed(self.lines)) as url:
            follower = Follower(
                self.engine, office_of(self.keys), lambda: datetime.now(UTC), url, None, synthetic=self.synthetic,
                at_once=4,
            )  # fmt: skip
            await follower.check()
            async with follower.session() as session:
                await follower.catch_up(session)
                await follower.look_up(session)

    async def tell(self, type_: str, document: Mapping[str, Any], **more: Any) -> None:
        """One event, and consent reads it."""
        self.says(type_, document, **more)
        await self.follow()

    async def outcomes(self) -> list[str]:
        """What became of the events of this test, in their order."""
        async with self.engine.connect() as conn:
            rows = await conn.exec_driver_sql("SELECT place, outcome FROM register_event ORDER BY place")
            places = {row.place: row.outcome for row in rows}
        return [places[place] for place in sorted(places) if place <= len(self.lines)]


PROTECTION, DEATH, RESPONSIBILITY, NUMBER = words.PROTECTION, words.DEATH, words.RESPONSIBILITY, words.NEW_NUMBER
MERGED, SPLIT, GUARDIANSHIP = words.MERGED, words.SPLIT, words.GUARDIANSHIP
TODAY: date = datetime.now(UTC).date()
