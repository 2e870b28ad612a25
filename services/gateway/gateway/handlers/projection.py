"""The reader of the two state topics and the heartbeat: the thin shell around `Facts` and `Lease`."""

import asyncio
import gc
import logging
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from uuid import uuid4

import aiohttp
import msgspec
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from joserfc.jwk import OctKey
from prometheus_client import Counter, Gauge
from pydantic import ValidationError

from chassis import permit
from chassis.clock import Clock, lease_now
from chassis.events import BadEvent, text_headers
from chassis.health import Health
from chassis.kafka import from_beginning, make_consumer, partitions_of, take_many
from chassis.lifespan import woken
from chassis.settings import Settings
from gateway.messages import BARRIER, DIRECTORY, BarrierRead
from gateway.messages import STATE as SUBJECTS
from gateway.model.facts import Facts
from gateway.model.lease import Lease

CLOCK = "clock:business"
_HEARTBEAT_SECONDS = 0.5
_ASK_SECONDS = 1.0
_SLICE = 500  # records applied between two looks at the event loop: about five milliseconds

_log = logging.getLogger(__name__)
_applied = Counter("samlogg_projection_records_total", "State records applied", ["topic"])
_unreadable = Gauge("samlogg_projection_unreadable", "State records that could not be read since the start")
_lease_left = Gauge("samlogg_lease_seconds_left", "Seconds for which this gateway may still answer")
_incarnation = Gauge("samlogg_gateway_incarnation", "1 under the name that its leases have", ["incarnation"])
_leases = Counter("samlogg_heartbeats_total", "Heartbeats by outcome", ["outcome"])


class Projection:
    """Facts and lease of one gateway process. `facts` and `lease` are read by the door in the same event loop."""

    def __init__(
        self, settings: Settings, consent_urls: list[str], consent_key: bytes, health: Health, clock: Clock,
        wall: Callable[[], float],
    ) -> None:  # fmt: skip
        self.facts = Facts()
        self.lease = Lease(uuid4().hex)
        _incarnation.labels(self.lease.incarnation).set(1)
        self._settings = settings
        self._urls = consent_urls
        self._leader = consent_urls[0]
        self._key = OctKey.import_key(consent_key)
        self._health = health
        self._clock, self._wall = clock, wall
        self._woken = asyncio.Event()
        self.on_change: Callable[[str, str], None] = _nobody
        """Told topic and key of each record, in the step that applied it."""
        self._frozen = False
        health.watch("lease", self._lease_trouble)

    def holds_lease(self) -> bool:
        """May an answer leave now?"""
        return self.lease.holds(lease_now())

    def _lease_trouble(self) -> str | None:
        _lease_left.set(max(0.0, self.lease.until - lease_now()))
        return None if self.holds_lease() else "no lease: freshness unknown"

    async def read(self) -> None:
        """Read both topics from their beginning, for ever. An error ends the process: a silent gap must not be."""
        consumer = make_consumer(self._settings, group=None, max_poll_records=5_000, fetch_max_wait_ms=250)
        await consumer.start()
        try:
            partitions = await partitions_of(self._settings, SUBJECTS, DIRECTORY)
            await from_beginning(consumer, partitions)
            while True:
                await self._apply(await take_many(consumer, timeout_ms=1_000))
        finally:
            await consumer.stop()

    async def _apply(self, batches: "dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]") -> None:
        for partition, records in batches.items():
            waiting = iter(records)
            while batch := list(islice(waiting, _SLICE)):
                for record in batch:
                    self.apply(partition.topic, partition.partition, record)
                self._woken.set()  # the heartbeat runs in a later turn: what was written before has reached the kernel
                await asyncio.sleep(0)
            _applied.labels(partition.topic).inc(len(records))
        _unreadable.set(self.facts.unreadable)

    def apply(self, topic: str, number: int, record: "ConsumerRecord[bytes, bytes]") -> None:
        """One record, in one event-loop step: first the fact, then the position (protocol.md, GATEWAY record).

        ClockFixed where production is told to move its clock: that ends the process.
        """
        kind, version = _kind_and_version(record)
        name = f"{topic}:{number}"
        if kind == BARRIER:
            self.lease.applied(name, record.offset + 1, _epoch(record.value))
            return
        key = (record.key or b"").decode("utf-8", "replace")
        if topic == SUBJECTS:
            self.facts.apply_subject(key, version, kind, record.value)
        else:
            self.facts.apply_entity(key, version, kind, record.value)
            if key == CLOCK:
                self._clock.move(timedelta(seconds=self.facts.directory[key].ahead))
        self.lease.applied(name, record.offset + 1)
        self.on_change(topic, key)

    async def keep_lease(self, session: aiohttp.ClientSession) -> None:
        """Ask the leader for a lease twice a second and after every change applied; one question at a time."""
        while True:
            await woken(self._woken, _HEARTBEAT_SECONDS)
            self._woken.clear()
            outcome = await self._ask(session)
            _leases.labels(outcome).inc()
            if outcome == "granted":
                self._freeze()
            elif outcome != "behind":
                await asyncio.sleep(0.05)

    async def _ask(self, session: aiohttp.ClientSession) -> str:
        body = msgspec.json.encode({"incarnation": self.lease.incarnation, "positions": self.lease.report()})
        headers = {permit.HEADER: self._signature(body), "content-type": "application/json"}
        sent = lease_now()  # before sending: the leader counts from later
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                answer = await session.post(f"{self._leader}/inner/heartbeat", data=body, headers=headers)
                async with answer:
                    found = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._next_leader()
            return type(error).__name__
        if answer.status == 421:
            self._next_leader(found.get("leader"))
            return "not-leader"
        if answer.status != 200:
            self._next_leader()
            return str(answer.status)
        seconds = float(found["lease"])
        self.lease.granted(sent, seconds)
        return "granted" if seconds > 0 else "behind"

    def _signature(self, body: bytes) -> str:
        actor = permit.Actor("gateway", self.lease.incarnation, assurance="high")
        return permit.sign(
            self._key, audience="consent", method="POST", path="/inner/heartbeat", body=body, actor=actor,
            subject=None, route="consent.heartbeat", permit=None, record=None, now=self._wall(),
        )  # fmt: skip

    def _next_leader(self, told: str | None = None) -> None:
        """Go to whom we were told, else to the next replica. Only addresses from our own settings are believed."""
        if told in self._urls:
            self._leader = told
        else:
            self._leader = self._urls[(self._urls.index(self._leader) + 1) % len(self._urls)]

    def _freeze(self) -> None:
        """After the first load, take what was loaded out of the garbage collector's rounds: no long pause later."""
        if not self._frozen:
            self._frozen = True
            gc.collect()
            gc.freeze()


def _nobody(topic: str, key: str) -> None:
    """Nobody wants to know."""
    del topic, key


def _kind_and_version(record: "ConsumerRecord[bytes, bytes]") -> tuple[str, int | None]:
    try:
        found = text_headers(record.headers)
        version = found.get("ce_aggregateversion")
        return found.get("ce_type", ""), None if version is None else int(version)
    except (BadEvent, ValueError):
        return "", None


def _epoch(value: bytes | None) -> int | None:
    try:
        return BarrierRead.model_validate_json(value or b"").epoch
    except ValidationError:
        return None
