"""What comes of an event, once: pointers on agencies' feeds and notices, decided on today's facts under a lease."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import tracing
from chassis.clock import wall_now
from chassis.delivery import PartFailure
from chassis.events import Event, new_event
from chassis.inbox import first_time
from chassis.outbox import announce
from gateway import storage
from gateway.messages import (
    ConsentDenied,
    ConsentEndingSoon,
    ConsentGranted,
    ConsentRequested,
    ConsentWithdrawn,
    ExceptionMade,
    LogChanged,
    NoticeDue,
    NoticeRevoked,
    Pointer,
    QuestionAnswered,
    QuestionAsked,
    Registered,
    SightChanged,
)
from gateway.model import feeds
from gateway.model.facts import Facts
from gateway.model.feeds import About, Decide, Effects, Pointing
from gateway.model.handles import Handles, agency_audience
from gateway.storage import Issued

NOTICES = "gateway.notices.v1"
NOTICE_DUE = "notice.due.v1"
NOTICE_REVOKED = "notice.revoked.v1"
POINTER = "samlogg.pointer.v1"
HANDLER = "feeds"
REVOCABLE = timedelta(days=10)
"""Longer than notify may keep a notice waiting."""

_PATIENCE_SECONDS = 1.5  # within one try; after it the partition is paused and tried again by chassis.delivery
_HANDLED_KEPT = timedelta(days=45)  # longer than any topic or dead-letter topic keeps its messages
_HOUSE_SECONDS = 600.0
_SETTLING = timedelta(seconds=15)
_log = logging.getLogger(__name__)
_told = Counter("samlogg_told_total", "Pointers and notices written, by what", ["what"])
_unheard = Counter("samlogg_pointers_without_feed_total", "Pointers dropped because the feed's topic is missing")

Topics = Callable[[], Awaitable[Collection[str]]]
"""The names of the topics that are there now."""


class Feeds:
    """The effects of events: each is decided in one step on the facts, and committed in one transaction.

    facts, holds_lease: the projection's. decide: the one decision. All of them are read in the same event loop.
    """

    def __init__(
        self, *, engine: AsyncEngine, facts: Facts, holds_lease: Callable[[], bool], handles: Handles, decide: Decide,
        now: Callable[[], datetime], provider: TracerProvider,
    ) -> None:  # fmt: skip
        self._tracer = provider.get_tracer("samlogg.feeds")
        self._engine, self._facts, self._holds_lease = engine, facts, holds_lease
        self._handles, self._decide, self._now = handles, decide, now
        self._known: set[str] = set()  # feeds that were seen to exist; the provisioner never takes one away

    async def log_changed(self, event: Event, told: LogChanged, topics: Topics) -> None:
        """Something happened in a log."""
        at = told.at.replace(tzinfo=told.at.tzinfo or UTC).timestamp()
        above = tuple((one.item, one.category) for one in told.above)
        about = About(told.subject, category=told.category, at=at, item=told.item, above=above)
        by = f"{told.actor.kind}:{told.actor.id}"
        await self._once(event, topics, lambda now: feeds.of_change(about, by, self._facts, now, self._decide))

    async def consent_granted(self, event: Event, told: ConsentGranted, topics: Topics) -> None:
        """A grant is in force."""
        await self._caught_up(event, told.subject)
        await self._once(
            event, topics,
            lambda now: feeds.of_grant(told.subject, told.grant, told.recipient, self._facts, now, self._decide),
        )  # fmt: skip

    async def consent_withdrawn(self, event: Event, told: ConsentWithdrawn, topics: Topics) -> None:
        """A grant has ended: agencies are told, and notices that wait under it are revoked."""
        await self._caught_up(event, told.subject)
        await self._once(
            event, topics,
            lambda now: feeds.of_withdrawal(told.subject, told.recipient, self._facts, now, self._decide),
            revoke=True,
        )  # fmt: skip

    async def consent_ending_soon(self, event: Event, told: ConsentEndingSoon, topics: Topics) -> None:
        """Grants end soon: those who may do something about it are told that there is something to see."""
        await self._once(
            event, topics,
            lambda now: feeds.of_ending(told.subject, told.asker, told.people, self._facts, now, self._decide),
        )  # fmt: skip

    async def sight_changed(self, event: Event, told: SightChanged, topics: Topics) -> None:
        """Something is kept from those who see by law, or is no longer: notices of it that wait are revoked.

        Nobody hears of it but who is named: the youth, or who is to give the reason for it.
        """
        await self._caught_up(event, told.subject)
        await self._once(
            event, topics,
            lambda now: feeds.of_keeping(told.subject, told.tell, self._facts, now, self._decide), revoke=True,
        )  # fmt: skip

    async def consent_requested(self, event: Event, told: ConsentRequested, topics: Topics) -> None:
        """Somebody is asked."""
        await self._caught_up(event, told.subject)
        await self._once(
            event, topics, lambda now: feeds.of_question(told.subject, told.asked, self._facts, now, self._decide)
        )

    async def consent_denied(self, event: Event, told: ConsentDenied, topics: Topics) -> None:
        """Somebody said no."""
        by = f"person:{told.by}"
        await self._once(
            event, topics, lambda now: feeds.of_denial(told.subject, told.request, by, self._facts, now, self._decide)
        )

    async def registered(self, event: Event, told: Registered, topics: Topics) -> None:
        """Something was written down for somebody."""
        await self._once(
            event, topics, lambda now: feeds.of_registered(told.subject, told.person, self._facts, now, self._decide)
        )

    async def exception_made(self, event: Event, told: ExceptionMade, topics: Topics) -> None:
        """A service's staff used the exception for life and health: its leaders are to look at why."""
        await self._once(
            event, topics, lambda now: feeds.of_exception(told.subject, told.service, self._facts, now, self._decide)
        )

    async def question_asked(self, event: Event, told: QuestionAsked, topics: Topics) -> None:
        """Somebody asks a service about a look."""
        await self._once(
            event, topics,
            lambda now: feeds.of_asked_service(told.subject, told.service, self._facts, now, self._decide),
        )  # fmt: skip

    async def question_answered(self, event: Event, told: QuestionAnswered, topics: Topics) -> None:
        """The service has answered."""
        await self._once(
            event, topics,
            lambda now: feeds.of_service_answer(told.subject, told.asked_by, self._facts, now, self._decide),
        )  # fmt: skip

    async def keep_house(self) -> None:
        """For ever: forget notices that cannot wait any more, and events that cannot come again."""
        while True:
            try:
                async with self._engine.begin() as conn:
                    issued, handled = self._now() - REVOCABLE, wall_now() - _HANDLED_KEPT
                    await storage.sweep_feeds(conn, issued_before=issued, handled_before=handled)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("the feeds' house waits", extra={"error": type(error).__name__})
            await asyncio.sleep(_HOUSE_SECONDS)

    async def _caught_up(self, event: Event, subject: str) -> None:
        """The subject's state is at least as new as the event says; an event that only claims so waits a little."""

        def here() -> bool:
            held = self._facts.subjects.get(subject)
            return event.version is None or (held is not None and held.version >= event.version)

        if self._now() - event.time < _SETTLING:
            await _wait(here, "the subject's state")

    async def _once(
        self, event: Event, topics: Topics, decided: Callable[[float], Effects], *, revoke: bool = False
    ) -> None:
        """Decide under the lease, in one step; then inbox, outbox and what was issued in one transaction."""
        await _wait(self._holds_lease, "lease")
        now = self._now()
        effects = decided(now.timestamp())
        effects = replace(effects, pointers=await self._with_feed(effects.pointers, event, topics))
        async with self._engine.begin() as conn:
            if not await first_time(conn, storage.inbox, event.id, HANDLER):
                return
            for pointing in effects.pointers:
                made = self._pointer(event, effects.about.subject, pointing)
                await announce(conn, storage.outbox, feed_topic(pointing.opaque), made)
                _told.labels(pointing.what).inc()
            await self._notices(conn, event, effects, now)
            if revoke:
                await self._revoke(conn, effects.about.subject, now)

    async def _with_feed(self, pointers: tuple[Pointing, ...], event: Event, topics: Topics) -> tuple[Pointing, ...]:
        """Those whose feed exists: one row for a missing topic would hold up the relay, and with it everybody's feed.

        A feed that is just being made is waited for; one that does not come loses its pointers, which is counted.
        """
        if not pointers:
            return ()
        wanted = {feed_topic(one.opaque) for one in pointers}
        if not wanted <= self._known:
            self._known = wanted & set(await topics()) | self._known
        missing = {one for one in pointers if feed_topic(one.opaque) not in self._known}
        if missing and self._now() - event.time < _SETTLING:
            raise PartFailure("an agency's feed is not there yet")
        if missing:
            _unheard.inc(len(missing))
            _log.error("pointers dropped: the feed is missing", extra={"attachments": [o.attachment for o in missing]})
        return tuple(one for one in pointers if one not in missing)

    def _pointer(self, event: Event, subject: str, to: Pointing) -> Event:
        """The agency's own handle and event id, a rounded time, an own trace: nothing that two agencies could join."""
        audience = agency_audience(to.agency)
        handle = self._handles.to_handle(audience, subject)
        data = Pointer(handle=handle, what=to.what, href=f"/subjects/{handle}/items").model_dump()
        own = self._handles.to_handle(audience, event.id, "event")
        moment = feeds.rounded(event.time)
        return Event(own, POINTER, "/samlogg/gateway", handle, moment, data, None, self._trace_of_its_own())

    def _trace_of_its_own(self) -> str | None:
        """A trace that begins here; the link back to ours stays on our side (design.md section 7)."""
        here = trace.get_current_span().get_span_context()
        links = [trace.Link(here)] if here.is_valid else []
        with self._tracer.start_as_current_span("point", Context(), trace.SpanKind.PRODUCER, links=links):
            return tracing.current()

    async def _notices(self, conn: AsyncConnection, event: Event, effects: Effects, now: datetime) -> None:
        about = effects.about
        for recipient in effects.recipients:
            notice = str(uuid4())
            data = NoticeDue(notice=notice, recipient=recipient, cause=event.id).model_dump()
            await announce(conn, storage.outbox, NOTICES, new_event("gateway", NOTICE_DUE, _key(recipient), data, now))
            await storage.add_issued(
                conn,
                Issued(
                    notice,
                    recipient,
                    about.subject,
                    about.basis,
                    about.category,
                    about.at,
                    about.grant,
                    about.item,
                    about.above,
                ),
                now,
            )
            _told.labels("notice").inc()

    async def _revoke(self, conn: AsyncConnection, subject: str, now: datetime) -> None:
        """Decide again every notice about this subject that may still wait; the facts may have moved on since."""
        for one in await storage.issued_about(conn, subject, now - REVOCABLE):
            about = About(one.subject, one.basis, one.category, one.at, one.grant, one.item, one.above)
            if feeds.may_still(one.recipient, about, self._facts, now.timestamp(), self._decide):
                continue
            data = NoticeRevoked(notice=one.notice, recipient=one.recipient).model_dump()
            made = new_event("gateway", NOTICE_REVOKED, _key(one.recipient), data, now)
            await announce(conn, storage.outbox, NOTICES, made)
            await storage.forget_issued(conn, one.notice)
            _told.labels("revoked").inc()


def feed_topic(opaque: str) -> str:
    """The topic of an attachment's feed; its name says nothing about the agency."""
    return f"agency.{opaque}.feed.v1"


def _key(recipient: str) -> str:
    return recipient.partition(":")[2]


async def _wait(true: Callable[[], bool], what: str) -> None:
    """Wait a moment within this try, so that a short gap costs milliseconds; PartFailure when it lasts."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _PATIENCE_SECONDS
    while not true():
        if loop.time() >= end:
            raise PartFailure(what)
        await asyncio.sleep(0.02)
