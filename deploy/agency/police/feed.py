"""Our feed on Kafka: reads pointers, stores them, and only then tells Kafka how far we have come."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from police.settings import UnsafeSettingsError, loopback
from police.store import Odd, Pointer, Store

KINDS = frozenset({"changed", "grant-began", "grant-ended"})


@dataclass(frozen=True, slots=True)
class Credential:
    """Our Kafka user; `password` is in memory only."""

    user: str
    password: str
    bootstrap: tuple[str, ...]
    feed: str
    tls: bool


def consumer(credential: Credential) -> AIOKafkaConsumer:
    """A consumer of our feed: our own group, from the beginning, committed by us and nobody else."""
    hosts = [server.rsplit(":", 1)[0].strip("[]") for server in credential.bootstrap]
    if not credential.tls and not all(loopback(host) for host in hosts):
        raise UnsafeSettingsError("Kafka beyond this machine needs POLICE_KAFKA_TLS=1.")
    return AIOKafkaConsumer(
        credential.feed,
        bootstrap_servers=list(credential.bootstrap),
        security_protocol="SASL_SSL" if credential.tls else "SASL_PLAINTEXT",
        ssl_context=ssl.create_default_context() if credential.tls else None,
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=credential.user,
        sasl_plain_password=credential.password,
        group_id=f"{credential.user}.{credential.feed}",
        group_instance_id=f"{credential.feed}-1",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )


def read(record: ConsumerRecord[bytes, bytes]) -> Pointer | Odd | None:
    """The pointer in a record (CloudEvents, binary mode); None for an event of a type we do not know."""
    odd = Odd(record.partition, record.offset)
    headers = {name: value.decode(errors="replace") for name, value in record.headers if value is not None}
    if "ce_id" not in headers or record.value is None:
        return odd
    if headers.get("ce_type") != "samlogg.pointer.v1":
        return None
    try:
        data: Any = json.loads(record.value)
    except ValueError:
        return odd
    if not isinstance(data, dict) or data.get("what") not in KINDS or not isinstance(data.get("handle"), str):
        return odd
    return Pointer(headers["ce_id"], data["handle"], data["what"])


async def listen(reader: AIOKafkaConsumer, store: Store, arrived: Any) -> None:
    """Read for ever. A kill between the two commits brings the same events again, which changes nothing."""
    while True:
        batches = await reader.getmany(timeout_ms=1000, max_records=200)
        messages = [message for batch in batches.values() for record in batch if (message := read(record))]
        if batches:
            store.receive(messages, _now())
            await reader.commit({place: batch[-1].offset + 1 for place, batch in batches.items()})
            arrived.set()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
