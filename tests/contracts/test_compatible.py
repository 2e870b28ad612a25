"""Which changes of a schema are told to be breaking."""

from copy import deepcopy
from typing import Any

import pytest

from tests.contracts.compatible import breaking

OLD: dict[str, Any] = {
    "type": "object", "additionalProperties": False, "title": "Old", "required": ["id", "who"],
    "properties": {
        "id": {"type": "string", "maxLength": 64}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "kind": {"enum": ["a", "b"]}, "who": {"$ref": "#/$defs/Who"},
    },
    "$defs": {"Who": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}},
}  # fmt: skip


def test_the_same_schema_breaks_nothing() -> None:
    assert breaking(OLD, deepcopy(OLD)) == []


def test_an_added_optional_field_and_other_words_break_nothing() -> None:
    new = deepcopy(OLD)
    new["title"] = "New"
    new["properties"]["more"] = {"type": "integer"}
    new["properties"]["id"]["description"] = "An id"
    new["$defs"]["Who"]["properties"]["role"] = {"$ref": "#/$defs/Role"}
    new["$defs"]["Role"] = {"enum": ["x"]}
    assert breaking(OLD, new) == []


KINDS: dict[str, Any] = {
    "discriminator": {"propertyName": "kind", "mapping": {"a": "#/$defs/A"}}, "oneOf": [{"$ref": "#/$defs/A"}],
    "$defs": {"A": {"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"]}},
}  # fmt: skip


def test_an_added_kind_breaks_nothing_where_a_field_tells_kinds_apart() -> None:
    new = deepcopy(KINDS)
    new["discriminator"]["mapping"]["b"] = "#/$defs/B"
    new["oneOf"].append({"$ref": "#/$defs/B"})
    new["$defs"]["B"] = {"type": "object"}
    assert breaking(KINDS, new) == []
    assert breaking(new, KINDS) == [
        "/$defs/B was taken away", "/discriminator/mapping/b was taken away", "/oneOf has lost a kind"
    ]  # fmt: skip
    for one in (new, KINDS):
        without = {name: value for name, value in one.items() if name != "discriminator"}
        assert breaking(KINDS, without), "without that field another alternative breaks its readers"
    other = deepcopy(KINDS)
    other["discriminator"]["propertyName"] = "type"
    assert breaking(KINDS, other) == ["/discriminator/propertyName changed"]


def _without(new: dict[str, Any]) -> None:
    del new["properties"]["note"]


def _needed(new: dict[str, Any]) -> None:
    new["properties"]["more"] = {"type": "integer"}
    new["required"] = ["id", "who", "more"]


def _uncertain(new: dict[str, Any]) -> None:
    new["required"] = ["who"]


def _type(new: dict[str, Any]) -> None:
    new["properties"]["id"]["type"] = "integer"


def _longer(new: dict[str, Any]) -> None:
    new["properties"]["id"]["maxLength"] = 65


def _unbounded(new: dict[str, Any]) -> None:
    del new["properties"]["id"]["maxLength"]


def _bounded(new: dict[str, Any]) -> None:
    new["properties"]["kind"]["maxLength"] = 3


def _wider(new: dict[str, Any]) -> None:
    new["properties"]["kind"]["enum"] = ["a", "b", "c"]


def _null(new: dict[str, Any]) -> None:
    new["properties"]["note"] = {"type": "string"}


def _deeper(new: dict[str, Any]) -> None:
    new["$defs"]["Who"]["properties"]["id"] = {"type": "integer"}


def _flag(new: dict[str, Any]) -> None:
    new["additionalProperties"] = 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without, ["/note was taken away"]),
        (_needed, ["/more became needed"]),
        (_uncertain, ["/id is no longer certain to be there"]),
        (_type, ["/id/type changed"]),
        (_longer, ["/id/maxLength changed"]),
        (_unbounded, ["/id/maxLength was taken away"]),
        (_bounded, ["/kind/maxLength was added"]),
        (_wider, ["/kind/enum changed"]),
        (_null, ["/note/anyOf was taken away", "/note/type was added"]),
        (_deeper, ["/$defs/Who/id/type changed"]),
        (_flag, ["/additionalProperties changed"]),
    ],
)
def test_every_other_change_is_told(change: Any, told: list[str]) -> None:
    new = deepcopy(OLD)
    change(new)
    assert breaking(OLD, new) == told
