"""The one leader among the replicas of `consent`: takes over, grants leases, confirms. Shell of `Horizon`."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from prometheus_client import Gauge
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import events
from chassis.clock import Clock, lease_now
from chassis.health import Health
from chassis.kafka import from_beginning, make_consumer, make_producer, partitions_of, take_many
from chassis.kafka import stop as stop_producer
from chassis.lifespan import woken
from chassis.outbox import announce
from chassis.storage import raw_connection, while_awake
from consent import storage
from consent.handlers import applying, changes, days
from consent.handlers.publishing import DEADLINE, MARK, SUBJECTS, Publishing, TopicIsNewer
from consent.handlers.state import mark
from consent.model.horizon import LEASE_SECONDS, Horizon, Pending, Topics
from consent.model.law import Law
from consent.settings import Settings

DIRECTORY = "directory.state.v1"
EVENTS = "consent.events.v1"
BARRIER = "consent.barrier.v1"
BARRIER_KEY = b"!barrier"
_LOCK = 7_264_010
_SLICE = 250
_AHEAD = 1_000
_TICK = 0.5
_SOON = 0.02
_WAITED_OUT = (
    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, KafkaError,
    SQLAlchemyError,
)  # fmt: skip

_log = logging.getLogger(__name__)
_leads = Gauge("samlogg_leader", "1 while this replica leads")
_epoch = Gauge("samlogg_leader_epoch", "Epoch of this replica's leadership")
_live = Gauge("samlogg_leases_live", "Gateways that may answer now")
_horizon_lag = Gauge("samlogg_horizon_lag", "State records that the slowest gateway able to answer has not passed")


class Lost(Exception):
    """This replica no longer leads, or must not."""


class Leader:
    """One per process. `run` reads the topics for ever and leads whenever it gets the lock."""

    def __init__(self, engine: AsyncEngine, settings: Settings, law: Law, clock: Clock, health: Health) -> None:
        self._engine, self._settings, self._clock, self._health = engine, settings, clock, health
        self._law = law
        self._topics = Topics()
        self._partitions: list[TopicPartition] = []
        self._horizon: Horizon | None = None
        self._publishing: Publishing | None = None
        self._changed, self._moved = asyncio.Event(), asyncio.Event()
        self._check_lock = asyncio.Lock()
        self._asked = self._answered = 0
        self._lock_conn: asyncpg.Connection[asyncpg.Record] | None = None

    # -- reading the topics, leader or not ------------------------------------------------------------------------

    async def read(self) -> None:
        """Learn from the state topics for ever, so that a standby is ready to lead. An error ends the process."""
        self._partitions = await partitions_of(self._settings, SUBJECTS, DIRECTORY)
        consumer = make_consumer(self._settings, group=None, max_poll_records=5_000, fetch_max_wait_ms=250)
        await consumer.start()
        try:
            await from_beginning(consumer, self._partitions)
            while True:
                for records in (await take_many(consumer, timeout_ms=1_000)).values():
                    for number, record in enumerate(records):
                        self._learn(record)
                        if number % 500 == 499:
                            await asyncio.sleep(0)
                self._moved.set()
        finally:
            await consumer.stop()

    def _learn(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        partition, now = f"{record.topic}:{record.partition}", lease_now()
        subject = (record.key or b"").decode("utf-8", "replace") if record.topic == SUBJECTS else None
        version, mark_, epoch = _told_by(record)
        if record.key == BARRIER_KEY:
            self._topics.learn(partition, record.offset, now)
            if self._horizon is not None and epoch is not None:
                self._horizon.barrier(partition, record.offset, epoch)
            return
        self._topics.learn(partition, record.offset, now, subject, version, mark_)

    # -- leading --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Lead whenever the lock is free. What database and broker cause is waited out and shows in `ready`."""
        while True:
            try:
                await self._lead()
            except* (*_WAITED_OUT, Lost, TopicIsNewer) as group:
                reason = type(_first(group)).__name__
                self._health.trouble("leader", reason)
                _log.warning("not leading", extra={"error": reason})
            self._horizon = None
            _leads.set(0)
            await asyncio.sleep(0.5)

    async def _lead(self) -> None:
        url = self._settings.database_url.get_secret_value()
        async with contextlib.AsyncExitStack() as opened:
            # Own connections: no pool, no reconnect. A stopped process loses its session, and the lock, after 2 s.
            conn = await raw_connection(url, idle_timeout="2s")
            opened.callback(conn.terminate)
            listening = await raw_connection(url)
            opened.callback(listening.terminate)
            opened.callback(self._step_down)
            while not (self._partitions and await conn.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK)):
                self._standing_by()
                await while_awake(conn, asyncio.sleep(0.25))
            await listening.add_listener("consent_changed", lambda *_: self._changed.set())
            producer = make_producer(self._settings, transactional_id="consent-state")
            opened.push_async_callback(stop_producer, producer)
            horizon, publishing = await self._take(conn, producer)
            self._lock_conn = conn  # from here on heartbeats are answered
            _leads.set(1)
            _epoch.set(horizon.epoch)
            self._health.fine("leader")
            _log.info("leading", extra={"epoch": horizon.epoch})
            async with asyncio.TaskGroup() as group:
                group.create_task(publishing.run(horizon, self._changed, self._moved))
                group.create_task(self._confirm_changes(horizon, publishing))
                group.create_task(self._go_through(horizon))
                group.create_task(self._keep_lock())

    def _standing_by(self) -> None:
        if self._partitions:
            self._health.fine("leader")
        else:
            self._health.trouble("leader", "the state topics are not there")

    def _step_down(self) -> None:
        self._horizon, self._lock_conn = None, None

    async def _take(
        self, conn: "asyncpg.Connection[asyncpg.Record]", producer: AIOKafkaProducer
    ) -> tuple[Horizon, Publishing]:
        """Take over: epoch, fence the old producer, a barrier in every partition, then compare topic and database."""
        row = await conn.fetchrow(
            "UPDATE leader SET epoch = epoch + 1, lease_max = greatest(lease_max, $1), address = $2"
            " RETURNING epoch, lease_max", LEASE_SECONDS, self._settings.leader_url,
        )  # fmt: skip
        if row is None:
            raise Lost("no leader row")
        taken = lease_now()  # after the database answered
        names = [f"{found.topic}:{found.partition}" for found in self._partitions]
        horizon = Horizon(row["epoch"], taken, row["lease_max"] if row["epoch"] > 1 else 0.0, names, self._topics)
        publishing = self._publishing = Publishing(self._engine, self._law, self._clock, self._topics, producer)
        # Starting fences whoever led before: only then is the database read.
        async with asyncio.timeout(DEADLINE):
            await while_awake(conn, producer.start())
        self._horizon = horizon
        await while_awake(conn, self._write_barriers(producer, horizon))
        async with asyncio.timeout(DEADLINE):  # whoever does not read what it writes must leave the lead to another
            while not horizon.ready():
                self._moved.clear()
                await while_awake(conn, woken(self._moved, _TICK))
        await while_awake(conn, self._adopt_law(horizon))
        await while_awake(conn, publishing.again())
        return horizon, publishing

    async def _adopt_law(self, horizon: Horizon) -> None:
        """A law table that is new to this installation yields something new for every subject."""
        async with self._engine.begin() as conn:
            await _still_ours(conn, horizon.epoch)
            if await applying.adopt(conn, self._law):
                _log.info("another law table", extra={"law": self._law.version})

    async def _go_through(self, horizon: Horizon) -> None:
        """Bring every subject up to the newest law, then to today, some at a time, and never far ahead of what is
        confirmed.

        Without that bound each round of publishing would look through a hundred thousand pending changes.
        """
        through, after = -1, None
        while True:
            done: Sequence[str] = ()
            async with self._engine.begin() as conn:
                generation = await storage.generation(conn)
                lawful = generation == through
                ahead = await storage.count_pending(conn) >= _AHEAD
                if not ahead and not lawful:
                    done = await applying.some(conn, self._law, after, _SLICE, self._clock.now(), self._held)
                    through = generation if not done and after is None else through
                    after = done[-1] if done else None
                elif not ahead:
                    done = await days.some(conn, self._law, _SLICE, self._clock.now())
                if done or not lawful:
                    await _still_ours(conn, horizon.epoch)  # last: what holds that row holds up every heartbeat's check
            if ahead or len(done) < _SLICE:  # a slice for each single change would be most of what the database does
                await asyncio.sleep(_TICK if lawful else _SOON)

    def _held(self, found: Mapping[str, Any]) -> bool:
        """Is this state what the topic says, in this version? Whatever led before was fenced before our barriers."""
        return self._topics.holds(found["subject"], found["version"], mark(found))

    async def _write_barriers(self, producer: AIOKafkaProducer, horizon: Horizon) -> None:
        async with asyncio.timeout(DEADLINE), producer.transaction():
            for found in self._partitions:
                event = events.new_event("consent", BARRIER, "!barrier", {"epoch": horizon.epoch}, self._clock.now())
                place = await producer.send_and_wait(
                    found.topic, events.value(event), BARRIER_KEY, found.partition, headers=events.headers(event)
                )
                horizon.wrote(f"{found.topic}:{found.partition}", place.offset)

    async def _confirm_changes(self, horizon: Horizon, publishing: Publishing) -> None:
        while True:
            await woken(self._moved, _TICK)
            self._moved.clear()
            _live.set(len(horizon.live(lease_now())))
            _horizon_lag.set(horizon.behind(lease_now()))
            done = horizon.confirmable(publishing.pending, lease_now())
            if done:
                await self._confirm(horizon, done)
                publishing.confirmed(done)
                horizon.forget(done, lease_now())
            await self._tell_directory(horizon)

    async def _confirm(self, horizon: Horizon, done: list[Pending]) -> None:
        """Commit the confirmation under our epoch; only then is anybody told."""
        async with self._engine.begin() as conn:
            await _still_ours(conn, horizon.epoch)
            rows = await conn.execute(
                text(
                    "UPDATE change SET state = 'confirmed', confirmed_at = now()"
                    " WHERE id = ANY(CAST(:ids AS uuid[])) AND state = 'pending' RETURNING id"
                ),
                {"ids": [change.id for change in done]},
            )
            await changes.confirmed(conn, [dict(row) for row in rows.mappings()])

    async def _tell_directory(self, horizon: Horizon) -> None:
        """`directory` learns how far everybody able to answer has read its topic. The position only grows."""
        partition = f"{DIRECTORY}:0"
        position = horizon.to_tell(partition, lease_now())
        if position is None:
            return
        data = {"topic": DIRECTORY, "partition": 0, "position": position}
        event = events.new_event("consent", "consent.horizon-passed.v1", "horizon", data, self._clock.now())
        async with self._engine.begin() as conn:
            await _still_ours(conn, horizon.epoch)
            await announce(conn, storage.outbox, EVENTS, event)
        horizon.told(partition, position)

    # -- leases ---------------------------------------------------------------------------------------------------

    async def _keep_lock(self) -> None:
        """Keep the lock's session awake, and notice when it is gone."""
        while True:
            await asyncio.sleep(_TICK)
            if not await self._still_leads():
                raise Lost

    async def _still_leads(self) -> bool:
        """A write on the lock's own connection. One check serves everybody who asked before it began."""
        self._asked += 1
        mine = self._asked
        async with self._check_lock:
            if self._answered >= mine:
                return self._horizon is not None
            serves = self._asked
            horizon, conn = self._horizon, self._lock_conn
            if horizon is None or conn is None:
                return False
            query = "UPDATE leader SET checked_at = now() WHERE epoch = $1 RETURNING true"
            leads = bool(await conn.fetchval(query, horizon.epoch))
            if leads:
                self._answered = serves
            return leads

    async def heartbeat(self, incarnation: str, positions: dict[str, tuple[int, int]]) -> float | None:
        """Seconds of lease for a gateway (0.0: not far enough yet), or None when this replica does not lead."""
        horizon = self._horizon
        if horizon is None:
            return None
        horizon.reported(incarnation, positions)
        self._moved.set()
        try:
            leads = await self._still_leads()
        except _WAITED_OUT:
            return None
        if not leads or self._horizon is not horizon:
            return None
        return horizon.lease(incarnation, lease_now())  # the clock is read after the check

    async def address(self) -> str | None:
        """Where the leader is, as the last one to take over has said."""
        async with self._engine.connect() as conn:
            found: str | None = await conn.scalar(text("SELECT address FROM leader"))
        return found

    def summary(self) -> dict[str, Any]:
        """For an operator: who leads, who may answer, what is unconfirmed. Ids only."""
        horizon = self._horizon
        return {
            "leads": horizon is not None,
            "epoch": horizon.epoch if horizon else None,
            "leases": {name: round(left, 2) for name, left in horizon.live(lease_now()).items()} if horizon else {},
            "positions": dict(self._topics.ends),
            "unconfirmed": len(self._publishing.pending) if self._publishing else 0,
        }


async def _still_ours(conn: AsyncConnection, epoch: int) -> None:
    """Hold the leader's row so that nobody takes over before this transaction ends."""
    if await conn.scalar(text("SELECT epoch FROM leader FOR SHARE")) != epoch:
        raise Lost


def _told_by(record: "ConsumerRecord[bytes, bytes]") -> tuple[int, bytes, int | None]:
    """Version, mark, and a barrier's epoch. What cannot be read has a place and says nothing: it must stop nobody."""
    try:
        if record.key == BARRIER_KEY:
            return 0, b"", int(msgspec.json.decode(record.value or b"")["epoch"])
        found = events.text_headers(record.headers)
        return int(found.get("ce_aggregateversion", "0")), bytes.fromhex(found.get(MARK, "")), None
    except (events.BadEvent, msgspec.MsgspecError, ValueError, KeyError, TypeError):
        _log.error("a state record cannot be read", extra={"topic": record.topic, "offset": record.offset})
        return 0, b"", None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
