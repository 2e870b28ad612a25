"""The provisioner's own reading and writing on the bus: whole topics from their beginning, and its events."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from chassis import events
from provisioner import credentials, directory
from provisioner.credentials import sealed_to
from provisioner.directory import Directory

_SECONDS = 20.0


class Reader:
    """Reads directory.state.v1 and the provisioner's own events from the beginning, without a group.

    `sealed` says for each attachment to which key (a thumbprint) its last credential was sealed.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.directory = Directory()
        self.sealed: dict[str, str | None] = {}
        self._consumer = Consumer({
            **options, "group.id": "provisioner", "enable.auto.commit": False, "enable.auto.offset.store": False,
            "auto.offset.reset": "error", "isolation.level": "read_committed", "enable.partition.eof": True,
            "log_level": 2,
        })  # fmt: skip
        self._behind: set[tuple[str, int]] = set()

    def begin(self) -> None:
        """Stand at the beginning of both topics, which have to be there."""
        known = self._consumer.list_topics(timeout=_SECONDS).topics
        found = [
            TopicPartition(topic, partition, OFFSET_BEGINNING)
            for topic in (directory.TOPIC, credentials.TOPIC)
            for partition in known[topic].partitions
        ]
        self._behind = {(one.topic, one.partition) for one in found}
        self._consumer.assign(found)

    def read(self, seconds: float) -> bool:
        """Wait up to so long for one record and take in all that has come; True if something may have to change.

        While it is behind the end it had at the beginning, it goes on until it is there.
        """
        changed, wait = False, seconds
        while True:
            message = self._consumer.poll(_SECONDS if self._behind else wait)
            if message is None:
                if self._behind:
                    raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
                return changed
            changed |= self._take(message)
            wait = 0.0

    def _take(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                raise KafkaException(error)
            self._behind.discard((str(message.topic()), int(message.partition() or 0)))
            return False
        headers = _headers(message)
        kind = dict(headers).get("ce_type", b"").decode("utf-8", "replace")
        if message.topic() == directory.TOPIC:
            return self.directory.apply(message.key(), kind, message.value())
        self._own(message, kind, headers)
        return False

    def _own(self, message: Message, kind: str, headers: list[tuple[str, bytes]]) -> None:
        try:
            event = events.decode(message.key(), message.value(), headers)
            if kind == credentials.PROVISIONED:
                self.sealed[str(event.data["attachment"])] = sealed_to(str(event.data["sealed"]))
        except (events.BadEvent, KeyError):
            return  # not one of ours: nothing was sealed by it

    def close(self) -> None:
        """Let go of Kafka."""
        self._consumer.close()


def _headers(message: Message) -> list[tuple[str, bytes]]:
    """The record's headers; confluent-kafka's types also allow text and none."""
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return [(name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs]


def publish(options: Mapping[str, Any], found: events.Event) -> None:
    """Put the event on provisioner.events.v1, durably; KafkaException if that is not certain after 20 seconds."""
    failed: list[KafkaError] = []
    producer = Producer({
        **options, "acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random",
        "delivery.timeout.ms": int(_SECONDS * 1000), "log_level": 2,
    })  # fmt: skip

    def told(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer.produce(
        credentials.TOPIC, events.value(found), found.key.encode(), headers=[*events.headers(found)], on_delivery=told
    )
    if producer.flush(_SECONDS) or failed:
        raise KafkaException(failed[0] if failed else KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
