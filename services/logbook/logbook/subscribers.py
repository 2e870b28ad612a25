"""What the logbook listens to: consent events, from which participants come, and the guides of the districts."""

import logging
from typing import Any

from aiokafka.structs import ConsumerRecord
from faststream.kafka import KafkaBroker, KafkaMessage, KafkaRouter
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import Gauge
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.clock import Clock, from_rfc3339
from chassis.consuming import of_type
from chassis.delivery import Delivery
from chassis.events import BadEvent, decode
from chassis.following import follow, move_clock
from chassis.health import Health
from chassis.kafka import declare, make_broker, make_router, subscription
from chassis.settings import Settings
from logbook import handlers, messages
from logbook.model import Guide, Guides

GUIDES = "guides"
_DISTRICT = "district:"
_log = logging.getLogger(__name__)
_closed = Gauge("samlogg_guides_closed", "Districts whose last state record could not be read")


def consent_router(settings: Settings, engine: AsyncEngine) -> KafkaRouter:
    """The typed handlers of consent.events.v1. A router serves one broker: make a new one for each."""
    router = make_router()
    consent = router.subscriber(
        messages.CONSENT_EVENTS, title=messages.CONSENT_EVENTS, **subscription(settings, handlers.SERVICE)
    )

    async def granted(body: messages.ConsentGranted, msg: KafkaMessage) -> None:
        """Somebody takes part from now on."""
        async with engine.begin() as conn:
            await handlers.take_grant(conn, _header(msg, "ce_id"), body)

    async def withdrawn(body: messages.ConsentWithdrawn, msg: KafkaMessage) -> None:
        """A grant has ended."""
        at = from_rfc3339(_header(msg, "ce_time"))
        async with engine.begin() as conn:
            await handlers.take_withdrawal(conn, _header(msg, "ce_id"), body, at)

    async def other(msg: KafkaMessage) -> None:
        """Types that are not for us; without a handler they would be received for ever."""

    consent(filter=of_type(messages.CONSENT_GRANTED))(granted)
    consent(filter=of_type(messages.CONSENT_WITHDRAWN))(withdrawn)
    consent(other)
    return router


def make_logbook_broker(
    settings: Settings, provider: TracerProvider, delivery: Delivery, engine: AsyncEngine
) -> KafkaBroker:
    """The broker with every handler of the logbook. What it is said to publish is for AsyncAPI: the relay does it."""
    broker = make_broker(settings, provider, [delivery])
    broker.include_router(consent_router(settings, engine))
    return declare(broker, messages.PUBLISHED)


def _header(msg: KafkaMessage, name: str) -> str:
    found = msg.headers.get(name)
    if not found:
        raise BadEvent(f"{name} is missing")
    return str(found)


async def follow_directory(settings: Settings, guides: Guides, clock: Clock, health: Health) -> None:
    """For ever: keep each district's guide, and the business clock, as the directory's state says."""

    def take(record: "ConsumerRecord[bytes, bytes]") -> None:
        move_clock(clock, record)
        take_directory_record(guides, record.key, record.value, record.headers)
        _closed.set(guides.closed())

    await follow(settings, messages.DIRECTORY_STATE, GUIDES, health, take)


def take_directory_record(guides: Guides, key: bytes | None, value: bytes | None, headers: Any) -> None:
    """One record of the state topic. Of a district: what cannot be read closes it. Of others: none of our business."""
    name = (key or b"").decode("utf-8", "replace")
    if not name.startswith(_DISTRICT):
        return
    district = name.removeprefix(_DISTRICT)
    try:
        event = decode(key, value, headers)
        if event.type != messages.DIRECTORY_CHANGED:
            raise BadEvent("unknown type")
        found = messages.DistrictState.model_validate(event.data)
        if found.id != district:
            raise BadEvent("another district")
    except (BadEvent, ValidationError):
        guides.close(district)
        _log.error("a district's state cannot be read", extra={"district": district})
        return
    guides.learn(
        Guide(
            found.id,
            found.version,
            tuple(found.levels),
            found.settings.log_from_level,
            tuple(found.settings.plan_types),
        )  # fmt: skip
    )
