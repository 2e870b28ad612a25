"""Where producers and consumers meet: every slice against every example, and no event without a reader or a writer."""

import json
import tomllib
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from police.feed import read
from police.store import Pointer
from tests.contracts.messages import (
    FEED,
    FOLDERS,
    POINTER,
    ROOT,
    On,
    consumed,
    examples,
    meant_for,
    published,
    read_as,
    unread,
    unsent,
    without_right,
)  # fmt: skip

FOR_INTEGRATORS = {
    "notice.sent.v1": "how many notices went out, for an operator's own statistics; nothing of ours decides by it",
    "notice.failed.v1": "whom no e-mail reaches, for an operator's own follow-up; nothing of ours decides by it",
}
TOPICS = tomllib.loads((ROOT / "deploy" / "topics.toml").read_text())


def everybody_reads() -> list[On]:
    """Our slices, and an agency's reading of its feed."""
    return [*consumed(), On("agency", FEED, POINTER, Pointer)]


def ids(found: list[On]) -> list[str]:
    return [f"{one.who} {one.topic} {one.kind}" for one in found]


@pytest.mark.parametrize("one", consumed(), ids=ids(consumed()))
def test_a_consumer_reads_what_the_producer_shows(one: On) -> None:
    meant = meant_for(one.form, examples(one.kind))
    assert meant, "no example of what this consumer reads"
    for example in meant:
        read_as(one.form, example)


@pytest.mark.parametrize("one", consumed(), ids=ids(consumed()))
def test_a_consumer_ignores_fields_that_came_later(one: On) -> None:
    for example in meant_for(one.form, examples(one.kind)):
        later = example | {"came-later": {"any": ["thing"]}}
        assert read_as(one.form, later) == read_as(one.form, example)


@pytest.mark.parametrize("one", consumed(), ids=ids(consumed()))
def test_a_consumer_notices_when_what_it_relies_on_is_gone(one: On) -> None:
    """A slice that reads anything at all would make the test above worthless."""
    with pytest.raises(ValueError):
        read_as(one.form, {})


def test_an_agency_reads_what_is_put_on_its_feed() -> None:
    for example in examples(POINTER):
        headers = [("ce_id", b"1"), ("ce_type", POINTER.encode())]
        record: Any = SimpleNamespace(partition=0, offset=0, headers=headers, value=json.dumps(example).encode())
        assert read(record) == Pointer("1", example["handle"], example["what"])


@pytest.mark.parametrize("one", published(), ids=ids(published()))
def test_an_example_fits_its_schema_and_its_form(one: On) -> None:
    schema = json.loads((FOLDERS[one.who] / f"{one.kind}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    for example in examples(one.kind):
        Draft202012Validator(schema).validate(example)
        assert json.loads(one.form.model_validate(example).model_dump_json(by_alias=True)) == example


def test_every_published_type_is_read_and_every_read_type_is_published() -> None:
    assert unread(published(), everybody_reads(), FOR_INTEGRATORS) == []
    assert unsent(published(), everybody_reads()) == []


def test_whoever_publishes_or_reads_has_the_right_to() -> None:
    assert without_right(TOPICS, published(), everybody_reads()) == []


def test_a_type_without_reader_or_writer_and_a_missing_right_are_found() -> None:
    sent, seen = [On("a", "t", "one.v1", None), On("a", "t", "two.v1", None)], [On("b", "t", "two.v1", None)]
    assert unread(sent, seen, {}) == ["t one.v1 is read by nobody"]
    assert unread(sent, seen, {"one.v1": "why"}) == []
    assert unread(sent, sent, {"one.v1": "why"}) == ["one.v1 is allowed to be unread for nothing"]
    assert unsent(sent, [*seen, On("b", "u", "two.v1", None)]) == ["b reads u two.v1"]
    topics = {"agency": {"feed_writers": ["g"]}, "topic": {"t": {"writers": ["a"], "readers": []}}}
    assert without_right(topics, sent, seen) == ["b reads t"]
    elsewhere = [On("a", "u", "x.v1", None), On("a", FEED, POINTER, None), On("g", FEED, POINTER, None)]
    assert without_right(topics, elsewhere, []) == [f"a publishes to {FEED}", "a publishes to u"]
