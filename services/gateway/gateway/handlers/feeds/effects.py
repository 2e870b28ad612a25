"""What comes of an event, once: pointers on agencies' feeds and notices, decided on today's facts under a lease."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
from chassis.inbox import first_times
from chassis.outbox import announce_to
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

Said = (
    LogChanged | ConsentGranted | ConsentWithdrawn | ConsentEndingSoon | SightChanged | ConsentRequested | ConsentDenied
    | Registered | ExceptionMade | QuestionAsked | QuestionAnswered
)  # fmt: skip
_FOLLOW_STATE = (ConsentGranted, ConsentWithdrawn, SightChanged, ConsentRequested)
"""Of these the subject's state must be here first: they say that it has changed."""
_REVOKES = (ConsentWithdrawn, SightChanged)
"""After these, notices of it that wait are decided again."""
_TURN = 20
"""So many events are decided before others get their turn."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and the slice of it that is relied on."""

    event: Event
    said: Said


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

    async def take(self, told: Sequence[Told], topics: Topics) -> None:
        """The effects of these events, each once: decided under the lease, then written in one transaction.

        In one: inbox, outbox and what was issued. PartFailure when lease, state or feed is missing.
        """
        for one in told:  # all before the first is decided: what one waits for must not make another's decision old
            await self._caught_up(one)
        decided: dict[str, tuple[Told, Effects]] = {}
        for number, one in enumerate(told):
            if number % _TURN == 0:
                await asyncio.sleep(0)
            await _wait(self._holds_lease, "lease")
            effects = self._effects(one.said, self._now().timestamp())
            decided.setdefault(one.event.id, (one, effects))
        with_feed = {
            id_: replace(effects, pointers=await self._with_feed(effects.pointers, one.event, topics))
            for id_, (one, effects) in decided.items()
        }
        now = self._now()
        async with self._engine.begin() as conn:
            fresh = await first_times(conn, storage.inbox, decided, HANDLER)
            await self._write(conn, [(decided[id_][0], with_feed[id_]) for id_ in decided if id_ in fresh], now)

    async def _write(self, conn: AsyncConnection, effects: Sequence[tuple[Told, Effects]], now: datetime) -> None:
        out: list[tuple[str, Event]] = []
        issued: list[Issued] = []
        for one, found in effects:
            with tracing.consumed(one.event.traceparent, "feeds"):
                for pointing in found.pointers:
                    out.append((feed_topic(pointing.opaque), self._pointer(one.event, found.about.subject, pointing)))
                    _told.labels(pointing.what).inc()
                for recipient in found.recipients:
                    out.append((NOTICES, _due(notice := str(uuid4()), recipient, one.event.id, now)))
                    issued.append(_issued(notice, recipient, found.about))
                    _told.labels("notice").inc()
        await announce_to(conn, storage.outbox, out)
        await storage.add_issued(conn, issued, now)
        ended = {one.said.subject: one.event.traceparent for one, _ in effects if isinstance(one.said, _REVOKES)}
        await self._revoke(conn, ended, now)

    def _effects(self, said: Said, now: float) -> Effects:  # noqa: C901  one case for each type
        """Who is told of it, on today's facts."""
        facts, decide = self._facts, self._decide
        match said:
            case LogChanged():
                return feeds.of_change(_about(said), f"{said.actor.kind}:{said.actor.id}", facts, now, decide)
            case ConsentGranted():
                return feeds.of_grant(said.subject, said.grant, said.recipient, facts, now, decide)
            case ConsentWithdrawn():  # agencies are told, and notices that wait under it are revoked
                return feeds.of_withdrawal(said.subject, said.recipient, facts, now, decide)
            case ConsentEndingSoon():  # those who may do something about it
                return feeds.of_ending(said.subject, said.asker, said.people, facts, now, decide)
            case SightChanged():  # nobody hears of it but who is named: the youth, or who is to give the reason for it
                return feeds.of_keeping(said.subject, said.tell, facts, now, decide)
            case ConsentRequested():
                return feeds.of_question(said.subject, said.asked, facts, now, decide)
            case ConsentDenied():
                return feeds.of_denial(said.subject, said.request, f"person:{said.by}", facts, now, decide)
            case Registered():  # whoever had something written down for them
                return feeds.of_registered(said.subject, said.person, facts, now, decide)
            case ExceptionMade():  # the service's leaders are to look at why
                return feeds.of_exception(said.subject, said.service, facts, now, decide)
            case QuestionAsked():
                return feeds.of_asked_service(said.subject, said.service, facts, now, decide)
            case QuestionAnswered():
                return feeds.of_service_answer(said.subject, said.asked_by, facts, now, decide)

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

    async def _caught_up(self, told: Told) -> None:
        """The subject's state is at least as new as the event says; an event that only claims so waits a little."""
        event = told.event

        def here() -> bool:
            held = self._facts.subjects.get(told.said.subject)
            return event.version is None or (held is not None and held.version >= event.version)

        if isinstance(told.said, _FOLLOW_STATE) and self._now() - event.time < _SETTLING:
            await _wait(here, "the subject's state")

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

    async def _revoke(self, conn: AsyncConnection, subjects: Mapping[str, str | None], now: datetime) -> None:
        """Decide again every notice about these subjects that may still wait; the facts may have moved on since.

        subjects: each with the trace under which that goes on.
        """
        revoked: list[Issued] = []
        for one in await storage.issued_about(conn, list(subjects), now - REVOCABLE) if subjects else ():
            about = About(one.subject, one.basis, one.category, one.at, one.grant, one.item, one.above)
            if not feeds.may_still(one.recipient, about, self._facts, now.timestamp(), self._decide):
                revoked.append(one)
                _told.labels("revoked").inc()
        await announce_to(
            conn, storage.outbox, [(NOTICES, _revocation(one, subjects[one.subject], now)) for one in revoked]
        )
        await storage.forget_issued(conn, [one.notice for one in revoked])


def _about(said: LogChanged) -> About:
    at = said.at.replace(tzinfo=said.at.tzinfo or UTC).timestamp()
    above = tuple((one.item, one.category) for one in said.above)
    return About(said.subject, category=said.category, at=at, item=said.item, above=above)


def _due(notice: str, recipient: str, cause: str, now: datetime) -> Event:
    data = NoticeDue(notice=notice, recipient=recipient, cause=cause).model_dump()
    return replace(new_event("gateway", NOTICE_DUE, _key(recipient), data, now), traceparent=tracing.current())


def _revocation(one: Issued, trace_: str | None, now: datetime) -> Event:
    data = NoticeRevoked(notice=one.notice, recipient=one.recipient).model_dump()
    return replace(new_event("gateway", NOTICE_REVOKED, _key(one.recipient), data, now), traceparent=trace_)


def _issued(notice: str, recipient: str, about: About) -> Issued:
    return Issued(
        notice, recipient, about.subject, about.basis, about.category, about.at, about.grant, about.item, about.above
    )


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
