"""Reading topics in batches: what one round brought is handled in one go, and what fails is found one by one.

For events that come by the ten thousand: a transaction and an offset for each would cost more than what they cause. A
record's fate is that of a typed handler's (delivery.py): a dead letter if it is to blame, else its partition waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord

from chassis.delivery import Delivery
from chassis.kafka import make_consumer
from chassis.settings import Settings

Read = TypeVar("Read")
Record: TypeAlias = "ConsumerRecord[bytes, bytes]"

_POLL_MS = 250
_WAIT_MS = 200
_LARGEST = 500
_AGAIN_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Batches(Generic[Read]):
    """For `consume`, in the place of a broker with typed handlers.

    read: what is relied on of a record; None for one that is not for us; BadEvent or ValidationError when it cannot be
    read. take: handles some, each subject's in their order, all or none; what comes twice has no second effect.
    """

    def __init__(
        self, settings: Settings, topics: Sequence[str], group: str, delivery: Delivery,
        read: Callable[[Record], Read | None], take: Callable[[Sequence[Read], AIOKafkaConsumer], Awaitable[None]],
        **more: Any,
    ) -> None:  # fmt: skip
        self._delivery, self._read, self._take = delivery, read, take
        self.consumer = make_consumer(
            settings, *topics, group=group, fetch_max_wait_ms=_WAIT_MS, session_timeout_ms=15_000, **more
        )
        self.subscribers = (self,)
        self.tasks: list[asyncio.Task[None]] = []
        self._ends: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Join the group and begin."""
        await self.consumer.start()
        self.tasks.append(asyncio.create_task(self._for_ever()))

    async def stop(self) -> None:
        """Leave off; what was not committed comes again."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.consumer.stop()

    async def _for_ever(self) -> None:
        """Until something that is nobody's part and no record's fault: whoever watches makes the reader anew then.

        It must not go on by itself: what it was handed and has not handled would be skipped.
        """
        while True:
            try:
                await self._round()
            except (KafkaError, OSError) as error:
                _log.warning("a reader in batches waits for Kafka", extra={"error": type(error).__name__})
                await asyncio.sleep(_AGAIN_SECONDS)
            except Exception as error:
                _log.error("a reader in batches has ended", exc_info=error)
                raise

    async def _round(self) -> None:
        brought = await self.consumer.getmany(timeout_ms=_POLL_MS, max_records=_LARGEST)
        found = {tp: records for tp, records in brought.items() if not self._is_stopped(tp, records)}
        if found and await self._handled([record for records in found.values() for record in records]):
            for tp, records in found.items():
                self._done(tp, records[-1])
        else:
            for tp, records in found.items():
                await self._one_by_one(tp, records)
        self._ends = {tp: end for tp, end in self._ends.items() if tp in self.consumer.assignment()}
        if self._ends:
            await self.consumer.commit(self._ends)
            self._ends = {}

    def _is_stopped(self, tp: TopicPartition, records: Sequence[Record]) -> bool:
        if not self._delivery.stopped(tp.topic):
            return False
        self._delivery.halt(tp, self.consumer)
        self._back_to(tp, records[0])
        return True

    async def _handled(self, records: Sequence[Record]) -> bool:
        try:
            async with asyncio.timeout(self._delivery.limits.handling):
                await self._handle(records)
        except Exception as error:  # noqa: BLE001 - whatever it is: one by one tells whose fault it was
            _log.info("a batch goes one by one", extra={"records": len(records), "error": type(error).__name__})
            return False
        return True

    async def _handle(self, records: Sequence[Record]) -> None:
        found = [one for record in records if (one := self._read(record)) is not None]
        if found:
            await self._take(found, self.consumer)

    async def _one_by_one(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        """Up to the first that must wait for a part: the partition goes back to it, and others go on."""
        for record in records:
            try:
                await self._delivery.attempt(partial(self._handle, [record]))
            except Exception as error:  # noqa: BLE001 - delivery decides what becomes of it
                if not await self._delivery.failed(record, tuple(record.headers), error, self.consumer):
                    self._back_to(tp, record)
                    return
                self._ends[tp] = record.offset + 1
            else:
                self._done(tp, record)

    def _done(self, tp: TopicPartition, record: Record) -> None:
        self._delivery.succeeded(tp)
        self._ends[tp] = record.offset + 1

    def _back_to(self, tp: TopicPartition, record: Record) -> None:
        try:
            self.consumer.seek(tp, record.offset)
        except IllegalStateError:  # taken away meanwhile: whoever has it now begins there
            _log.info("a partition is another's now", extra={"topic": tp.topic, "partition": tp.partition})
