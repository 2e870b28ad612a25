"""Kafka clients with the settings that lose nothing: SCRAM, acks=all, idempotence, read_committed."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaRouter
from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware
from faststream.security import SASLScram512
from opentelemetry.sdk.trace import TracerProvider
from pydantic import BaseModel

from chassis import closed_connections
from chassis.settings import Settings

_log = logging.getLogger(__name__)
closed_connections.mend()


def client_options(settings: Settings) -> dict[str, Any]:
    """Where Kafka is and who we are, for any aiokafka client."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap.split(","),
        "security_protocol": "SASL_SSL" if settings.kafka_tls else "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
        "client_id": f"{settings.kafka_user}-{settings.replica}",
    }
    if settings.kafka_tls:
        options["ssl_context"] = ssl.create_default_context()
    return options


def make_producer(
    settings: Settings, *, linger_ms: int = 0, batch_bytes: int = 16_384, transactional_id: str | None = None
) -> AIOKafkaProducer:
    """A producer that is not started. Put a deadline on every send: idempotence never gives a batch up by itself."""
    more = {} if transactional_id is None else {"transactional_id": transactional_id, "transaction_timeout_ms": 10_000}
    return AIOKafkaProducer(
        **client_options(settings), acks="all", enable_idempotence=True, linger_ms=linger_ms, request_timeout_ms=5_000,
        metadata_max_age_ms=30_000, max_batch_size=batch_bytes, **more,
    )  # fmt: skip


async def stop(producer: AIOKafkaProducer) -> None:
    """Stop without waiting for a broker that is away: whatever is not acknowledged is still where it came from."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(3.0):
            await producer.stop()


def make_consumer(settings: Settings, *topics: str, group: str | None, **more: Any) -> AIOKafkaConsumer:
    """A consumer that is not started. With a group: a static member, manual commits, from the earliest on.

    Without one: assign partitions and seek yourself; nothing is skipped silently (`auto_offset_reset="none"`).
    """
    member = {} if group is None else {"group_instance_id": f"{group}-{settings.replica}"}
    return AIOKafkaConsumer(
        *topics, **client_options(settings), group_id=group, enable_auto_commit=False,
        auto_offset_reset="none" if group is None else "earliest", isolation_level="read_committed", **member, **more,
    )  # fmt: skip


def make_broker(settings: Settings, provider: TracerProvider, middlewares: Sequence[Any] = ()) -> KafkaBroker:
    """FastStream's broker for typed handlers. Routers come from `make_router`: a plain router would lose messages."""
    options = client_options(settings)
    return KafkaBroker(
        options["bootstrap_servers"],
        security=SASLScram512(
            username=options["sasl_plain_username"], password=options["sasl_plain_password"],
            ssl_context=options.get("ssl_context"), use_ssl=settings.kafka_tls,
        ),
        client_id=options["client_id"],
        acks="all", enable_idempotence=True, allow_auto_create_topics=False, ack_policy=AckPolicy.NACK_ON_ERROR,
        middlewares=[KafkaTelemetryMiddleware(tracer_provider=provider), *middlewares],
        graceful_timeout=4.0, logger=None,
    )  # fmt: skip


def make_router() -> KafkaRouter:
    """A router whose subscribers re-read on error; the policy of the broker does not reach a router (api-facts 7.1)."""
    return KafkaRouter(ack_policy=AckPolicy.NACK_ON_ERROR)


def subscription(settings: Settings, group: str) -> dict[str, Any]:
    """Keyword arguments for every `router.subscriber(topic, **subscription(...))`."""
    return {
        "group_id": group, "group_instance_id": f"{group}-{settings.replica}", "auto_offset_reset": "earliest",
        "isolation_level": "read_committed", "fetch_max_wait_ms": 200, "session_timeout_ms": 15_000,
    }  # fmt: skip


def declare(broker: KafkaBroker, published: Mapping[str, Mapping[str, type[BaseModel]]]) -> KafkaBroker:
    """Say for AsyncAPI what is published beside the broker, by relay or leader: topic, type, form of the data."""
    for topic, types in published.items():
        for kind, model in types.items():
            broker.publisher(topic, schema=model, title=f"{topic}:{kind}")
    return broker


async def partitions_of(settings: Settings, *topics: str) -> list[TopicPartition]:
    """Every partition of the topics, sorted. No service makes a topic.

    Waits for Kafka, for our user there and for the provisioner: a start does not fail because one of them comes later.
    """
    while True:
        try:
            found = await _described(settings, topics)
            if all(topic["error_code"] == 0 and topic["partitions"] for topic in found):
                break
            _log.warning("waiting for topics", extra={"topics": topics})
        except (KafkaError, OSError) as error:
            _log.warning("waiting for Kafka", extra={"error": type(error).__name__})
        await asyncio.sleep(0.5)
    return sorted(TopicPartition(topic["topic"], part["partition"]) for topic in found for part in topic["partitions"])


async def _described(settings: Settings, topics: Sequence[str]) -> list[dict[str, Any]]:
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        await admin.start()
        found: list[dict[str, Any]] = await admin.describe_topics(list(topics))
        return found
    finally:
        await admin.close()


async def take_many(
    consumer: AIOKafkaConsumer, *, timeout_ms: int, max_records: int | None = None
) -> "dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]":
    """The next records, as `getmany` gives them. KafkaError when the consumer has stopped fetching."""
    found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = await consumer.getmany(
        timeout_ms=timeout_ms, max_records=max_records
    )
    if not found:
        require_fetching(consumer)
    return found


def require_fetching(consumer: AIOKafkaConsumer) -> None:
    """KafkaError when the consumer's own fetching has ended: it would look idle for ever and say nothing."""
    fetcher = consumer._fetcher  # noqa: SLF001  nothing public tells
    if fetcher is not None and fetcher.error_future.done():
        raise KafkaError("the consumer has stopped fetching")


async def from_beginning(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
    """Assign the partitions and start at their first records.

    The offsets are asked for before, with retries, and set in the step that assigns. Left to aiokafka's own reset, a
    broker that is just becoming the leader stops the reader for good: the reset fails once and nothing wakes it again.
    """
    offsets = await consumer.beginning_offsets(partitions)
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, offsets[partition])
