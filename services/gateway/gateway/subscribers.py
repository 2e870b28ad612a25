"""Topic and type to handler: events of logbook and consent, in batches, for the feeds."""

from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.structs import ConsumerRecord

from chassis.batches import Batches
from chassis.consuming import consume
from chassis.delivery import Delivery, Limits
from chassis.events import decode
from chassis.health import Health
from chassis.outbox import Relay
from chassis.settings import Settings
from gateway.handlers.feeds import Feeds, Told
from gateway.messages import CONSENT, CONSUMED, LOGBOOK

GROUP = "gateway"
_LONGEST_WAIT = 1.0
"""Seconds. What waits here waits for a lease: when it is back the feeds go on within two seconds, as reads do."""


def feed_work(
    settings: Settings, health: Health, feeds: Feeds, now: Callable[[], datetime]
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name and work of every background task of the feeds: the relay, the consumer and the house."""
    delivery = Delivery(GROUP, Limits(longest_wait=_LONGEST_WAIT), now=now)
    yield "outbox", Relay(settings, health).run()
    yield "feeds", consume(settings, delivery, lambda: make_reader(settings, delivery, feeds), health)
    yield "feeds house", feeds.keep_house()


def make_reader(settings: Settings, delivery: Delivery, feeds: Feeds) -> Batches[Told]:
    """A fresh reader of both topics.

    Both are keyed by subject with equally many partitions, and ranges give one consumer the same partitions of both:
    it alone writes the pointers about a subject, in one order.
    """

    async def take(found: Sequence[Told], consumer: AIOKafkaConsumer) -> None:
        async def topics() -> Collection[str]:
            there: Collection[str] = await consumer.topics()
            return there

        await feeds.take(found, topics)

    return Batches(
        settings, [LOGBOOK, CONSENT], GROUP, delivery, to_told, take,
        partition_assignment_strategy=(RangePartitionAssignor,),
    )  # fmt: skip


def to_told(record: "ConsumerRecord[bytes, bytes]") -> Told | None:
    """What is relied on of an event; None for a type that is not for the feeds, or came later than this code.

    BadEvent, ValidationError.
    """
    event = decode(record.key, record.value, record.headers)
    slice_ = _SLICES.get(event.type)
    return None if slice_ is None else Told(event, slice_.model_validate(event.data))


_SLICES = CONSUMED[LOGBOOK] | CONSUMED[CONSENT]
