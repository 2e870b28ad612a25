"""What a leader publishes: the whole state of every subject with a pending change, in transactions of its own epoch."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from prometheus_client import Gauge
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import events
from chassis.clock import Clock, lease_now
from chassis.lifespan import woken
from consent.handlers import applying, days, state
from consent.handlers.state import mark
from consent.model.horizon import Horizon, Pending, Topics
from consent.model.law import Law

SUBJECTS = "consent.state.v1"
DEADLINE = 8.0
"""Seconds for one transaction with the broker."""

MARK = "ce_statemark"
"""The header with the mark of what a record says (handlers/state.py), by which the leader knows what gateways hold."""

_BATCH = 200
_TICK = 0.5
_unconfirmed = Gauge("samlogg_changes_unconfirmed", "Changes that are published or waiting and not confirmed")


class TopicIsNewer(Exception):
    """The state topic holds what the database does not: a restored database must not confirm anything."""


class Publishing:
    """Of one leadership: which changes are pending, and up to which version each subject is on its way."""

    def __init__(self, engine: AsyncEngine, law: Law, clock: Clock, topics: Topics, producer: AIOKafkaProducer) -> None:
        self._engine, self._law, self._clock = engine, law, clock
        self._topics, self._producer = topics, producer
        self._pending: list[Pending] = []
        self._published: dict[str, int] = {}

    @property
    def pending(self) -> Sequence[Pending]:
        """The changes that are not confirmed, as they were last read."""
        return self._pending

    def confirmed(self, done: Sequence[Pending]) -> None:
        """These are pending no more."""
        told = {change.id for change in done}
        self._pending = [change for change in self._pending if change.id not in told]
        _unconfirmed.set(len(self._pending))

    async def again(self) -> None:
        """At a take-over: subjects whose last record is older than the database. TopicIsNewer stops everything."""
        async with self._engine.connect() as conn:
            rows = (await conn.execute(text("SELECT id::text, version FROM subject"))).all()
        database: dict[str, int] = {row[0]: row[1] for row in rows}
        if self._topics.ahead(database):
            raise TopicIsNewer
        behind = self._topics.behind(database)
        for start in range(0, len(behind), _BATCH):
            await self._publish(behind[start : start + _BATCH])

    async def run(self, horizon: Horizon, changed: asyncio.Event, moved: asyncio.Event) -> None:
        """For ever: publish every subject with a pending change whose version is not on its way yet, some at a time.

        What people have said goes before what law and time yield: a withdrawal never waits for ten thousand.
        changed: set when there may be a change; moved: is set when there may be one to confirm.
        """
        while True:
            changed.clear()
            behind = await self._behind()
            if behind:
                await self._publish(behind[:_BATCH])
            moved.set()
            horizon.forget([], lease_now())
            if len(behind) <= _BATCH:
                await woken(changed, _TICK)

    async def _behind(self) -> list[str]:
        """Whom to publish, in which order; the pending changes are those of now."""
        async with self._engine.connect() as conn:
            rows = await conn.execute(
                text(
                    "SELECT id::text, subject::text, version, kind FROM change WHERE state = 'pending' ORDER BY version"
                )
            )
            found = [(Pending(*row[:3]), row.kind) for row in rows]
        self._pending = [change for change, _ in found]
        _unconfirmed.set(len(found))
        newest = {change.subject: change.version for change in self._pending}  # in the order of their versions
        said = {change.subject for change, kind in found if kind not in (applying.KIND, days.KIND)}
        return sorted(self._topics.behind(newest, self._published), key=lambda subject: (subject not in said, subject))

    async def _publish(self, subjects: Sequence[str]) -> None:
        """The state as the database has it now, whole, in one transaction; never a payload kept from before."""
        async with self._engine.connect() as conn:
            await conn.execution_options(isolation_level="REPEATABLE READ")
            found = await state.states_of(conn, self._law, subjects, self._clock.now())
        sent = []
        async with asyncio.timeout(DEADLINE), self._producer.transaction():
            for body in found:
                event = events.new_event(
                    "consent", SUBJECTS, body["subject"], body, self._clock.now(), version=body["version"]
                )
                value, headers = events.value(event), [*events.headers(event), (MARK, mark(body).hex().encode())]
                sent.append(await self._producer.send(SUBJECTS, value, event.key.encode(), headers=headers))
        for body, record in zip(found, sent, strict=True):
            place = await record  # at once: the transaction is committed
            self._topics.published(f"{SUBJECTS}:{place.partition}", place.offset, lease_now())
            self._published[body["subject"]] = body["version"]
