"""Which changes of a published schema would break a consumer: everything but an added optional field or kind."""

from collections.abc import Iterator
from typing import Any

_FOR_PEOPLE = frozenset({"title", "description", "examples", "$comment"})


def breaking(old: Any, new: Any, at: str = "") -> list[str]:
    """Where `new` differs from `old` by more than added optional fields and words for people; empty is well.

    Where a field tells kinds apart, a kind may be added: every reader passes over the kinds that it does not read.
    """
    return list(_breaking(old, new, at))


def _breaking(old: Any, new: Any, at: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        if "properties" in old or "properties" in new:
            yield from _fields(old, new, at)
        for name in sorted({*old, *new} - _FOR_PEOPLE - {"properties", "required"}):
            yield from _member(old, new, name, f"{at}/{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _breaking(before, after, f"{at}/{number}")
    elif old != new or type(old) is not type(new):
        yield f"{at} changed"


def _member(old: dict[str, Any], new: dict[str, Any], name: str, at: str) -> Iterator[str]:
    if name == "$defs" or (name == "mapping" and "propertyName" in old):
        yield from _all_kept(old.get(name, {}), new.get(name, {}), at)
    elif name == "oneOf" and "discriminator" in old and "discriminator" in new:
        yield from (f"{at} has lost a kind" for one in old.get(name, ()) if one not in new.get(name, ()))
    elif name not in old:
        yield f"{at} was added"
    elif name not in new:
        yield f"{at} was taken away"
    else:
        yield from _breaking(old[name], new[name], at)


def _fields(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    yield from _all_kept(old.get("properties", {}), new.get("properties", {}), at)
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    yield from (f"{at}/{name} became needed" for name in sorted(after - before))
    yield from (f"{at}/{name} is no longer certain to be there" for name in sorted(before - after))


def _all_kept(old: dict[str, Any], new: dict[str, Any], at: str) -> Iterator[str]:
    for name, before in old.items():
        if name not in new:
            yield f"{at}/{name} was taken away"
        else:
            yield from _breaking(before, new[name], f"{at}/{name}")
