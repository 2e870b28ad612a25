"""What every part of ours publishes and reads, and how a consumer reads an example, as its own code does."""

import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydantic import TypeAdapter

ROOT = Path(__file__).parents[2]
SERVICES = ("consent", "directory", "gateway", "logbook", "notify")
FOLDERS = {name: ROOT / "services" / name / "contract" for name in SERVICES} | {
    "provisioner": ROOT / "deploy" / "provisioner" / "contract"
}
FEED, POINTER = "agency.{opaque}.feed.v1", "samlogg.pointer.v1"


class On(NamedTuple):
    """A type on a topic, with who publishes or reads it and in which form."""

    who: str
    topic: str
    kind: str
    form: Any


def published() -> list[On]:
    """By the five services and the provisioner."""
    return list(_declared("PUBLISHED"))


def consumed() -> list[On]:
    """By the five services and the provisioner, from their slices."""
    return list(_declared("CONSUMED"))


def _declared(name: str) -> Iterator[On]:
    for who in FOLDERS:
        found = getattr(importlib.import_module(f"{who}.messages"), name, {})
        yield from (On(who, topic, kind, form) for topic, types in found.items() for kind, form in types.items())


def examples(kind: str) -> list[dict[str, Any]]:
    """The committed examples of a type from the one contract that has it, the golden one first."""
    [folder] = [folder for folder in FOLDERS.values() if (folder / f"{kind}.example.json").is_file()]
    return [json.loads(path.read_text()) for path in [folder / f"{kind}.example.json", *_more(folder, kind)]]


def _more(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}.example-*.json"))


def read_as(form: Any, example: Mapping[str, Any]) -> Any:
    """The example as a consumer with this slice reads it from the wire; ValueError when it cannot."""
    wire = json.dumps(example).encode()
    if isinstance(form, type) and issubclass(form, msgspec.Struct):
        return msgspec.json.decode(wire, type=form)
    return TypeAdapter(form).validate_json(wire)


def meant_for(form: Any, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those examples that a slice reads: where it names the `kind` of entry that it is about, no others."""
    if isinstance(form, type) and issubclass(form, msgspec.Struct):
        return found
    schema = TypeAdapter(form).json_schema()
    kinds = set()
    for option in schema.get("anyOf", [schema]):
        whole = schema["$defs"][option["$ref"].rsplit("/", 1)[1]] if "$ref" in option else option
        kinds.add(whole.get("properties", {}).get("kind", {}).get("const"))
    return found if None in kinds else [one for one in found if one["kind"] in kinds]


def unread(sent: list[On], read: list[On], allowed: Mapping[str, str]) -> list[str]:
    """Types that somebody publishes and nobody reads, as `topic type`; and reasons to allow one that is read."""
    pairs = {(one.topic, one.kind) for one in read}
    left = {(one.topic, one.kind) for one in sent} - pairs
    wrong = [f"{topic} {kind} is read by nobody" for topic, kind in sorted(left) if kind not in allowed]
    return wrong + [
        f"{kind} is allowed to be unread for nothing" for kind in allowed if kind not in {k for _, k in left}
    ]


def unsent(sent: list[On], read: list[On]) -> list[str]:
    """Types that somebody reads on a topic and nobody publishes there."""
    pairs = {(one.topic, one.kind) for one in sent}
    return [f"{one.who} reads {one.topic} {one.kind}" for one in read if (one.topic, one.kind) not in pairs]


def without_right(topics: Mapping[str, Any], sent: list[On], read: list[On]) -> list[str]:
    """Who publishes or reads where topics.toml gives no right to. The provisioner holds the admin credential."""
    declared = topics["topic"]
    rights = [(one, "writers", "publishes to") for one in sent] + [(one, "readers", "reads") for one in read]
    wrong = []
    for one, right, does in rights:
        if one.topic == FEED:
            allowed = topics["agency"]["feed_writers"] if right == "writers" else ["agency"]
        else:
            allowed = [*declared.get(one.topic, {}).get(right, []), "provisioner"]
        if one.who not in allowed or (one.topic != FEED and one.topic not in declared):
            wrong.append(f"{one.who} {does} {one.topic}")
    return sorted(set(wrong))
