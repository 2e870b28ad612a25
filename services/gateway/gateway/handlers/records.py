"""Access records: durable on Kafka before anything is answered."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from aiokafka.errors import KafkaError
from prometheus_client import Counter

from chassis import events, tracing
from chassis.clock import rfc3339
from chassis.permit import Actor
from gateway.handlers.gathering import Batches, Gathering, NotRecorded, Record

TOPIC = "gateway.access.v1"
DEADLINE_SECONDS = 2.0
BATCH_BYTES = 262_144
TROUBLE_SECONDS = 10.0
_WAITING_HELD_BACK = 10_000

_log = logging.getLogger(__name__)
_records = Counter("samlogg_access_records", "Access records by outcome", ["outcome"])
_held_back = Counter("samlogg_access_held_back", "Recorded looks that got no whole answer, by reason", ["reason"])
_lost = Counter("samlogg_access_held_back_lost", "Held-back records that could not be published in time")


@dataclass(frozen=True, slots=True)
class Look:
    """One look or refusal. `subject` None: the handle meant nobody."""

    id: str
    at: datetime
    subject: str | None
    actor: Actor
    route: str
    action: str
    categories: tuple[str, ...]
    grants: tuple[str, ...]
    basis: str
    purpose: str | None
    outcome: str
    reason: str | None = None
    count: int = 1

    def key(self) -> str:
        """The subject, or the caller where the handle is unknown (design.md section 8)."""
        return self.subject or self.actor.id or "nobody"

    def data(self) -> dict[str, Any]:
        """The data of access.recorded.v1."""
        actor = self.actor
        return {
            "id": self.id, "at": rfc3339(self.at), "subject": self.subject,
            "actor": {
                "kind": actor.kind, "id": actor.id, "services": actor.services, "role": actor.role,
                "agency": actor.agency,
            },
            "route": self.route, "action": self.action, "categories": self.categories, "grants": self.grants,
            "basis": self.basis, "purpose": self.purpose, "outcome": self.outcome, "reason": self.reason,
            "count": self.count,
        }  # fmt: skip


class Records(Protocol):
    """Where looks are recorded."""

    async def open(self) -> None:
        """Start when the process does."""

    async def close(self) -> None:
        """End with the process, when what was under way has left."""

    def trouble(self) -> str | None:
        """Why nothing can be recorded now, or None."""

    async def send(self, look: Look) -> Awaitable[None]:
        """On its way when this returns; what comes back is awaited until it is durable.

        Both raise NotRecorded: this one when it never left, so that it cannot land; the other when it may land yet.
        """

    def held_back(self, look: Look, reason: str, came: tuple[int, int] | None = None) -> None:
        """Say, without waiting, that a recorded look got no answer, or at most `came`: so many bytes of so many."""


class Producer(Batches, Protocol):
    """The part of aiokafka's producer that is used here."""

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Send what is left, and close."""

    async def send(
        self, topic: str, value: bytes, key: bytes, *, headers: Sequence[tuple[str, bytes]]
    ) -> Awaitable[Any]:
        """Returns once the record is in a batch; its result is there when the batch is acknowledged."""


class KafkaRecords:
    """Records on `gateway.access.v1`. A look that is not durable `seconds` after it left counts as not recorded."""

    def __init__(
        self, make_producer: Callable[[], Producer], now: Callable[[], datetime], *, topic: str = TOPIC,
        seconds: float = DEADLINE_SECONDS,
    ) -> None:  # fmt: skip
        self._make_producer = make_producer
        self._producer: Producer | None = None
        self._looks: Gathering | None = None
        self._now = now
        self._topic = topic
        self._seconds = seconds
        self._failed_at: float | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Connect to Kafka, waiting until it is there and takes our log-in: until then nothing can be answered."""
        while True:
            producer = self._make_producer()
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                _log.warning("records wait for Kafka", extra={"error": type(error).__name__})
            else:
                self._producer = producer
                self._looks = Gathering(producer, self._topic, self._seconds, self._landed, self._missed)
                return
            finally:
                if self._producer is None:  # also where the start is cancelled: its connections would stay open
                    await producer.stop()
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        """Wait for what is still on its way, but no longer than the deadline."""
        if self._looks is not None:
            await self._looks.close()
        if self._background:
            await asyncio.wait(self._background, timeout=self._seconds)
        if self._producer is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._producer.stop()

    def trouble(self) -> str | None:
        """For a while after a record failed; the next one that is durable ends it."""
        if self._failed_at is None or asyncio.get_running_loop().time() > self._failed_at + TROUBLE_SECONDS:
            return None
        return "looks could not be recorded in time"

    async def send(self, look: Look) -> Awaitable[None]:
        """On its way when this returns; acknowledged by every in-sync replica when its result is awaited."""
        if self._looks is None:
            raise NotRecorded
        event = events.Event(
            look.id, "access.recorded.v1", "/samlogg/gateway", look.key(), look.at, look.data(), None, tracing.current()
        )
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._looks.add(Record(event.key.encode(), events.value(event), events.headers(event), look.outcome, durable))
        return durable

    def _landed(self, found: Sequence[Record]) -> None:
        self._failed_at = None
        for record in found:
            _records.labels(record.outcome).inc()

    def _missed(self, found: Sequence[Record]) -> None:
        self._failed_at = asyncio.get_running_loop().time()
        _records.labels("not-recorded").inc(len(found))

    def held_back(self, look: Look, reason: str, came: tuple[int, int] | None = None) -> None:
        """In the background; at most _WAITING_HELD_BACK wait, more are counted as lost (the look then counts)."""
        _held_back.labels(reason).inc()
        if len(self._background) >= _WAITING_HELD_BACK:
            _lost.inc()
            return
        sent, of = came or (None, None)
        data = {"record": look.id, "reason": reason, "sent": sent, "of": of}
        event = events.new_event("gateway", "access.held-back.v1", look.key(), data, self._now())
        task = asyncio.create_task(self._in_background(event))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _in_background(self, event: events.Event) -> None:
        try:
            async with asyncio.timeout(60):
                await (await self._sent_by_itself(event))
        except Exception as error:  # noqa: BLE001  whatever the client raises, the look then counts
            _lost.inc()
            _log.warning("a held-back record could not be published", extra={"error": type(error).__name__})

    async def _sent_by_itself(self, event: events.Event) -> Awaitable[Any]:
        if self._producer is None:
            raise NotRecorded
        return await self._producer.send(
            self._topic, events.value(event), event.key.encode(), headers=events.headers(event)
        )
