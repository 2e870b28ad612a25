"""One OpenAPI document for those who write apps: the gateway's own routes, and those of the services behind it."""

from collections.abc import Iterator, Mapping
from typing import Any

from chassis.http import PAPER
from chassis.routes import EXTRA

Json = dict[str, Any]

FILES = "x-samlogg-files"
"""Beside the form of a paper: as what kinds of files it reaches those outside."""

_COMPONENTS = "#/components/schemas/"
_HANDLES = frozenset({"subject", "person", "persons", "asked"})
"""Names of what the gateway translates: an inner id inside, the caller's own handle outside."""
_HANDLE: Json = {"type": "string", "description": "A handle: what this caller's agency, or this person, calls somebody"}
_SAFE = frozenset({"get", "head", "options"})
_SECURITY: Json = {
    "session": {
        "type": "apiKey", "in": "cookie", "name": "__Host-samlogg",
        "description": "A browser's session after /login. Changes also show X-CSRF-Token, from /session.",
    },
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}  # fmt: skip
_CSRF: Json = {
    "name": "X-CSRF-Token", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "Needed with a session, not with a token",
}  # fmt: skip
_AFTER: Json = {
    "name": "after_subject", "in": "query", "required": False, "schema": {"type": "string"},
    "description": "`next` of the page before",
}  # fmt: skip


def merged(own: Json, behind: Mapping[str, Json]) -> Json:
    """The front door's document with the public routes of the services behind it. Their schemas get the service's name.

    A route that may be asked for all of one's subjects is there as /me/<rest>, too, unless that path is a route itself.
    """
    paths: Json = {path: dict(operations) for path, operations in own["paths"].items()}
    schemas: Json = dict(own.get("components", {}).get("schemas", {}))
    for service, document in sorted(behind.items()):
        public = {path: dict(found) for path, each in document["paths"].items() if (found := _public(each))}
        names = {name: service.capitalize() + name for name in document.get("components", {}).get("schemas", {})}
        used = set(_names(public))
        while more := {
            found for name in used for found in _names(document["components"]["schemas"][name]) if found not in used
        }:
            used |= more
        schemas |= {names[name]: _outside(document["components"]["schemas"][name], names) for name in sorted(used)}
        for path, operations in public.items():
            outside = _outside(operations, names)
            for operation in outside.values():
                operation["operationId"] = f"{service}-{operation['operationId'].replace('_', '-')}"
                operation["tags"] = [service]
            paths.setdefault(path, {}).update(outside)
    for path, operations in list(paths.items()):
        if "get" in operations and operations["get"].get(EXTRA, {}).get("me"):
            paths.setdefault("/me/" + path.split("/", 3)[3], {}).setdefault("get", _for_me(operations["get"]))
    for operations in paths.values():
        for method, operation in operations.items():
            _secured(method, operation)
    components = own.get("components", {}) | {"schemas": schemas, "securitySchemes": _SECURITY}
    return own | {"paths": paths, "components": components}


def _public(operations: Json) -> Json:
    return {method: operation for method, operation in operations.items() if EXTRA in operation}


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        found = value.get("$ref")
        if isinstance(found, str) and found.startswith(_COMPONENTS):
            yield found.removeprefix(_COMPONENTS)
        for each in value.values():
            yield from _names(each)
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)


def _outside(value: Any, names: Mapping[str, str]) -> Any:
    """A copy in which schemas have their outer names, and what holds an inner id is said to hold a handle."""
    if isinstance(value, list):
        return [_outside(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    copy = {name: _outside(each, names) for name, each in value.items()}
    if PAPER in copy:
        copy |= {kind: {} for kind in copy.pop(PAPER)[FILES]}
    found = copy.get("$ref")
    if isinstance(found, str) and found.startswith(_COMPONENTS):
        copy["$ref"] = _COMPONENTS + names[found.removeprefix(_COMPONENTS)]
    if copy.get("in") in ("path", "query") and copy.get("name") in _HANDLES:
        copy["schema"] = _HANDLE
    if "person:" in str(copy.get("pattern", "")):
        del copy["pattern"]
        copy["description"] = "`service:<id>` or `person:<handle>`"
    properties = copy.get("properties")
    if isinstance(properties, dict):
        copy["properties"] = {
            name: _handles(each) if name in _HANDLES else each for name, each in properties.items()
        }  # fmt: skip
    return copy


def _handles(schema: Json) -> Json:
    """The schema of ids as one of handles: the same, without the form of an inner id."""
    copy = {name: each for name, each in schema.items() if name not in ("format", "pattern")}
    if "items" in copy:
        copy["items"] = _handles(copy["items"])
    if "anyOf" in copy:
        copy["anyOf"] = [_handles(each) for each in copy["anyOf"]]
    return copy


def _for_me(operation: Json) -> Json:
    """The same list, for every subject about whom the caller may ask it."""
    [answer] = [
        content["schema"] for status, found in operation["responses"].items() if status == "200"
        for content in found["content"].values()
    ]  # fmt: skip
    item = {
        "type": "object", "required": ["subject", "answer"], "properties": {"subject": _HANDLE, "answer": answer},
    }  # fmt: skip
    page = {
        "type": "object", "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": item}, "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
    }  # fmt: skip
    kept = [each for each in operation.get("parameters", []) if each["in"] != "path"]
    answered = {"description": "One answer for each subject", "content": {"application/json": {"schema": page}}}
    return operation | {
        "operationId": f"{operation['operationId']}-of-all", "summary": "The same for every subject",
        "parameters": [*kept, _AFTER], "responses": operation["responses"] | {"200": answered},
    }  # fmt: skip


def _secured(method: str, operation: Json) -> None:
    """Say how one shows who one is."""
    public = operation.get(EXTRA, {}).get("basis") == "public"
    operation["security"] = [] if public else [{"session": []}, {"token": []}]
    if not public and method not in _SAFE:
        operation["parameters"] = [*operation.get("parameters", []), _CSRF]
