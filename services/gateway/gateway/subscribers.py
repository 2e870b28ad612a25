"""Topic and type to handler: events of logbook and consent, for the feeds."""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from datetime import datetime
from typing import Any

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaRouter
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from opentelemetry.sdk.trace import TracerProvider

from chassis.consuming import consume, event_of, of_type
from chassis.delivery import Delivery, Limits
from chassis.health import Health
from chassis.kafka import make_broker, make_router, subscription
from chassis.outbox import Relay
from chassis.settings import Settings
from gateway import messages as events
from gateway.handlers.feeds import Feeds
from gateway.messages import (
    ConsentDenied,
    ConsentEndingSoon,
    ConsentGranted,
    ConsentRequested,
    ConsentWithdrawn,
    ExceptionMade,
    LogChanged,
    QuestionAnswered,
    QuestionAsked,
    Registered,
    SightChanged,
)

GROUP = "gateway"
_LONGEST_WAIT = 1.0
"""Seconds. What waits here waits for a lease: when it is back the feeds go on within two seconds, as reads do."""


def feed_work(
    settings: Settings, provider: TracerProvider, health: Health, feeds: Feeds, now: Callable[[], datetime]
) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name and work of every background task of the feeds: the relay, the consumer and the house."""
    delivery = Delivery(GROUP, Limits(longest_wait=_LONGEST_WAIT), now=now)

    def broker() -> KafkaBroker:
        made = make_broker(settings, provider, [delivery])
        made.include_router(make_subscribers(settings, feeds))
        return made

    yield "outbox", Relay(settings, health).run()
    yield "feeds", consume(settings, delivery, broker, health)
    yield "feeds house", feeds.keep_house()


def make_subscribers(settings: Settings, feeds: Feeds) -> KafkaRouter:  # noqa: C901  one handler for each type
    """A fresh router with one subscriber on both topics.

    Both are keyed by subject with equally many partitions, and ranges give one consumer the same partitions of both:
    it alone writes the pointers about a subject, in one order.
    """
    router = make_router()
    take: DefaultSubscriber = router.subscriber(
        events.LOGBOOK, events.CONSENT, title="feeds", partition_assignment_strategy=[RangePartitionAssignor],
        **subscription(settings, GROUP),
    )  # fmt: skip

    @take(filter=of_type(*events.CHANGES))
    async def log_changed(body: LogChanged, message: KafkaMessage) -> None:
        await feeds.log_changed(event_of(message), body, _topics(message))

    @take(filter=of_type(events.GRANTED))
    async def consent_granted(body: ConsentGranted, message: KafkaMessage) -> None:
        await feeds.consent_granted(event_of(message), body, _topics(message))

    @take(filter=of_type(events.WITHDRAWN))
    async def consent_withdrawn(body: ConsentWithdrawn, message: KafkaMessage) -> None:
        await feeds.consent_withdrawn(event_of(message), body, _topics(message))

    @take(filter=of_type(events.ENDING_SOON))
    async def consent_ending_soon(body: ConsentEndingSoon, message: KafkaMessage) -> None:
        await feeds.consent_ending_soon(event_of(message), body, _topics(message))

    @take(filter=of_type(events.SIGHT_CHANGED))
    async def sight_changed(body: SightChanged, message: KafkaMessage) -> None:
        await feeds.sight_changed(event_of(message), body, _topics(message))

    @take(filter=of_type(events.REQUESTED))
    async def consent_requested(body: ConsentRequested, message: KafkaMessage) -> None:
        await feeds.consent_requested(event_of(message), body, _topics(message))

    @take(filter=of_type(events.DENIED))
    async def consent_denied(body: ConsentDenied, message: KafkaMessage) -> None:
        await feeds.consent_denied(event_of(message), body, _topics(message))

    @take(filter=of_type(events.REGISTERED))
    async def registered(body: Registered, message: KafkaMessage) -> None:
        await feeds.registered(event_of(message), body, _topics(message))

    @take(filter=of_type(events.EXCEPTION_MADE))
    async def exception_made(body: ExceptionMade, message: KafkaMessage) -> None:
        await feeds.exception_made(event_of(message), body, _topics(message))

    @take(filter=of_type(events.QUESTION_ASKED))
    async def question_asked(body: QuestionAsked, message: KafkaMessage) -> None:
        await feeds.question_asked(event_of(message), body, _topics(message))

    @take(filter=of_type(events.QUESTION_ANSWERED))
    async def question_answered(body: QuestionAnswered, message: KafkaMessage) -> None:
        await feeds.question_answered(event_of(message), body, _topics(message))

    @take
    async def unknown(message: KafkaMessage) -> None:
        """A type that is not for the feeds, or came later than this code."""

    return router


def _topics(message: KafkaMessage) -> Callable[[], Awaitable[Collection[str]]]:
    consumer: Any = message.consumer

    async def topics() -> Collection[str]:
        found: Collection[str] = await consumer.topics()
        return found

    return topics
