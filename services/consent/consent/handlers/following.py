"""Following a person register: its feed is read in its order, each event handled once, and what cannot be is put aside.

The adapter contract (REGISTERS.md): `GET /events?after=<place>` gives the next events by their place in the feed,
`GET /documents/<key>` the person's document of now, and `POST /persons` that of a number. The feed keeps its events, so
a place is all that a dead letter is.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

import aiohttp
import msgspec
from prometheus_client import Counter, Gauge
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import causes
from chassis.keys import KeyGone
from consent import storage
from consent.handlers import registers
from consent.handlers.requests import Office
from consent.model.errors import RuleBroken
from consent.model.registers import HEEDED, Document, Event, Unreadable, document, event

_EVERY = 1.0
_SECONDS = 5.0
_LARGEST_ANSWER = 4 * 1024 * 1024
_MOST = 100
_LOOKING_UP = 5
"""Rounds from one time that people are looked up to the next: finding out whom goes through everybody."""
_REASON = 64
_log = logging.getLogger(__name__)
_handled = Counter("samlogg_register_events_total", "Events of the person register", ["outcome"])
_looked_up = Counter("samlogg_register_look_ups_total", "People whom the person register was asked about", ["outcome"])
_dead = Gauge("samlogg_register_dead", "ALARM: events of the person register that could not be handled")
_away = Gauge("samlogg_register_away", "1 while the person register does not answer")


class StandInRefused(Exception):
    """What answers as the register is a stand-in, and this installation is not synthetic."""


class Away(causes.PartFailure):
    """The register does not answer as the contract says. Its text is a code."""


class _Entry(msgspec.Struct):
    place: int
    event: msgspec.Raw


class _Page(msgspec.Struct):
    events: list[_Entry]
    stand_in: bool = False


class Follower:
    """Reads the feed once a second. Every replica does; an event is handled by the one that holds the feed's row.

    A register that is away holds up nothing else: what was known stays, and shows in the metrics.
    """

    def __init__(
        self, engine: AsyncEngine, office: Office, now: Callable[[], datetime], url: str, token: SecretStr | None, *,
        synthetic: bool, at_once: int = 100,
    ) -> None:  # fmt: skip
        self._engine, self._office, self._now, self._at_once = engine, office, now, at_once
        self._url, self._token, self._synthetic = url.rstrip("/"), token, synthetic

    async def check(self) -> None:
        """At the start: StandInRefused where a stand-in must not be followed. Away is no reason not to start."""
        async with self.session() as session:
            try:
                await self._page(session, 0, 1)
            except (Away, aiohttp.ClientError, OSError, TimeoutError):
                _away.set(1)

    async def run(self) -> None:
        """For ever. What a part causes is waited out; a stand-in that turns up later ends the process."""
        away, rounds = False, 0
        async with self.session() as session:
            while True:
                try:
                    await self.catch_up(session)
                    if rounds % _LOOKING_UP == 0:
                        await self.look_up(session)
                    rounds += 1
                    away = False
                except (causes.PartFailure, aiohttp.ClientError, OSError, TimeoutError, SQLAlchemyError) as error:
                    if isinstance(error, SQLAlchemyError) and not causes.caused_by_a_part(error):
                        raise
                    if not away:
                        _log.warning("the person register cannot be read", extra={"reason": type(error).__name__})
                    away = True
                _away.set(away)
                await asyncio.sleep(_EVERY)

    async def catch_up(self, session: aiohttp.ClientSession) -> None:
        """Everything that the feed holds and was not handled yet, and what an operator wants tried again."""
        while True:
            async with self._engine.connect() as conn:
                place = await storage.feed_place(conn)
            page = await self._page(session, place, _MOST)
            for entry in page.events:
                await self._handle(session, entry)
            if not page.events:
                break
        await self._again(session)
        async with self._engine.connect() as conn:
            _dead.set(await storage.count_dead(conn))

    async def look_up(self, session: aiohttp.ClientSession) -> None:
        """Ask about some whom the register was not asked about yet: what it said before they were known here is not
        lost. Of somebody whom it does not know, or who has no number in use, it is noted that it was asked."""
        async with self._engine.connect() as conn:
            people = await storage.not_looked_up(conn, self._at_once)
        for person in people:
            async with self._engine.connect() as conn:
                number = await self._number_of(conn, person)
            raw = None if number is None else await self._post(session, "/persons", {"number": number})
            outcome = "unknown"
            try:
                async with self._engine.begin() as conn:
                    if raw is not None:
                        outcome = await registers.handle(conn, self._office, None, document(raw), self._now())
                    version = await storage.standing_version(conn, person)
                    await storage.set_standing(conn, person, {"version": version, "changed_at": self._now()})
            except (Unreadable, RuleBroken, KeyGone) as error:
                _log.error("what the person register says of somebody cannot be used", extra={"reason": _reason(error)})
                outcome = "unusable"
                async with self._engine.begin() as conn:
                    await storage.set_standing(conn, person, {"version": 0, "changed_at": self._now()})
            _looked_up.labels(outcome).inc()

    async def _number_of(self, conn: AsyncConnection, person: str) -> str | None:
        """The number in use; None without one, or where the person's key was destroyed."""
        today = self._office.law.day_of(self._now())
        try:
            for row in await storage.numbers_of(conn, person):
                if row.in_use:
                    return (await self._office.registry.unsealed(row, today)).number
        except (KeyGone, RuleBroken):
            return None
        return None

    async def _again(self, session: aiohttp.ClientSession) -> None:
        tried = 0
        while True:
            async with self._engine.connect() as conn:
                place = await storage.to_try_again(conn, tried)
            if place is None:
                return
            tried = place
            for entry in (await self._page(session, place - 1, 1)).events:
                if entry.place == place:
                    await self._handle(session, entry, again=True)

    # -- one event -----------------------------------------------------------------------------------------------------

    async def _handle(self, session: aiohttp.ClientSession, entry: _Entry, *, again: bool = False) -> None:
        """Handle the event, or put its place aside; in both cases the feed moves on in the same transaction."""
        try:
            found = event(bytes(entry.event))
            told = await self._document(session, found.document) if found.type in HEEDED else None
            outcome = await self._carry_out(entry.place, found, told, again=again)
        except (Unreadable, RuleBroken, KeyGone, ValueError, SQLAlchemyError) as error:
            if causes.caused_by_a_part(error):
                raise
            outcome = "dead"
            await self._bury(entry.place, _reason(error))
        _handled.labels(outcome).inc()

    async def _carry_out(self, place: int, found: Event, told: Document | None, *, again: bool) -> str:
        async with self._engine.begin() as conn:
            if await storage.feed_place(conn, lock=True) >= place and not again:
                return "elsewhere"  # another replica was there first
            outcome: str = "double"
            if not await storage.event_handled(conn, found.sequence):
                now = self._now()
                outcome = "passed-over"
                if told is not None:
                    outcome = await registers.handle(conn, self._office, found, told, now)
                values = {
                    "sequence": found.sequence, "place": place, "type": found.type[:_REASON], "outcome": outcome,
                    "at": now,
                }  # fmt: skip
                await storage.add_event(conn, values)
            await storage.move_on(conn, place)
            await storage.settle(conn, place, self._now())
        return outcome

    async def _bury(self, place: int, reason: str) -> None:
        _log.error("an event of the person register is put aside", extra={"place": place, "reason": reason})
        async with self._engine.begin() as conn:
            await storage.feed_place(conn, lock=True)
            await storage.bury(conn, place, reason[:_REASON], self._now())
            await storage.move_on(conn, place)

    # -- the contract --------------------------------------------------------------------------------------------------

    def session(self) -> aiohttp.ClientSession:
        """Connections to the register, which the caller closes."""
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        return aiohttp.ClientSession(timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar())

    async def _page(self, session: aiohttp.ClientSession, after: int, most: int) -> _Page:
        raw = await self._get(session, f"/events?after={after}&most={most}")
        try:
            page = msgspec.json.decode(raw or b"", type=_Page)
        except msgspec.MsgspecError:
            raise Away("page-unreadable") from None
        if page.stand_in and not self._synthetic:
            raise StandInRefused
        if [one.place for one in page.events] != sorted({one.place for one in page.events if one.place > after}):
            raise Away("places-out-of-order")
        return page

    async def _document(self, session: aiohttp.ClientSession, key: str) -> Document:
        raw = await self._get(session, f"/documents/{key}")
        if raw is None:
            raise Unreadable("document-missing")
        return document(raw)

    async def _get(self, session: aiohttp.ClientSession, target: str) -> bytes | None:
        """The answer; None where there is nothing (404)."""
        async with session.get(self._url + target, allow_redirects=False) as found:
            return await self._read(found)

    async def _post(self, session: aiohttp.ClientSession, target: str, body: Mapping[str, str]) -> bytes | None:
        """As _get; what is asked about somebody stands in no address."""
        async with session.post(self._url + target, json=body, allow_redirects=False) as found:
            return await self._read(found)

    async def _read(self, found: aiohttp.ClientResponse) -> bytes | None:
        if found.status == 404:
            return None
        if found.status != 200:
            raise Away(f"status-{found.status}")
        raw = await found.content.read(_LARGEST_ANSWER + 1)
        while len(raw) <= _LARGEST_ANSWER and (more := await found.content.read(_LARGEST_ANSWER)):
            raw += more
        if len(raw) > _LARGEST_ANSWER:
            raise Away("answer-too-large")
        return raw


def _reason(error: Exception) -> str:
    """A code, never what the event said."""
    if isinstance(error, Unreadable):
        return str(error)
    return error.slug if isinstance(error, RuleBroken) else causes.reason(error)
