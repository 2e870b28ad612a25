"""What the logbook listens to: consent events, from which participants come, and the guides of the districts."""

import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord
from faststream.kafka import KafkaBroker
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import Gauge
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis import tracing
from chassis.batches import Batches
from chassis.clock import Clock
from chassis.delivery import Delivery
from chassis.events import BadEvent, decode
from chassis.following import follow, move_clock
from chassis.health import Health
from chassis.kafka import declare, make_broker
from chassis.settings import Settings
from logbook import handlers, messages
from logbook.handlers import participation
from logbook.model import Guide, Guides

GUIDES = "guides"
_DISTRICT = "district:"
_SLICES: Mapping[str, type[messages.ConsentGranted | messages.ConsentWithdrawn]] = {
    messages.CONSENT_GRANTED: messages.ConsentGranted, messages.CONSENT_WITHDRAWN: messages.ConsentWithdrawn,
}  # fmt: skip
_log = logging.getLogger(__name__)
_closed = Gauge("samlogg_guides_closed", "Districts whose last state record could not be read")


def make_consent_reader(settings: Settings, delivery: Delivery, engine: AsyncEngine) -> Batches[participation.Told]:
    """Reads consent.events.v1 in batches: a new law table ends and begins grants by the ten thousand."""

    async def take(found: Sequence[participation.Told], _: AIOKafkaConsumer) -> None:
        with contextlib.ExitStack() as traced:  # a batch holds the ends of many traces
            for one in found:
                traced.enter_context(tracing.consumed(one.traceparent, "participation"))
            async with engine.begin() as conn:
                await participation.take(conn, found)

    return Batches(settings, [messages.CONSENT_EVENTS], handlers.SERVICE, delivery, to_told, take)


def to_told(record: "ConsumerRecord[bytes, bytes]") -> participation.Told | None:
    """What a record says of who takes part; None for types that are not for us. BadEvent, ValidationError."""
    event = decode(record.key, record.value, record.headers)
    slice_ = _SLICES.get(event.type)
    if slice_ is None:
        return None
    return participation.Told(event.id, event.time, slice_.model_validate(event.data), event.traceparent)


def describe(settings: Settings, provider: TracerProvider) -> KafkaBroker:
    """What the logbook publishes, for AsyncAPI: the relay does it. What it reads says messages.CONSUMED."""
    return declare(make_broker(settings, provider), messages.PUBLISHED)


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
