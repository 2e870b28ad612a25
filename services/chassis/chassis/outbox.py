"""Facts and events commit together: rows written with the change, and the relay that brings them to Kafka in order."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Counter, Gauge
from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, MetaData, String, Table, func, insert, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import events, tracing
from chassis.clock import from_rfc3339, wall_now
from chassis.health import Health
from chassis.kafka import make_producer
from chassis.kafka import stop as stop_producer
from chassis.lifespan import woken
from chassis.settings import Settings
from chassis.storage import raw_connection, while_awake

CHANNEL = "outbox"
_LOCK = 7_264_002
_BATCH = 500
_SEND_SECONDS = 10.0
_POLL_SECONDS = 0.5
_WAITED_OUT = (
    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, KafkaError
)  # fmt: skip
_log = logging.getLogger(__name__)
_relayed = Counter("samlogg_outbox_relayed_total", "Outbox rows that Kafka has acknowledged")
_age = Gauge("samlogg_outbox_oldest_seconds", "Age of the oldest row the relay has not published")


def outbox_table(metadata: MetaData) -> Table:
    """Events that wait for the relay. The columns are those Debezium's outbox router reads."""
    return Table(
        "outbox", metadata,
        Column("seq", BigInteger, primary_key=True, autoincrement=True),
        Column("id", String(64), nullable=False),
        Column("aggregatetype", String(120), nullable=False),
        Column("aggregateid", String(64), nullable=False),
        Column("type", String(120), nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )  # fmt: skip


async def announce(conn: AsyncConnection, table: Table, topic: str, *found: events.Event) -> None:
    """Add events for `topic` to the caller's transaction and wake the relay when it commits.

    The current trace goes with each event that carries none. Order per key holds if the caller locked the key's row.
    """
    await announce_to(conn, table, [(topic, event) for event in found])


async def announce_to(conn: AsyncConnection, table: Table, found: Sequence[tuple[str, events.Event]]) -> None:
    """As announce, each with its own topic, in this order."""
    rows = [_row(topic, event) for topic, event in found]
    if rows:
        await conn.execute(insert(table), rows)
        await conn.execute(text(f"NOTIFY {CHANNEL}"))


def _row(topic: str, event: events.Event) -> dict[str, Any]:
    headers = {name: value.decode() for name, value in events.headers(event)}
    carried = tracing.current()
    if carried is not None:
        headers.setdefault("traceparent", carried)
    return {
        "id": event.id, "aggregatetype": topic, "aggregateid": event.key, "type": event.type,
        "payload": events.value(event), "headers": headers,
    }  # fmt: skip


class Relay:
    """Publishes outbox rows by their number: one relay at a time, each row at least once, order per key kept.

    The lock's session ends when the process is stopped for two seconds, so another replica can take over; the paused
    one may then repeat rows, which their ids tell.
    """

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Relay for ever. What the database or the broker causes is waited out and shows in `ready`."""
        wait = 0.2
        while True:
            try:
                await self._session()
                wait = 0.2
            except _WAITED_OUT as error:
                self._health.trouble("outbox", type(error).__name__)
                _log.warning("outbox relay waits", extra={"error": type(error).__name__})
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)

    async def _session(self) -> None:
        url = self._settings.database_url.get_secret_value()
        conn = await raw_connection(url, idle_timeout="2s")
        producer: AIOKafkaProducer | None = None
        try:
            await conn.add_listener(CHANNEL, self._wake)
            while not await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
                self._health.fine("outbox")
                await asyncio.sleep(0.5)
            producer = make_producer(self._settings, linger_ms=2)
            async with asyncio.timeout(_SEND_SECONDS):
                await while_awake(conn, producer.start())
            while True:
                self._woken.clear()
                moved = await self._move(conn, producer)
                self._health.fine("outbox")
                if moved < _BATCH:
                    await self._sleep()
        finally:
            conn.terminate()
            if producer is not None:
                await stop_producer(producer)

    def _wake(self, *_: object) -> None:
        self._woken.set()

    async def _sleep(self) -> None:
        await woken(self._woken, _POLL_SECONDS)

    async def _move(self, conn: "asyncpg.Connection[asyncpg.Record]", producer: AIOKafkaProducer) -> int:
        """Publish the oldest rows and delete them once all are acknowledged; a crash in between repeats them."""
        rows = await conn.fetch(
            "SELECT seq, aggregatetype, aggregateid, type, payload, headers,"
            " extract(epoch FROM now() - created_at) AS age FROM outbox ORDER BY seq LIMIT $1", _BATCH,
        )  # fmt: skip
        _age.set(float(rows[0]["age"]) if rows else 0.0)
        if rows:
            async with asyncio.timeout(_SEND_SECONDS):
                await while_awake(conn, _publish(producer, rows))
            await conn.execute("DELETE FROM outbox WHERE seq = ANY($1::bigint[])", [row["seq"] for row in rows])
            _relayed.inc(len(rows))
        return len(rows)


async def _publish(producer: AIOKafkaProducer, rows: list[asyncpg.Record]) -> None:
    sent = []
    for row in rows:
        headers = events.stored_headers(row["headers"])
        # The event's own time, not the moment of sending: two agencies could join their feeds by exact times.
        # Never ahead of the wall clock: where the business clock was moved a broker would refuse the record for ever.
        happened = int(min(from_rfc3339(headers["ce_time"]), wall_now()).timestamp() * 1_000)
        with tracing.publishing(headers, row["type"]) as carried:
            sent.append(
                await producer.send(
                    row["aggregatetype"],
                    value=row["payload"],
                    key=row["aggregateid"].encode(),
                    timestamp_ms=happened,
                    headers=[(name, value.encode()) for name, value in carried.items()],
                )  # fmt: skip
            )
    await asyncio.gather(*sent)
