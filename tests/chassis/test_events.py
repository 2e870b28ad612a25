"""CloudEvents in binary mode, both ways, and what is not one."""

from datetime import UTC, datetime

import pytest

from chassis import events
from chassis.events import BadEvent

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT = events.Event(
    "e1",
    "entry.added.v1",
    "/samlogg/logbook",
    "s1",
    NOW,
    {"subject": "s1"},
    7,
    "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
)


def test_an_event_comes_back_as_it_was_sent() -> None:
    assert events.decode(b"s1", events.value(EVENT), events.headers(EVENT)) == EVENT


def test_attribute_names_are_those_of_the_kafka_binding() -> None:
    names = {name for name, _ in events.headers(EVENT)}
    assert {
        "ce_id",
        "ce_type",
        "ce_source",
        "ce_specversion",
        "ce_time",
        "ce_dataclassification",
        "content-type",
    } <= names
    assert all(name == name.lower() and name.replace("ce_", "").replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("gone", ["ce_id", "ce_type", "ce_source", "ce_time", "ce_dataclassification"])
def test_an_event_without_a_required_attribute_is_bad(gone: str) -> None:
    kept = [(name, value) for name, value in events.headers(EVENT) if name != gone]
    with pytest.raises(BadEvent):
        events.decode(b"s1", events.value(EVENT), kept)


def test_an_unknown_data_classification_is_rejected() -> None:
    kept = [(n, b"top-secret" if n == "ce_dataclassification" else v) for n, v in events.headers(EVENT)]
    with pytest.raises(BadEvent):
        events.decode(b"s1", events.value(EVENT), kept)


@pytest.mark.parametrize("body", [None, b"", b"[]", b"{", b"\xff"])
def test_a_value_that_is_no_object_is_bad_and_is_not_quoted(body: bytes | None) -> None:
    with pytest.raises(BadEvent) as error:
        events.decode(b"s1", body, events.headers(EVENT))
    assert body is None or body == b"" or body.decode("latin1") not in str(error.value)
