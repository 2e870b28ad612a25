"""Runs the typed handlers, and knows whether they make progress: positions against the ends of their partitions."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream.kafka import KafkaMessage
from prometheus_client import Gauge

from chassis.delivery import Delivery
from chassis.events import Event, decode
from chassis.health import Health
from chassis.kafka import make_producer, require_fetching
from chassis.settings import Settings

PART = "consumer"
"""The name under which this shows in `Health`; expect it there, so that nothing is ready before the first position."""

_START_SECONDS = 20.0
_GRACE_SECONDS = 2.0
_TURNS = 8
"""How much longer a partition may wait for its turn: a consumer that is behind handles one after another."""
_log = logging.getLogger(__name__)
_lag = Gauge("samlogg_consumer_lag", "Messages between a consumer's position and the end", ["topic", "partition"])


class Reader(Protocol):
    """What reads: a broker with typed handlers, or `Batches`. Of its subscribers `consumer` and `tasks` are looked at,
    where they have any."""

    @property
    def subscribers(self) -> Sequence[Any]:
        """Whoever reads a topic."""

    async def start(self) -> None:
        """Begin to read."""

    async def stop(self) -> None:
        """Stop reading."""


def event_of(message: KafkaMessage) -> Event:
    """The event in the message a handler was given; BadEvent when it is not one of ours."""
    raw: Any = message.raw_message
    return decode(raw.key, raw.value, raw.headers)


def of_type(*kinds: str) -> Callable[[KafkaMessage], Awaitable[bool]]:
    """A filter for `@take(filter=...)`: events of these types. Always end with an unfiltered handler: what none takes
    is received for ever.

    A coroutine: the framework sends any other function through a thread, for every message and every filter.
    """

    async def fits(message: KafkaMessage) -> bool:
        return message.headers.get("ce_type") in kinds

    return fits


async def consume(settings: Settings, delivery: Delivery, make: Callable[[], Reader], health: Health) -> None:
    """Run the handlers of the broker, or of the reader in batches, that `make` builds, until cancelled.

    A Kafka that is away at the start is waited for: the service's other doors work meanwhile. A broker object is made
    anew for each try, because one router serves only the last broker it was given to.
    """
    health.watch("delivery", delivery.check)
    wait = 0.2
    task = asyncio.current_task()
    while task is None or not task.cancelling():
        producer, broker = make_producer(settings), make()
        try:
            async with asyncio.timeout(_START_SECONDS):
                await producer.start()
                delivery.attach(producer)
                await broker.start()
            await watch_progress(broker, health)
        except (KafkaError, OSError) as error:
            health.trouble(PART, type(error).__name__)
            _log.warning("the consumer waits for Kafka", extra={"error": type(error).__name__})
        finally:
            await _end(broker, producer)
        await asyncio.sleep(wait)
        wait = min(wait * 2, 5.0)
    raise asyncio.CancelledError


async def _end(broker: Reader, producer: AIOKafkaProducer) -> None:
    """Stop within five seconds and leave nothing running: what was not committed comes again.

    The framework cancels handlers without waiting for them; one that still holds a connection must be done with it
    before the pool is closed.
    """
    handling = {task for one in broker.subscribers for task in getattr(one, "tasks", ())}
    stopping = {asyncio.ensure_future(broker.stop()), asyncio.ensure_future(producer.stop())}
    _, late = await asyncio.wait(stopping, timeout=_GRACE_SECONDS)
    for task in handling:
        task.cancel()
    if handling | late:
        await asyncio.wait(handling | late, timeout=_GRACE_SECONDS)
    for ended in stopping:
        if ended.done() and not ended.cancelled() and ended.exception() is not None:
            _log.info("a Kafka client did not stop cleanly", extra={"error": type(ended.exception()).__name__})
        ended.cancel()


async def watch_progress(broker: Reader, health: Health, *, every: float = 2.0, patience: float = 15.0) -> None:
    """Until cancelled: ready only while every partition moves, waits for its turn, or is at its end. Positions are
    asked of the broker.

    every, patience: seconds between two looks, and without movement before it counts as trouble.
    TimeoutError when a position cannot be had for so long: a first reset that failed is never tried again by the client
    (DECISIONS.md 7), so the consumer must be made anew. KafkaError when it has stopped fetching, or nobody takes
    what it fetches: the same.
    """
    loop = asyncio.get_running_loop()
    blind_since: float | None = None
    moved: dict[tuple[int, TopicPartition], tuple[int, float]] = {}
    assigned = False
    task = asyncio.current_task()
    while task is None or not task.cancelling():  # the client may take a cancellation for its own and go on
        _require_reading(broker)
        try:
            async with asyncio.timeout(max(every, 5.0)):
                behind = await _behind(broker)
            assigned = assigned or all(consumer.assignment() for consumer in _consumers(broker))
        except (KafkaError, OSError) as error:
            health.trouble(PART, type(error).__name__)
            blind_since = blind_since or loop.time()
            if isinstance(error, TimeoutError) and loop.time() - blind_since > patience:
                raise
        else:
            blind_since, now = None, loop.time()
            if not assigned:
                health.trouble(PART, "no partitions yet")
                await asyncio.sleep(0.1)
                continue
            moved = {at: _since(moved.get(at), position, now) for at, position in behind.items()}
            stuck = _stuck(moved, now, patience)
            if stuck:
                health.trouble(PART, "no progress: " + ", ".join(stuck[:5]))
            else:
                health.fine(PART)
        await asyncio.sleep(every)
    raise asyncio.CancelledError


def _require_reading(broker: Reader) -> None:
    for consumer in _consumers(broker):
        require_fetching(consumer)
    for one in broker.subscribers:
        tasks = getattr(one, "tasks", ())
        if tasks and all(task.done() for task in tasks):
            raise KafkaError("a reader has ended")


async def _behind(broker: Reader) -> dict[tuple[int, TopicPartition], int]:
    """Position of every assigned partition that is not at its end."""
    found: dict[tuple[int, TopicPartition], int] = {}
    for consumer in _consumers(broker):
        if not consumer.assignment():
            continue
        for tp, end in (await consumer.end_offsets(list(consumer.assignment()))).items():
            with suppress(IllegalStateError):  # taken away meanwhile
                position = await consumer.position(tp)
                _lag.labels(tp.topic, str(tp.partition)).set(max(0, end - position))
                if position < end:
                    found[id(consumer), tp] = position
    return found


def _consumers(broker: Reader) -> list[AIOKafkaConsumer]:
    return [found for one in broker.subscribers if (found := getattr(one, "consumer", None)) is not None]


def _stuck(moved: Mapping[tuple[int, TopicPartition], tuple[int, float]], now: float, patience: float) -> list[str]:
    """Partitions that have not moved for too long; while their consumer moves others, too long is longer."""
    busy = {consumer for (consumer, _), (_, since) in moved.items() if now - since <= patience}
    return sorted(
        f"{tp.topic} {tp.partition}"
        for (consumer, tp), (_, since) in moved.items()
        if now - since > patience * (_TURNS if consumer in busy else 1)
    )


def _since(before: tuple[int, float] | None, position: int, now: float) -> tuple[int, float]:
    return before if before is not None and before[0] == position else (position, now)
