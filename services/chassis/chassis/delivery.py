"""What becomes of a message that could not be handled: tried again, set aside as a dead letter, or waited with.

Given as middleware to the broker (`make_broker(..., middlewares=[delivery])`); every subscriber is NACK_ON_ERROR.

- What the message itself causes: at most three tries within two seconds, then `<topic>.dlq`, durable before the offset
  is committed. Too many dead letters stop the topic's consumer: then it is not the messages that are bad.
- What a part causes (database, broker, time-out): the partition is paused and tried again without limit, with growing
  waits. Other partitions go on.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError
from faststream import BaseMiddleware, ContextRepo
from faststream.exceptions import AckMessage, IgnoredException, NackMessage
from faststream.message import StreamMessage
from prometheus_client import Counter

from chassis.causes import LATER_IS_NO_BETTER, PartFailure, caused_by_a_part, reason
from chassis.clock import rfc3339
from chassis.events import BadEvent

__all__ = ["Delivery", "Limits", "PartFailure"]

log = logging.getLogger(__name__)

DLQ = ".dlq"
PREFIX = "dlq_"
_SEND_SECONDS = 5.0
_NO_RECORD_HEADERS = ("reply_to",)

Record: TypeAlias = ConsumerRecord[bytes, bytes]

_dead_letters = Counter("samlogg_dead_letters_total", "Messages set aside", ["topic"])
_part_failures = Counter("samlogg_part_failures_total", "Tries that failed because of a part of ours", ["topic"])


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and counts; the defaults are those of design.md section 6."""

    tries: int = 3
    within: float = 2.0
    between: float = 0.2
    handling: float = 30.0
    first_wait: float = 0.2
    longest_wait: float = 15.0
    in_a_row: int = 20
    share: float = 0.5
    last: int = 100


@dataclass(slots=True)
class _Tally:
    """The last outcomes of one topic; True is a dead letter."""

    last: deque[bool]
    in_a_row: int = 0
    stopped: bool = False

    def add(self, *, dead: bool) -> None:
        self.last.append(dead)
        self.in_a_row = self.in_a_row + 1 if dead else 0

    def full(self, limits: Limits) -> bool:
        """Would one more dead letter be too many?"""
        return self.in_a_row >= limits.in_a_row or sum(self.last) >= limits.share * limits.last


@dataclass(slots=True)
class _Waiting:
    """A partition that is paused because of a part."""

    consumer: AIOKafkaConsumer
    cause: str
    tries: int = 0
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Delivery:
    """The middleware of one broker; one object per process and broker.

    consumer: the service's name, told in dead letters. Dead letters need `attach(producer)`: until then a bad message
    holds its partition like a missing part, because it could not be set aside durably.
    """

    def __init__(
        self, consumer: str, limits: Limits | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.consumer = consumer
        self.limits = limits or Limits()
        self.now = now
        self._producer: AIOKafkaProducer | None = None
        self._tallies: dict[str, _Tally] = {}
        self._waiting: dict[TopicPartition, _Waiting] = {}

    def attach(self, producer: AIOKafkaProducer) -> None:
        """Send dead letters through this started producer (acks=all)."""
        self._producer = producer

    def __call__(self, msg: Record | None, /, *, context: ContextRepo) -> "_Scope":
        """FastStream asks for one scope per message."""
        return _Scope(msg, context=context, delivery=self)

    def check(self) -> str | None:
        """For `Health.watch`: what keeps this consumer from going on, or None."""
        return "; ".join(self.problems()) or None

    def problems(self) -> list[str]:
        """What keeps this consumer from going on, one sentence each; empty is well."""
        for tp, one in list(self._waiting.items()):
            if tp not in one.consumer.assignment():
                self._forget(tp)
        waiting = [
            f"{tp.topic} {tp.partition} waits for a part, {one.tries} tries: {one.cause}"
            for tp, one in sorted(self._waiting.items())
        ]
        stopped = [f"{topic} is stopped: too many dead letters" for topic, one in self._tallies.items() if one.stopped]
        return waiting + stopped

    def stopped(self, topic: str) -> bool:
        """Has the limit on dead letters stopped this topic? Only a new start begins it again."""
        return self._tally(topic).stopped

    async def attempt(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Call at most `tries` times within `within` seconds; raises what the last call raised."""
        loop, limits = asyncio.get_running_loop(), self.limits
        end, wait = loop.time() + limits.within, limits.between
        for left in reversed(range(limits.tries)):
            try:
                async with asyncio.timeout(limits.handling):
                    return await call()
            except IgnoredException:
                raise
            except Exception as error:
                hopeless = isinstance(error, LATER_IS_NO_BETTER) or caused_by_a_part(error)
                if not left or hopeless or loop.time() + wait >= end:
                    raise
            await asyncio.sleep(wait)
            wait *= 3
        return None

    def succeeded(self, tp: TopicPartition) -> None:
        """A message of this partition was handled."""
        self._tally(tp.topic).add(dead=False)
        self._forget(tp)

    async def failed(
        self, record: Record, headers: Sequence[tuple[str, bytes]], error: Exception, consumer: AIOKafkaConsumer
    ) -> bool:
        """True: the message was set aside durably and its offset may be committed. False: it stays, and is held."""
        tp, tally = TopicPartition(record.topic, record.partition), self._tally(record.topic)
        if caused_by_a_part(error):
            self._hold(tp, error, consumer)
            return False
        if tally.full(self.limits):
            tally.stopped = True
            log.error("%s is stopped at %d:%d: too many dead letters", tp.topic, tp.partition, record.offset)
            self.halt(tp, consumer)
            return False
        try:
            await self._set_aside(record, headers, reason(error))
        except Exception as failure:  # noqa: BLE001 - whatever it is: what is not durable must not be committed
            self._hold(tp, failure, consumer)
            return False
        tally.add(dead=True)
        _dead_letters.labels(tp.topic).inc()
        self._forget(tp)
        log.warning("dead letter %s %d:%d: %s", tp.topic, tp.partition, record.offset, reason(error))
        return True

    def halt(self, tp: TopicPartition, consumer: AIOKafkaConsumer) -> None:
        """Pause a partition of a stopped topic for good; a new assignment comes back here with its first message."""
        with suppress(IllegalStateError):
            consumer.pause(tp)

    async def _set_aside(self, record: Record, headers: Sequence[tuple[str, bytes]], why: str) -> None:
        if self._producer is None:
            raise PartFailure("no producer for dead letters")
        place = {
            "reason": why, "topic": record.topic, "partition": str(record.partition), "offset": str(record.offset),
            "consumer": self.consumer, "time": rfc3339(self.now()),
        }  # fmt: skip
        kept = [(name, value) for name, value in headers if not name.startswith(PREFIX)]
        added = [(PREFIX + name, value.encode("utf-8", "replace")) for name, value in place.items()]
        async with asyncio.timeout(_SEND_SECONDS):  # aiokafka itself never gives up; late and doubled is harmless here
            await self._producer.send_and_wait(
                record.topic + DLQ, value=record.value, key=record.key, headers=[*kept, *added]
            )

    def _hold(self, tp: TopicPartition, error: Exception, consumer: AIOKafkaConsumer) -> None:
        one = self._waiting.setdefault(tp, _Waiting(consumer, ""))
        one.consumer, one.cause, one.tries = consumer, reason(error), one.tries + 1
        wait = min(self.limits.first_wait * 2 ** min(one.tries - 1, 16), self.limits.longest_wait)
        _part_failures.labels(tp.topic).inc()
        log.warning("%s %d waits %.1f s for a part: %s", tp.topic, tp.partition, wait, one.cause)
        with suppress(IllegalStateError):  # no longer ours: whoever has it now tries by itself
            consumer.pause(tp)
        if one.timer is not None:
            one.timer.cancel()
        one.timer = asyncio.get_running_loop().call_later(wait, self._resume, tp, consumer)

    def _resume(self, tp: TopicPartition, consumer: AIOKafkaConsumer) -> None:
        with suppress(IllegalStateError):
            consumer.resume(tp)

    def _forget(self, tp: TopicPartition) -> None:
        one = self._waiting.pop(tp, None)
        if one is not None and one.timer is not None:
            one.timer.cancel()

    def _tally(self, topic: str) -> _Tally:
        return self._tallies.setdefault(topic, _Tally(deque(maxlen=self.limits.last)))


class _Scope(BaseMiddleware[Any, Any]):
    """One message on its way through the subscriber."""

    def __init__(self, msg: Record | None, /, *, context: ContextRepo, delivery: Delivery) -> None:
        super().__init__(msg, context=context)
        self._delivery = delivery
        self._headers: Sequence[tuple[str, bytes]] = ()
        self._unreadable = False

    async def on_receive(self) -> None:
        """Keep the original headers, and take away what the framework's parser would fall over or answer to."""
        self._headers = tuple(self.msg.headers)
        kept = [pair for pair in self._headers if pair[0] not in _NO_RECORD_HEADERS and _is_text(pair[1])]
        self.msg.headers = tuple(kept)
        self._unreadable = not all(_is_text(value) for _, value in self._headers)

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        """Decoding, validation and handler happen inside `call_next`."""
        tp = TopicPartition(self.msg.topic, self.msg.partition)
        consumer = self._consumer()
        if self._delivery.stopped(tp.topic) and consumer is not None:
            self._delivery.halt(tp, consumer)
            raise NackMessage
        try:
            if self._unreadable:
                raise BadEvent("a header is not UTF-8")
            result = await self._delivery.attempt(lambda: call_next(msg))
        except IgnoredException:
            raise
        except Exception as error:
            if consumer is None:  # the framework's in-memory test broker: let the test see it
                raise
            done = await self._delivery.failed(self.msg, self._headers, error, consumer)
            raise AckMessage if done else NackMessage from None
        self._delivery.succeeded(tp)
        return result

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,  # noqa: ARG002 - the framework's signature
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,  # noqa: ARG002
    ) -> bool:
        """Errors from outside the handler's scope (no handler, no parser): they would be tried again without end."""
        consumer = self._consumer()
        if not isinstance(exc_val, Exception) or isinstance(exc_val, IgnoredException) or consumer is None:
            return False
        if await self._delivery.failed(self.msg, self._headers, exc_val, consumer):
            return True
        raise NackMessage from None

    def _consumer(self) -> AIOKafkaConsumer | None:
        found: AIOKafkaConsumer | None = getattr(self.context.get_local("handler_"), "consumer", None)
        return found


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
