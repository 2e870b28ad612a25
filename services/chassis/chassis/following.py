"""Following a state topic without a group: from its beginning, for ever, into memory; and the clock on one."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from chassis.clock import Clock
from chassis.events import BadEvent, decode
from chassis.health import Health
from chassis.kafka import from_beginning, make_consumer, partitions_of, take_many
from chassis.settings import Settings

CLOCK = b"clock:business"
"""The key of the record that says how many seconds the business clock is ahead."""

_log = logging.getLogger(__name__)

Take = Callable[["ConsumerRecord[bytes, bytes]"], None]


async def follow(settings: Settings, topic: str, part: str, health: Health, take: Take) -> None:
    """Give every record to `take`, for ever.

    Not ready before the end that the topic had at the start. Kafka away: what was read stays, and is read again after.
    """
    wait = 0.2
    while True:
        consumer = make_consumer(settings, group=None)
        try:
            partitions = await partitions_of(settings, topic)
            await consumer.start()
            await _follow(consumer, partitions, part, health, take)
        except (KafkaError, OSError) as error:
            health.trouble(part, type(error).__name__)
            _log.warning("a reader waits for Kafka", extra={"part": part, "error": type(error).__name__})
        finally:
            await consumer.stop()
        await asyncio.sleep(wait)
        wait = min(wait * 2, 5.0)


async def _follow(
    consumer: AIOKafkaConsumer, partitions: list[TopicPartition], part: str, health: Health, take: Take
) -> None:
    await from_beginning(consumer, partitions)
    ends = await consumer.end_offsets(partitions)
    while True:
        batch = await take_many(consumer, timeout_ms=200)
        for record in (record for records in batch.values() for record in records):
            take(record)
        if ends and all([await consumer.position(tp) >= end for tp, end in ends.items()]):
            ends = {}
            health.fine(part)


def move_clock(clock: Clock, record: "ConsumerRecord[bytes, bytes]") -> None:
    """Move the clock if this is the record that says so. One that cannot be read leaves it where it is.

    ClockFixed in production: whoever reads it ends.
    """
    if record.key != CLOCK:
        return
    try:
        ahead = decode(record.key, record.value, record.headers).data["ahead"]
        moved = timedelta(seconds=int(ahead))
    except (BadEvent, KeyError, TypeError, ValueError, OverflowError):
        _log.error("the record of the business clock cannot be read")
        return
    clock.move(moved)
