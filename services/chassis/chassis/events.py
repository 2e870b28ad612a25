"""CloudEvents 1.0 in binary mode on Kafka: headers `ce_*`, a JSON value, the pseudonymous id as key."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

from chassis.clock import from_rfc3339, rfc3339

RESTRICTED = "restricted"
KNOWN_CLASSIFICATIONS = frozenset({"public", "internal", "confidential", RESTRICTED})


class BadEvent(ValueError):
    """A record that is not an event of ours. Its text names what is missing, never what was there."""


@dataclass(frozen=True, slots=True)
class Event:
    """One fact. `key` is a pseudonymous id; `data` holds ids and codes, never names, national ids or free text."""

    id: str
    type: str
    source: str
    key: str
    time: datetime
    data: Mapping[str, Any]
    version: int | None = None
    traceparent: str | None = None


def new_event(
    service: str, kind: str, key: str, data: Mapping[str, Any], now: datetime, *, version: int | None = None
) -> Event:
    """An event of `service` with a fresh id."""
    return Event(str(uuid4()), kind, f"/samlogg/{service}", key, now, data, version)


def headers(event: Event) -> list[tuple[str, bytes]]:
    """Kafka headers of the event; `traceparent` only when the event carries one."""
    named = {
        "ce_specversion": "1.0", "ce_id": event.id, "ce_type": event.type, "ce_source": event.source,
        "ce_subject": event.key, "ce_time": rfc3339(event.time), "ce_dataclassification": RESTRICTED,
        "content-type": "application/json",
    }  # fmt: skip
    if event.version is not None:
        named["ce_aggregateversion"] = str(event.version)
    if event.traceparent:
        named["traceparent"] = event.traceparent
    return [(name, value.encode()) for name, value in named.items()]


def value(event: Event) -> bytes:
    """The event's data as compact JSON."""
    return msgspec.json.encode(event.data)


def text_headers(raw: Iterable[tuple[str, bytes]] | Mapping[str, Any]) -> dict[str, str]:
    """Headers as text, names in lower case; BadEvent when one is not UTF-8."""
    pairs: Sequence[tuple[str, Any]] = list(raw.items()) if isinstance(raw, Mapping) else list(raw)
    try:
        return {k.lower(): v.decode() if isinstance(v, bytes) else str(v) for k, v in pairs}
    except UnicodeDecodeError as error:
        raise BadEvent("a header is not UTF-8") from error


def decode(key: bytes | None, body: bytes | None, raw_headers: Iterable[tuple[str, bytes]]) -> Event:
    """The event in a Kafka record. BadEvent when a required attribute is missing or its classification is unknown."""
    found = text_headers(raw_headers)
    for name in ("ce_id", "ce_type", "ce_source", "ce_time"):
        if not found.get(name):
            raise BadEvent(f"{name} is missing")
    if found.get("ce_dataclassification") not in KNOWN_CLASSIFICATIONS:
        raise BadEvent("unknown data classification")
    if not body:
        raise BadEvent("no value")
    try:
        data = msgspec.json.decode(body)
        moment = from_rfc3339(found["ce_time"])
        version = int(found["ce_aggregateversion"]) if "ce_aggregateversion" in found else None
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadEvent("not readable") from error
    if not isinstance(data, dict):
        raise BadEvent("not an object")
    key_text = key.decode("utf-8", "replace") if key else ""
    return Event(
        found["ce_id"], found["ce_type"], found["ce_source"], key_text, moment, data, version, found.get("traceparent")
    )


def stored_headers(stored: str | Mapping[str, str]) -> dict[str, str]:
    """Headers as an outbox row keeps them: JSON text or already parsed."""
    found: dict[str, str] = json.loads(stored) if isinstance(stored, str) else dict(stored)
    return found
