"""What leaves and what comes in: cut to the permit, and with each audience's own handles instead of inner ids."""

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chassis.permit import Kept, Permit

DEEPEST = 32
"""Levels of nesting in a body; deeper ones are refused."""

_ONE = frozenset({"subject", "person"})
_MANY = frozenset({"persons", "asked"})
_TOLD = frozenset({"responsible", "recipient"})
_NESTED = (dict, list)
_OF_ALL = frozenset({"services"})
"""Numbers beside a list that are made of all of it, and that nobody here can make anew."""
_PLACES = frozenset({"place", "address", "location", "guide"})
"""Fields that say where something is, of whatever owner; a guide is a district's."""
_UNITS = frozenset({"service", "to_service"})
_STAFF = frozenset({"staff", "machine"})
_ABOVE = ("goal", "measure")
"""What an item stands under."""
_SERVICE, _PERSON = "service:", "person:"
_UUID = re.compile(r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_IN_PATH = re.compile(r"/(subjects|persons)/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?=/|\Z)")

Translate = Callable[[str], str]


class TooDeep(ValueError):
    """A body nested deeper than DEEPEST."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """A permit, prepared for cutting: from when on each category may be seen (None: from the beginning).

    `fixed`: the category that the route is about, where its table says so; its items then tell what others may see or
    saw. `reader`: a person, who is shown the own acts among them whole; `everything`: the reader is the subject.
    `places`: None where they may be told; else the reader's own services, which alone are named.
    kept: what is kept from the reader, for items of a route that is not about one category.
    """

    since: Mapping[str, str | None]
    fixed: str | None = None
    reader: str | None = None
    everything: bool = False
    places: frozenset[str] | None = None
    kept: Kept | None = None

    def shows(self, item: Mapping[str, Any]) -> bool:
        """Is the item in a permitted category, and late enough? An item of two categories needs both."""
        at = item.get("at")
        if self.fixed is not None and "category" not in item:
            return self._shows(self.fixed, at)
        names: list[Any] = []
        if item.get("category") is not None:
            names.append(item["category"])
        if item.get("categories") is not None:
            several = item["categories"]
            names += several if isinstance(several, list) else [several]
        if self.kept is not None and self.fixed is None and _is_kept(self.kept, item, names):
            return False
        return bool(names) and all(isinstance(name, str) and self._shows(name, at) for name in names)

    def spoken_of(self, item: Mapping[str, Any], categories: list[Any]) -> list[Any]:
        """Of the categories that an item of a fixed route speaks of, those that the reader may know."""
        actor = item.get("actor")
        own = self.reader is not None and isinstance(actor, dict) and actor.get("id") == self.reader
        if self.everything or own:
            return categories
        return [name for name in categories if isinstance(name, str) and name in self.since]

    def _shows(self, category: str, at: object) -> bool:
        if category not in self.since:
            return False
        back = self.since[category]
        return back is None or (isinstance(at, str) and at[:19] >= back)


def allowed(
    permit: Permit, fixed: str | None = None, reader: str | None = None, own: Collection[str] = ()
) -> Allowed:  # fmt: skip
    """The permit's cells by category; of two grants the longer look back counts. `fixed`, `reader`: as in Allowed.

    own: the reader's services.
    """
    since: dict[str, str | None] = {}
    for cell in permit.cells:
        back = None if cell.back is None else datetime.fromtimestamp(cell.back, UTC).isoformat()[:19]
        known = since.get(cell.category, back)
        since[cell.category] = None if back is None or known is None else min(back, known)
    places = frozenset(own) if permit.masked else None
    return Allowed(since, fixed, reader, reader == permit.subject, places, permit.kept)


def _is_kept(kept: Kept, item: Mapping[str, Any], names: list[Any]) -> bool:
    """Is the item kept, or what it stands under? Its owner cuts the same in its query; this is the second lock."""
    by = item.get("by")
    writer = by.get("id") if isinstance(by, dict) else None
    if any(kept.hides(name, item.get("id"), writer) for name in names):
        return True
    return writer != kept.own and any(item.get(above) in kept.items for above in _ABOVE)


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left (None: nothing may be shown), and how much was taken out: a good owner leaves nothing to take."""

    body: dict[str, Any] | None
    dropped: int


def cut(body: dict[str, Any], permitted: Allowed) -> Cut:
    """Drop what the permit does not cover, at any depth; counts and cursors are those of what is left.

    Every item of the list itself needs a known category. Once something was dropped there is no `next`: it would have
    been made over what was there.
    """
    if ("category" in body or "categories" in body) and not permitted.shows(body):
        return Cut(None, 1)
    counter = _Counter(permitted)
    left = counter.object(body, 0, strict=True)
    if counter.dropped and "items" in left:
        left["next"] = None
        for name in ("count", "total"):
            if name in left:
                left[name] = len(left["items"])
        for name in _OF_ALL & left.keys():
            del left[name]
    taken = 0 if permitted.places is None else _without_places(left, permitted.places)
    return Cut(left, counter.dropped + taken)


def _without_places(value: Any, own: frozenset[str]) -> int:
    """Take out whatever says where the subject is to be found, at any depth; how much it was. Services are places too:
    but for the reader's own ones none is named, nor who acts for it."""
    if type(value) is list:
        return sum(_without_places(inner, own) for inner in value)
    if type(value) is not dict:
        return 0
    hidden = {name for name in _PLACES & value.keys() if value[name] is not None}
    units = {name for name in _UNITS & value.keys() if value[name] is not None and value[name] not in own}
    units |= {name for name, inner in value.items() if _names_another(inner, own)}
    if units:  # and whoever acts for it, or what it is called
        hidden |= units | {name for name in ("staff", "name", "text") if value.get(name) is not None}
        hidden |= {"id"} if value.get("kind") in _STAFF else set()
    hidden |= {"participants"} if value.get("participants") else set()
    for name in hidden:
        value[name] = None
    return len(hidden) + sum(_without_places(inner, own) for inner in value.values())


def _names_another(inner: Any, own: frozenset[str]) -> bool:
    return type(inner) is str and inner.startswith(_SERVICE) and inner[len(_SERVICE) :] not in own


@dataclass(slots=True)
class _Counter:
    permitted: Allowed
    dropped: int = 0

    def object(self, value: dict[str, Any], depth: int, *, strict: bool = False) -> dict[str, Any]:
        if depth > DEEPEST:
            raise TooDeep
        for name, inner in value.items():
            kind = type(inner)
            if kind is list:
                value[name] = self.list(inner, depth + 1, strict=strict and name == "items")
            elif kind is dict:
                value[name] = self.object(inner, depth + 1) if self._may(inner, strict=False) else None
        return value

    def list(self, values: list[Any], depth: int, *, strict: bool = False) -> list[Any]:
        if depth > DEEPEST:
            raise TooDeep
        left: list[Any] = []
        for inner in values:
            kind = type(inner)
            if kind is dict:
                if self._may(inner, strict=strict):
                    left.append(self.object(inner, depth + 1))
            else:
                left.append(self.list(inner, depth + 1) if kind is list else inner)
        return left

    def _may(self, item: dict[str, Any], *, strict: bool) -> bool:
        if not strict and "category" not in item and "categories" not in item:
            return True
        if self.permitted.shows(item) and self._trimmed(item):
            return True
        self.dropped += 1
        return False

    def _trimmed(self, item: dict[str, Any]) -> bool:
        """On a fixed route: leave only the categories that the reader may know of; False when none was left."""
        several = item.get("categories")
        if self.permitted.fixed is None or not isinstance(several, list) or not several:
            return True
        left = item["categories"] = self.permitted.spoken_of(item, several)
        if left and len(left) < len(several):
            self.dropped += 1
            for name in ("text", "made"):  # a sentence, and what a write made: of all of them
                item.pop(name, None)
        return bool(left)


def outward(value: Any, to_handle: Translate, depth: int = 0) -> Any:
    """The same body, in place, with handles for ids.

    Translated are `subject`, `person`, `persons`, `asked`, the `id` beside `"kind": "person"`, "person:<id>" and paths.
    """
    if depth > DEEPEST:
        raise TooDeep
    if type(value) is list:
        for i, inner in enumerate(value):
            value[i] = _said(inner, to_handle) if type(inner) is str else _deeper(inner, to_handle, depth)
        return value
    person = value.get("kind") == "person"
    for name, inner in value.items():
        if type(inner) is str:
            named = name in _ONE or (person and name == "id")
            value[name] = _known(inner, to_handle) if named else _said(inner, to_handle)
        elif type(inner) is list and name in _MANY:
            value[name] = [
                _known(one, to_handle) if type(one) is str else _deeper(one, to_handle, depth + 1) for one in inner
            ]
        else:
            _deeper(inner, to_handle, depth)
    return value


def path_outward(path: str, to_handle: Translate) -> str:
    """A path of ours with the handle in the place of the inner id."""
    return _IN_PATH.sub(lambda found: f"/{found.group(1)}/{to_handle(found.group(2))}", path)


def _deeper(inner: Any, to_handle: Translate, depth: int) -> Any:
    return outward(inner, to_handle, depth + 1) if type(inner) in _NESTED else inner


def _known(text: str, to_handle: Translate) -> str:
    return to_handle(text) if _UUID.match(text) else text


def _said(text: str, to_handle: Translate) -> str:
    if text.startswith(_PERSON):
        return _PERSON + _known(text[len(_PERSON) :], to_handle)
    return path_outward(text, to_handle) if text.startswith("/subjects/") else text


def inward(value: Any, to_id: Translate, depth: int = 0) -> Any:
    """The same body, in place, with inner ids for the caller's handles. `to_id` raises for one it does not know."""
    if depth > DEEPEST:
        raise TooDeep
    if type(value) is list:
        for inner in value:
            if type(inner) in _NESTED:
                inward(inner, to_id, depth + 1)
        return value
    for name, inner in value.items():
        if type(inner) is str:
            value[name] = _meant(name, inner, to_id)
        elif type(inner) is list and name in _MANY:
            value[name] = [to_id(one) if type(one) is str else one for one in inner]
        elif type(inner) in _NESTED:
            inward(inner, to_id, depth + 1)
    return value


def _meant(name: str, text: str, to_id: Translate) -> str:
    if name in _ONE:
        return to_id(text)
    if name in _TOLD and text.startswith(_PERSON):
        return _PERSON + to_id(text[len(_PERSON) :])
    return text


def etag_of(body: bytes) -> str:
    """A strong entity tag over what is left, for an answer that had to be cut here."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
