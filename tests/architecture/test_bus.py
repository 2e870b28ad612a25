"""Every subscriber of every service: nothing is lost by it, and no message that it does not know holds it up."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaRouter, TestKafkaBroker
from faststream.kafka.subscriber.usecase import DefaultSubscriber
from pydantic import SecretStr

from chassis.batches import Batches
from chassis.contract import built
from chassis.delivery import Delivery
from chassis.events import headers, new_event, value
from chassis.kafka import make_router
from gateway import subscribers as gateway
from logbook import subscribers as logbook

SERVICES = ("consent", "directory", "notify")
"""Those with typed handlers."""
GROUPS = {"consent": "consent-made"}
"""Where the group is not the service's name. In consent that is the group of the ledger's consumer, a plain client that
reads in batches and is proven in tests/consent."""
IN_BATCHES: dict[str, tuple[Callable[[], Batches[Any]], Callable[[Any], Any]]] = {
    "gateway": (lambda: gateway.make_reader(PLACEHOLDER, Delivery("g"), NOTHING), gateway.to_told),
    "logbook": (lambda: logbook.make_consent_reader(PLACEHOLDER, Delivery("l"), NOTHING), logbook.to_told),
}
PLACEHOLDER: Any = SimpleNamespace(
    kafka_bootstrap="127.0.0.1:1", kafka_tls=False, kafka_user="-", kafka_password=SecretStr("-"), replica="1"
)
NOTHING: Any = None
WANTED = {"auto_offset_reset": "earliest", "isolation_level": "read_committed"}


def subscribers(broker: KafkaBroker) -> list[Any]:
    """With the attributes of Kafka's, which the framework's common type does not tell."""
    return list(broker.subscribers)


def faults(broker: KafkaBroker, group: str) -> list[str]:
    """What would lose or hold up messages."""
    found = []
    for one in subscribers(broker):
        name, known = ", ".join(one.topic_names), getattr(one, "_connection_args", {})
        if one.ack_policy is not AckPolicy.NACK_ON_ERROR or known.get("enable_auto_commit"):
            found.append(f"{name}: {one.ack_policy.name} commits what was not handled")
        if one.group_id != group:
            found.append(f"{name}: group {one.group_id}")
        found += [f"{name}: {key} is {known.get(key)}" for key, want in WANTED.items() if known.get(key) != want]
    return found


def message(kind: str) -> dict[str, Any]:
    """Headers of an event of this type."""
    return {"ce_id": "1", "ce_type": kind, "ce_source": "/samlogg/later", "ce_specversion": "1.0", "ce_subject": "k"}


async def unheard(broker: KafkaBroker, kind: str = "came.later.v9") -> list[str]:
    """Topics whose subscriber has no handler for a type that came later, or one that does not simply let it pass."""
    found = []
    async with TestKafkaBroker(broker) as tested:
        for topic in sorted({topic for one in subscribers(broker) for topic in one.topic_names}):
            try:
                await tested.publish({"any": "thing"}, topic, key=b"k", headers=message(kind))
            except Exception as error:  # whatever it is: on a real bus the message would come again without end
                found.append(f"{topic}: {type(error).__name__}")
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_no_subscriber_loses_a_message(service: str) -> None:
    broker = built(service).state.broker
    assert broker.subscribers
    assert faults(broker, GROUPS.get(service, service)) == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_type_that_came_later_passes_every_subscriber(service: str) -> None:
    assert await unheard(built(service).state.broker) == []


@pytest.mark.parametrize("service", IN_BATCHES)
async def test_no_reader_in_batches_loses_a_message_or_is_held_up_by_a_type_that_came_later(service: str) -> None:
    make, read = IN_BATCHES[service]
    consumer: Any = make().consumer
    await consumer.stop()
    told = (
        consumer._group_id, consumer._enable_auto_commit, consumer._auto_offset_reset, consumer._isolation_level
    )  # fmt: skip
    assert told == (service, False, "earliest", "read_committed")
    event = new_event("later", "came.later.v9", "k", {"any": "thing"}, datetime.now(UTC))
    assert read(SimpleNamespace(key=b"k", value=value(event), headers=headers(event))) is None


def broken(router: KafkaRouter, **more: Any) -> KafkaBroker:
    """A broker whose one subscriber only knows one type."""
    take: DefaultSubscriber = router.subscriber("t", **more)

    @take(filter=lambda one: one.headers.get("ce_type") == "known.v1")
    async def known(body: dict[str, str]) -> None:
        del body

    broker = KafkaBroker("127.0.0.1:1", ack_policy=AckPolicy.NACK_ON_ERROR, logger=None)
    broker.include_router(router)
    return broker


def test_a_plain_router_a_missing_group_and_lossy_settings_are_found() -> None:
    assert faults(broken(KafkaRouter()), "g") == [
        "t: ACK_FIRST commits what was not handled", "t: group None",
        "t: auto_offset_reset is latest", "t: isolation_level is read_uncommitted",
    ]  # fmt: skip
    assert faults(broken(make_router(), group_id="other", **WANTED), "g") == ["t: group other"]
    assert faults(broken(make_router(), group_id="g", **WANTED), "g") == []


async def test_a_subscriber_without_a_last_handler_is_found() -> None:
    assert await unheard(broken(make_router(), group_id="g")) == ["t: SubscriberNotFound"]
    assert await unheard(broken(make_router(), group_id="g"), "known.v1") == []
