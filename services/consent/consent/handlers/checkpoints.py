"""Checkpoints of the ledger: signed while it grows, stored before they are published, never against an earlier one."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from prometheus_client import Counter, Gauge
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chassis import events
from chassis.causes import caused_by_a_part
from chassis.clock import Clock
from chassis.health import Health
from chassis.kafka import make_consumer, partitions_of
from chassis.outbox import announce
from chassis.settings import Settings
from consent import messages, storage
from consent.handlers.ledger import SHORTER, LedgerStopped
from consent.model.notes import BadNote, Checkpoint, Signer
from consent.model.tree import Hashes, Torn, root_of, tiles_of
from consent.storage import Tree

CHECKPOINTS = "checkpoints"
ANOTHER = "the tree is not the one that was signed"
TAKEN_BACK = "a checkpoint that was signed is gone"
FORGED = "a checkpoint is not signed by the ledger's key"
UNREADABLE = "the newest published checkpoint cannot be read"
_EVERY = 0.2
_REST = 0.1
_AGAIN = 2.0
_READ_SECONDS = 5.0
_WAITED_OUT = (OSError, TimeoutError, KafkaError, SQLAlchemyError)
_log = logging.getLogger(__name__)
_signed = Counter("samlogg_ledger_checkpoints_total", "Checkpoints signed by this replica")
_size = Gauge("samlogg_ledger_size", "Records in the tree of the newest checkpoint")
_stopped = Gauge("samlogg_ledger_stopped", "1 while nothing is appended or signed: stored and signed contradict")


async def sign(conn: AsyncConnection, signer: Signer, now: datetime) -> Checkpoint | None:
    """Sign the tree if it has grown; stored and announced in the caller's transaction.

    None: there is nothing to sign, or another replica is at it. LedgerStopped unless the tree begins with the newest
    checkpoint's, hash for hash.
    """
    if not await storage.may_sign(conn):
        return None
    last = await _newest(conn, signer)
    found = await storage.tree(conn)
    if found.stopped is not None:
        raise LedgerStopped(found.stopped)
    if last is not None and found.size == last.size and root_of(found.edge) == last.root:
        return None
    await _compare(conn, found, last)
    made = signer.checkpoint(found.size, root_of(found.edge))
    await storage.keep_checkpoint(conn, made, now)
    data = messages.CheckpointSigned(origin=signer.origin, size=made.size, note=made.note).model_dump()
    event = events.new_event("consent", messages.CHECKPOINT_SIGNED, "ledger", data, now)
    await announce(conn, storage.outbox, messages.CHECKPOINTS, event)
    return made


async def remember(conn: AsyncConnection, signer: Signer, published: str, now: datetime) -> None:
    """Keep a checkpoint that was published, if a database from before it has been brought back: it then stops.

    LedgerStopped when another one of this size is stored, or when it is not of this ledger's key.
    """
    try:
        there = signer.read(published)
    except BadNote as error:
        raise LedgerStopped(FORGED) from error
    if not await storage.keep_checkpoint(conn, there, now):
        known = await storage.checkpoint_at(conn, there.size)
        if known is None or known.root != there.root:
            raise LedgerStopped(ANOTHER)


async def _newest(conn: AsyncConnection, signer: Signer) -> Checkpoint | None:
    last = await storage.newest_checkpoint(conn)
    if last is None:
        return None
    try:
        said = signer.read(last.note)
    except BadNote as error:
        raise LedgerStopped(FORGED) from error
    if (said.size, said.root) != (last.size, last.root):
        raise LedgerStopped(FORGED)
    return last


async def _compare(conn: AsyncConnection, found: Tree, last: Checkpoint | None) -> None:
    """The tiles must give both roots: that of the tree now, and at the checkpoint's size the one that was signed.

    The tree must have been read after the checkpoint: others append and sign meanwhile.
    """
    if last is not None and found.size < last.size:
        raise LedgerStopped(SHORTER)
    whole = 0, found.size
    before = (0, last.size) if last is not None else (0, 0)
    hashes = Hashes(await storage.tiles(conn, tiles_of((whole, before))))
    try:
        if last is not None and hashes.of(before) != last.root:
            raise LedgerStopped(ANOTHER)
        if hashes.of(whole) != root_of(found.edge):
            raise LedgerStopped(ANOTHER)
    except Torn as error:
        raise LedgerStopped(ANOTHER) from error


async def newest_published(settings: Settings) -> str | None:
    """The last checkpoint on the topic, None where there is none. KafkaError, TimeoutError when it cannot be read."""
    [partition] = await partitions_of(settings, messages.CHECKPOINTS)
    consumer = make_consumer(settings, group=None)
    async with asyncio.timeout(_READ_SECONDS):
        try:
            await consumer.start()
            first = (await consumer.beginning_offsets([partition]))[partition]
            end = (await consumer.end_offsets([partition]))[partition]
            consumer.assign([partition])
            found = None
            if end > first:
                consumer.seek(partition, end - 1)
                record = await consumer.getone()
                found = _note_in(record)
            return found
        finally:
            with contextlib.suppress(Exception):
                await consumer.stop()


def _note_in(record: "ConsumerRecord[bytes, bytes]") -> str:
    try:
        event = events.decode(record.key, record.value, record.headers)
        return messages.PublishedCheckpoint.model_validate(event.data).note
    except (events.BadEvent, ValidationError) as error:
        raise LedgerStopped(UNREADABLE) from error


class Checkpoints:
    """Signs for ever, in every replica; whichever comes first signs a size. What is wrong with the ledger shows here.

    read: the newest published checkpoint; asked once, before the first is signed.
    """

    def __init__(
        self, engine: AsyncEngine, signer: Signer, clock: Clock, health: Health,
        read: Callable[[], Awaitable[str | None]],
    ) -> None:  # fmt: skip
        self._engine, self._signer, self._clock, self._health, self._read = engine, signer, clock, health, read
        self._seen = 0
        self._told: str | None = None
        self._grown = asyncio.Event()

    def grown(self) -> None:
        """Look now: this replica has appended. What others append is looked for every fifth of a second."""
        self._grown.set()

    async def run(self) -> None:
        """For ever. What database and broker cause is waited out and shows in `ready`, and so does a stopped ledger."""
        compared = False
        while True:
            wait = _EVERY
            self._grown.clear()
            try:
                if not compared:
                    await self.compare()
                    compared = True
                await self.tick()
                self._health.fine(CHECKPOINTS)
            except LedgerStopped as error:
                await self._alarm(str(error))
                wait = _AGAIN
            except _WAITED_OUT as error:
                if isinstance(error, SQLAlchemyError) and not caused_by_a_part(error):
                    raise
                self._health.trouble(CHECKPOINTS, type(error).__name__)
                _log.warning("checkpoints wait", extra={"error": type(error).__name__})
                wait = _AGAIN
            await asyncio.sleep(_REST)  # however fast it grows: each checkpoint costs as much as many records
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait - _REST):
                    await self._grown.wait()

    async def compare(self) -> None:
        """What is stored with what was published last and signed last, before anything is signed. LedgerStopped."""
        published = await self._read()
        if published is not None:
            async with self._engine.begin() as conn:
                await remember(conn, self._signer, published, self._clock.now())
        async with self._engine.connect() as conn:
            last = await _newest(conn, self._signer)
            await _compare(conn, await storage.tree(conn), last)

    async def tick(self) -> Checkpoint | None:
        """Sign if there is something new. LedgerStopped."""
        async with self._engine.connect() as conn:
            found = await storage.tree(conn)
        if (found.signed or 0) < self._seen:
            raise LedgerStopped(TAKEN_BACK)
        self._seen = found.signed or 0
        if found.stopped is not None:
            raise LedgerStopped(found.stopped)
        _stopped.set(0)
        self._told = None
        _size.set(self._seen)
        if found.signed == found.size:
            return None
        async with self._engine.begin() as conn:
            made = await sign(conn, self._signer, self._clock.now())
        if made is not None:
            self._seen = max(self._seen, made.size)
            _size.set(self._seen)
            _signed.inc()
        return made

    async def _alarm(self, reason: str) -> None:
        """Stop every replica, and say so in `ready`, in a metric and, once, in the log."""
        _stopped.set(1)
        self._health.trouble(CHECKPOINTS, reason)
        if reason == self._told:
            return
        with contextlib.suppress(*_WAITED_OUT):
            async with self._engine.begin() as conn:
                await storage.stop_ledger(conn, reason)
            self._told = reason
        _log.critical("the ledger has stopped", extra={"reason": reason})
