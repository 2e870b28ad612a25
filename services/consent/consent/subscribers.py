"""Topic to handler: looks and the directory's state in batches on plain aiokafka, the logbook's events one by one."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaRouter
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import Counter, Gauge
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import tracing
from chassis.causes import PartFailure, caused_by_a_part
from chassis.clock import Clock
from chassis.consuming import event_of, of_type
from chassis.delivery import Delivery
from chassis.events import BadEvent, Event, decode
from chassis.health import Health
from chassis.kafka import (
    declare,
    from_beginning,
    make_broker,
    make_consumer,
    make_producer,
    make_router,
    partitions_of,
    subscription,
    take_many,
)
from chassis.settings import Settings
from consent import messages
from consent.handlers import directory, ledger, made
from consent.model.ledger import NotCanonical, Pseudonyms, check

GROUP = "consent"
MADE = "consent-made"
"""The group of the typed handlers. A replica is one static member of a group, and in `GROUP` that is the ledger's
consumer: a second one under the same name would put it out."""
LEDGER = "ledger"
DIRECTORY = "directory"
_BATCH = 1_000
_POLL_MS = 250
# Looks are gathered at the broker: a transaction for each would cost more than half of the read that it records.
_GATHER_BYTES = 262_144  # some three hundred looks: below fourteen hundred a second the time decides
_GATHER_MS = 220
_START_SECONDS = 20.0
_STOP_SECONDS = 3.0
_LONGEST_WAIT = 5.0
_ASK_EVERY = 2.0
_ANSWER_SECONDS = 5.0
_PATIENCE = 15.0
_PARTS = (KafkaError, OSError, TimeoutError, SQLAlchemyError, PartFailure)
_log = logging.getLogger(__name__)
_tracer = trace.get_tracer("samlogg.consent")
_appended = Counter("samlogg_ledger_records_total", "Access records appended to the ledger")
_behind = Gauge("samlogg_ledger_lag", "Access records between the ledger's position and the end")

Raw: TypeAlias = "ConsumerRecord[bytes, bytes]"
Good: TypeAlias = tuple[Raw, Event, ledger.Record]


def to_ledger(event: Event) -> ledger.Record | None:
    """The ledger's record in an event; None for a type that came later than this code. ValidationError, BadEvent."""
    if event.type == messages.LOOKED:
        seen = messages.AccessRecorded.model_validate(event.data)
        _check(event)
        return ledger.Record(
            seen.id, "look", seen.subject or event.key or seen.actor.id or "unknown", seen.subject, event.data,
            seen.actor.kind, seen.actor.id, tuple(sorted(set(seen.categories))), tuple(seen.grants),
        )  # fmt: skip
    if event.type == messages.HELD_BACK:
        held = messages.AccessHeldBack.model_validate(event.data)
        _check(event)
        return ledger.Record(event.id, "held-back", event.key or "unknown", None, event.data, about=held.record)
    return None


_LONGEST_ID = 64


def _check(event: Event) -> None:
    if len(event.id) > _LONGEST_ID or len(event.key) > _LONGEST_ID:
        raise BadEvent("an id is too long")
    try:
        check(event.data)
    except NotCanonical as error:
        raise BadEvent("no one canonical form") from error


class LedgerFeed:
    """Brings access records into the ledger: the database first, then the offset; what comes twice is told by its id.

    A record that cannot be read goes to the dead letters, with the reason, before its offset is committed. Whatever a
    part of ours causes is waited out, and begins again from the last committed offset.

    grown: called after each transaction that appended.
    """

    def __init__(
        self, settings: Settings, engine: AsyncEngine, names: Pseudonyms, delivery: Delivery, health: Health,
        grown: Callable[[], None], *, topic: str = messages.ACCESS, group: str = GROUP,
    ) -> None:  # fmt: skip
        self._settings, self._engine, self._delivery, self._health = settings, engine, delivery, health
        self._names, self._grown = names, grown
        self._topic, self._group = topic, group

    async def run(self) -> None:
        """For ever."""
        self._health.watch("dead letters", self._delivery.check)
        await _for_ever(LEDGER, self._health, self._session)

    async def _session(self, progress: Callable[[], None]) -> None:
        consumer = make_consumer(
            self._settings, self._topic, group=self._group, max_poll_records=_BATCH, session_timeout_ms=15_000,
            fetch_min_bytes=_GATHER_BYTES, fetch_max_wait_ms=_GATHER_MS,
        )  # fmt: skip
        producer, pulse = make_producer(self._settings), _Pulse()
        try:
            async with asyncio.timeout(_START_SECONDS):
                await producer.start()
                self._delivery.attach(producer)
                await consumer.start()
            while True:
                batch = await take_many(consumer, timeout_ms=_POLL_MS, max_records=_BATCH)
                if batch:
                    await self.take(consumer, batch)
                if await pulse.beats(consumer):
                    _behind.set(pulse.behind)
                    progress()
        finally:
            await _stop(consumer, producer)

    async def take(self, consumer: AIOKafkaConsumer, batch: Mapping[TopicPartition, Sequence[Raw]]) -> None:
        """Append what can be read, set aside what cannot, then commit. Raises what a part of ours caused."""
        good: list[Good] = []
        ends: dict[TopicPartition, int] = {}
        for tp, records in batch.items():
            good += await self._sorted_out(consumer, tp, records, ends)
        try:
            await self._append(good)
        except SQLAlchemyError as error:
            if caused_by_a_part(error):
                raise
            await self._one_by_one(consumer, good, ends)
        if ends:
            await consumer.commit(ends)

    async def _sorted_out(
        self, consumer: AIOKafkaConsumer, tp: TopicPartition, records: Sequence[Raw], ends: dict[TopicPartition, int]
    ) -> list[Good]:
        """The readable records of a partition up to the first that can neither be read nor be set aside."""
        good: list[Good] = []
        for record in records:
            try:
                event = decode(record.key, record.value, record.headers)
                found = to_ledger(event)
            except (BadEvent, ValidationError) as error:
                if not await self._delivery.failed(record, tuple(record.headers), error, consumer):
                    consumer.seek(tp, record.offset)
                    break
            else:
                if found is not None:
                    good.append((record, event, found))
            ends[tp] = record.offset + 1
        return good

    async def _append(self, good: Sequence[Good]) -> None:
        if not good:
            return
        with contextlib.ExitStack() as spans:
            for _, event, _ in good:
                if event.traceparent is not None and event.traceparent.endswith("-01"):
                    spans.enter_context(_span(event.traceparent))
            async with self._engine.begin() as conn:
                _appended.inc(await ledger.append(conn, self._names, [record for _, _, record in good]))
        self._grown()
        for tp in {TopicPartition(record.topic, record.partition) for record, _, _ in good}:
            self._delivery.succeeded(tp)

    async def _one_by_one(
        self, consumer: AIOKafkaConsumer, good: Sequence[Good], ends: dict[TopicPartition, int]
    ) -> None:
        """Find the record that the database turned down: only it goes to the dead letters."""
        held: set[TopicPartition] = set()
        for one in good:
            record = one[0]
            tp = TopicPartition(record.topic, record.partition)
            if tp in held:
                continue
            try:
                await self._append([one])
            except SQLAlchemyError as error:
                if caused_by_a_part(error):
                    raise
                if not await self._delivery.failed(record, tuple(record.headers), error, consumer):
                    held.add(tp)
                    ends[tp] = record.offset
                    consumer.seek(tp, record.offset)


@contextlib.contextmanager
def _span(traceparent: str) -> Iterator[None]:
    """A span in the trace that a record came with: a batch holds the ends of many traces."""
    with tracing.carried(traceparent):
        span = _tracer.start_span("ledger append", kind=trace.SpanKind.CONSUMER)
    try:
        yield
    finally:
        span.end()


class _Pulse:
    """Asks the broker itself every two seconds where its ends are: the consumer of a dead broker only looks idle."""

    def __init__(self) -> None:
        self.behind = 0
        self._asked = self._moved = float("-inf")
        self._at: dict[TopicPartition, int] = {}

    async def beats(self, consumer: AIOKafkaConsumer) -> bool:
        """True once it has partitions. PartFailure when for fifteen seconds it was neither at their ends nor moved;
        raises what the broker causes."""
        now = asyncio.get_running_loop().time()
        assigned = list(consumer.assignment())
        if not assigned:
            return False
        at = {tp: await consumer.position(tp) for tp in assigned}
        if at != self._at:
            self._at, self._moved = at, now
        if now - self._asked >= _ASK_EVERY:
            async with asyncio.timeout(_ANSWER_SECONDS):
                ends = await consumer.end_offsets(assigned)
            held = consumer.paused()  # delivery says what those wait for
            self.behind = sum(max(0, ends[tp] - at[tp]) for tp in assigned if tp not in held)
            self._asked = now
            if not self.behind:
                self._moved = now
        if self.behind and now - self._moved >= _PATIENCE:
            raise PartFailure("no progress")
        return True


class DirectoryFeed:
    """Follows the directory's state without a group, from its beginning, into the own database."""

    def __init__(
        self, settings: Settings, engine: AsyncEngine, clock: Clock, health: Health, *, topic: str = messages.DIRECTORY
    ) -> None:
        self._settings, self._engine, self._clock, self._health = settings, engine, clock, health
        self._topic = topic

    async def run(self) -> None:
        """For ever. What was read stays when Kafka is away."""
        await _for_ever(DIRECTORY, self._health, self._session)

    async def _session(self, progress: Callable[[], None]) -> None:
        partitions = await partitions_of(self._settings, self._topic)
        consumer = make_consumer(self._settings, group=None)
        try:
            await consumer.start()
            await from_beginning(consumer, partitions)
            pulse, caught_up = _Pulse(), False
            while True:
                batch = await take_many(consumer, timeout_ms=_POLL_MS)
                entries = [entry for records in batch.values() for record in records if (entry := to_entry(record))]
                if entries:
                    async with self._engine.begin() as conn:
                        await directory.keep(conn, entries)
                        self._clock.move(await directory.ahead(conn))
                alive = await pulse.beats(consumer)
                caught_up = caught_up or pulse.behind == 0
                if alive and caught_up:
                    progress()
        finally:
            await _stop(consumer)


def to_entry(record: Raw) -> directory.Entry | None:
    """The category, service, member of staff or clock in a record, else None. What cannot be read closes its key.

    Of staff nothing is kept but whether they work here: that is all a witness must do.
    """
    kind, _, id_ = (record.key or b"").decode("utf-8", "replace").partition(":")
    if kind not in directory.KINDS or not id_ or len(id_) > _LONGEST_ID:
        return None
    try:
        event = decode(record.key, record.value, record.headers)
        if event.type != messages.DIRECTORY_CHANGED:
            raise BadEvent("an unknown type")
        found = messages.DirectoryState.model_validate(event.data)
        if (found.kind, found.id) != (kind, id_):
            raise BadEvent("another key")
    except (BadEvent, ValidationError):
        _log.error("a directory record cannot be read", extra={"partition": record.partition, "offset": record.offset})
        return directory.Entry(kind, id_, 0, None)
    body = {"active": event.data.get("active")} if kind == "staff" else event.data
    return directory.Entry(kind, id_, found.version, body)


def consent_broker(
    settings: Settings, provider: TracerProvider, delivery: Delivery, engine: AsyncEngine
) -> KafkaBroker:
    """A fresh broker with the typed handlers. What it is said to publish is for AsyncAPI: relay and leader do it."""
    broker = make_broker(settings, provider, [delivery])
    broker.include_router(made_router(settings, engine))
    return declare(broker, messages.PUBLISHED)


def made_router(settings: Settings, engine: AsyncEngine) -> KafkaRouter:
    """What writes made or changed, from logbook.events.v1. A router serves one broker."""
    router = make_router()
    take: DefaultSubscriber = router.subscriber(
        messages.LOGBOOK, title=messages.LOGBOOK, **subscription(settings, MADE)
    )

    @take(filter=of_type(*messages.CHANGES))
    async def log_changed(body: messages.LogChanged, message: KafkaMessage) -> None:
        async with engine.begin() as conn:
            await made.take(conn, event_of(message), body)

    @take
    async def unknown(message: KafkaMessage) -> None:
        """A type that came later than this code."""

    return router


async def _for_ever(part: str, health: Health, session: Callable[[Callable[[], None]], Any]) -> None:
    """Run sessions one after another; what database and broker cause is waited out and shows in `ready`."""
    wait = 0.2

    def progress() -> None:
        nonlocal wait
        wait = 0.2
        health.fine(part)

    while True:
        try:
            await session(progress)
        except _PARTS as error:
            if isinstance(error, SQLAlchemyError) and not caused_by_a_part(error):
                raise
            reason = str(error) if isinstance(error, PartFailure) else type(error).__name__
            health.trouble(part, reason)
            _log.warning("waits for a part", extra={"part": part, "error": reason})
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)


async def _stop(*clients: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop all, without waiting for a broker that is away: what was not committed comes again.

    A cancellation that comes meanwhile is let through after it: half of them left open would leak connections.
    """
    stopping = asyncio.gather(*(_stopped(client) for client in clients), return_exceptions=True)
    try:
        await asyncio.shield(stopping)
    except asyncio.CancelledError:
        await stopping
        raise


async def _stopped(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    async with asyncio.timeout(_STOP_SECONDS):
        await client.stop()
