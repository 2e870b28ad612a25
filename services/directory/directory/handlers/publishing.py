"""The publisher: brings changed entries to Kafka, one replica at a time, never an older state after a newer.

It holds an advisory lock, and Kafka fences whoever held the transactional id before: a replica that was paused and
wakes up cannot repeat what it once read (protocol.md section 2, rules 1 to 3).
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, uuid5

import asyncpg
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client import Gauge
from sqlalchemy import func, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events, tracing
from chassis.health import Health
from chassis.kafka import from_beginning, make_consumer, make_producer
from chassis.kafka import stop as stop_producer
from chassis.lifespan import woken
from chassis.storage import raw_connection
from directory import storage
from directory.messages import STATE_TOPIC, STATE_TYPE, state_of
from directory.settings import Settings
from directory.storage import Published

T = TypeVar("T")
TRANSACTIONAL_ID = "directory-state"
PART = "publisher"
"""The name under which this shows in `Health`."""

_LOCK = 7_264_104
_BATCH = 200
_SEND_SECONDS = 10.0
_POLL_SECONDS = 0.5
_READ_SECONDS = 30.0
_SHORTEST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_PARTS = (
    OSError, TimeoutError, PoolTimeout, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, KafkaError
)  # fmt: skip
_log = logging.getLogger(__name__)
_unpublished = Gauge("samlogg_directory_unpublished", "Changed entries that Kafka has not acknowledged")
_unconfirmed = Gauge("samlogg_directory_unconfirmed", "Changed entries that not everybody able to answer has applied")


class TopicAheadError(Exception):
    """The topic knows more than the database: it was restored, or emptied. Every reader would ignore what we say."""


class Publisher:
    """Publishes for ever. topic and transactional_id are other than the usual ones only in tests."""

    def __init__(
        self, settings: Settings, engine: AsyncEngine, health: Health,
        topic: str = STATE_TOPIC, transactional_id: str = TRANSACTIONAL_ID,
    ) -> None:  # fmt: skip
        self._settings, self._engine, self._health = settings, engine, health
        self._topic, self._transactional_id = topic, transactional_id
        self._woken = asyncio.Event()
        self._wait = _SHORTEST_WAIT

    async def run(self) -> None:
        """Take the lock, take over, publish what is changed; trouble with a part is waited out and shows in `ready`."""
        while True:
            try:
                await self._session()
            except TopicAheadError as error:
                self._health.trouble(PART, str(error))
                _log.critical("nothing is published: the state topic is ahead", extra={"why": str(error)})
            except _PARTS as error:
                self._health.trouble(PART, type(error).__name__)
                _log.warning("the publisher waits", extra={"error": type(error).__name__})
            await asyncio.sleep(self._wait)
            self._wait = min(self._wait * 2, _LONGEST_WAIT)

    async def _session(self) -> None:
        url = self._settings.database_url.get_secret_value()
        lock = await raw_connection(url, idle_timeout="5s")
        producer: AIOKafkaProducer | None = None
        try:
            await lock.add_listener(storage.CHANGED, self._wake)
            while not await lock.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                self._health.fine(PART)
                await asyncio.sleep(_POLL_SECONDS)
            producer = make_producer(self._settings, transactional_id=self._transactional_id)
            async with asyncio.timeout(_SEND_SECONDS):
                await producer.start()  # fences the one before; only then is anything read
            await self._take_over()
            while True:
                self._woken.clear()
                moved = await self._publish_batch(producer)
                self._health.fine(PART)
                self._wait = _SHORTEST_WAIT
                if moved < _BATCH:
                    await self._sleep()
                await lock.fetchval("SELECT 1")  # raises when the session, and with it the lock, is gone
        finally:
            lock.terminate()
            if producer is not None:
                await stop_producer(producer)

    def _wake(self, *_: object) -> None:
        self._woken.set()

    async def _sleep(self) -> None:
        await woken(self._woken, _POLL_SECONDS)

    async def _take_over(self) -> None:
        """Compare the topic with the database: publish again what it lost, and stop when it knows more."""
        newest, end = await self._read_topic()
        async with self._engine.begin() as conn:
            table = storage.entity
            rows = (await conn.execute(select(table.c.kind, table.c.id, table.c.version, table.c.published))).all()
            horizon = await storage.horizon_of(conn, self._topic)
            versions = {f"{row.kind}:{row.id}": row.version for row in rows}
            ahead = sum(version > versions.get(key, 0) for key, version in newest.items())
            if ahead:
                raise TopicAheadError(f"{ahead} entries are newer on the topic than in the database")
            if end < horizon:
                raise TopicAheadError("the topic ends before what was confirmed")
            for row in rows:
                there = newest.get(f"{row.kind}:{row.id}", 0)
                if there < row.published:
                    same = (table.c.kind == row.kind, table.c.id == row.id)
                    await conn.execute(update(table).where(*same).values(published=there))

    async def _read_topic(self) -> tuple[Mapping[str, int], int]:
        """The newest version of each key on the topic, and the topic's end."""
        partition = TopicPartition(self._topic, 0)
        consumer = make_consumer(self._settings, group=None)
        newest: dict[str, int] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                await consumer.start()
                await from_beginning(consumer, [partition])
                end = (await consumer.end_offsets([partition]))[partition]
                while await consumer.position(partition) < end:
                    found = await consumer.getmany(partition, timeout_ms=200)
                    for record in found.get(partition, []):
                        header = events.text_headers(record.headers)
                        if header.get("ce_type") == STATE_TYPE and record.key is not None:
                            key = record.key.decode()
                            newest[key] = max(newest.get(key, 0), int(header["ce_aggregateversion"]))
                return newest, end
        finally:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(3.0):
                    await consumer.stop()

    async def _publish_batch(self, producer: AIOKafkaProducer) -> int:
        """Send the state as it is now in the database, in one Kafka transaction, and mark what was acknowledged."""
        table = storage.entity
        query = select(table).where(table.c.version > table.c.published).order_by(table.c.seq).limit(_BATCH)
        async with self._engine.connect() as conn:
            rows = list((await conn.execute(query)).mappings())
            waiting = select(func.count()).where(table.c.version > table.c.confirmed)
            _unconfirmed.set(await conn.scalar(waiting) or 0)
        _unpublished.set(len(rows))
        if not rows:
            return 0
        done = await _in_time(self._send(producer, rows), _SEND_SECONDS)
        async with self._engine.begin() as conn:
            await storage.mark_published(conn, self._topic, done)
        return len(rows)

    async def _send(self, producer: AIOKafkaProducer, rows: list[RowMapping]) -> list[Published]:
        async with producer.transaction():
            sent = []
            for row in rows:
                event = _event(row)
                named = {name: value.decode() for name, value in events.headers(event)}
                with tracing.publishing(named, STATE_TYPE) as carried:
                    headers = [(name, value.encode()) for name, value in carried.items()]
                    sent.append(
                        await producer.send(
                            self._topic, key=event.key.encode(), value=events.value(event), headers=headers, partition=0
                        )
                    )
            places = await asyncio.gather(*sent)
        return [
            Published(row["kind"], row["id"], row["version"], place.offset)
            for row, place in zip(rows, places, strict=True)
        ]


def _event(row: RowMapping) -> events.Event:
    """The event of a row. Its id says entry and version, so that a repetition is known as one."""
    key = f"{row['kind']}:{row['id']}"
    data = state_of(row["kind"], row["id"], row["version"], row["body"], active=row["active"], identity=row["identity"])
    return events.Event(
        str(uuid5(NAMESPACE_URL, f"{key}:{row['version']}")), STATE_TYPE, "/samlogg/directory", key, row["changed_at"],
        data, row["version"], row["traceparent"],
    )  # fmt: skip


async def _in_time(sending: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result, or TimeoutError at once: aborting a transaction can hang as long as the broker is away."""
    task = asyncio.ensure_future(sending)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            task.cancel()
