"""The reader of what happens in logs, for live streams: every gateway reads all of it, without a group."""

import asyncio
import logging
import time
from uuid import UUID

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from prometheus_client import Counter
from pydantic import ValidationError

from chassis import events
from chassis.kafka import make_consumer, partitions_of, take_many
from chassis.settings import Settings
from gateway.handlers.streams import Streams
from gateway.messages import CHANGES, LOGBOOK, LogChanged
from gateway.model.streams import Change, Place

BACK_SECONDS = 900.0
"""How far back a gateway reads when it starts, for readers who come back to it from another one."""

_log = logging.getLogger(__name__)
_unreadable = Counter("samlogg_stream_changes_unreadable", "Changes that no stream was told of: they cannot be read")


class Changes:
    """Tells `streams` of every change, in the order of its partition."""

    def __init__(self, settings: Settings, streams: Streams) -> None:
        self._settings, self._streams = settings, streams

    async def read(self) -> None:
        """For ever. An error ends the process, as it does for the state topics: a silent gap must not be."""
        consumer = make_consumer(self._settings, group=None, max_poll_records=2_000, fetch_max_wait_ms=250)
        await consumer.start()
        try:
            partitions = await partitions_of(self._settings, LOGBOOK)
            back = int((time.time() - BACK_SECONDS) * 1000)
            found = await consumer.offsets_for_times(dict.fromkeys(partitions, back))
            ends = await consumer.end_offsets(partitions)
            begins = {one: ends[one] if (at := found.get(one)) is None else at.offset for one in partitions}
            self._streams.reading({one.partition: offset for one, offset in begins.items()})
            consumer.assign(partitions)
            for one in partitions:
                consumer.seek(one, begins[one])
            while any([await consumer.position(one) < ends[one] for one in partitions]):
                await self._take(await take_many(consumer, timeout_ms=1_000))
            self._streams.caught_up()
            while True:
                await self._take(await take_many(consumer, timeout_ms=1_000))
        finally:
            await consumer.stop()

    async def _take(self, batches: "dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]") -> None:
        for partition, records in batches.items():
            for record in records:
                place = Place(partition.partition, record.offset)
                self._streams.heard(place, _change(place, record))
            await asyncio.sleep(0)


def _change(place: Place, record: "ConsumerRecord[bytes, bytes]") -> Change | None:
    """The change in a record; None for other types, and for one that cannot be read (the feeds set it aside)."""
    try:
        event = events.decode(record.key, record.value, record.headers)
        if event.type not in CHANGES:
            return None
        told = LogChanged.model_validate(event.data)
        if told.subject != event.key:
            raise events.BadEvent("the key is not the subject")
        item = None if told.category is None else told.item
        at = told.at.timestamp() if told.at.tzinfo else event.time.timestamp()
        above = tuple((one.item, one.category) for one in told.above)
        return Change(
            str(UUID(event.id)), place, told.subject, _kind(event.type), item, told.category, at, above, told.actor.id
        )
    except (events.BadEvent, ValidationError, ValueError) as error:
        _unreadable.inc()
        _log.error("a change could not be read", extra={"error": type(error).__name__, "offset": place.offset})
        return None


def _kind(type_: str) -> str:
    """`entry.added.v1` is told as `entry.added`."""
    return type_.rpartition(".")[0]
