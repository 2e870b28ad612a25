"""The route table: what the four services publish about their routes, and which of them a request means."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PERSONS_IN_PATHS = frozenset({"person"})
"""Path parameters that hold a person's handle (beside `subject`, which every path to content begins with)."""

_PARAMETER = re.compile(r"\A\{([a-z_]+)\}\Z")
_PLAIN = re.compile(r"\A[A-Za-z0-9._~-]{1,512}\Z")
_BASES = frozenset({"grant", "asked", "asker", "asked-or-asker", "self", "agency", "authenticated", "public"})
_ACTIONS = frozenset({"read", "contribute", "none"})
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class BadRoute(ValueError):
    """A route table that cannot be served safely. Names the route and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a service, as its owner described it (chassis.routes)."""

    id: str
    service: str
    method: str
    path: str
    action: str
    basis: str
    category: str
    lease: bool
    me: bool
    record: bool
    parts: tuple[str, ...] = field(repr=False, compare=False, default=())

    @property
    def subject(self) -> bool:
        """Does the path begin with a subject's handle?"""
        return "{subject}" in self.parts

    @property
    def fixed(self) -> str | None:
        """The one category this route is about, if the table fixes it."""
        return self.category.removeprefix("fixed:") if self.category.startswith("fixed:") else None

    @property
    def from_body(self) -> str | None:
        """The field of the body that names the category, if the table says so."""
        return self.category.removeprefix("body:") if self.category.startswith("body:") else None

    def target(self, parameters: Mapping[str, str]) -> str:
        """The inner path: the template with these parameters, which must be plain."""
        return "/" + "/".join(_filled(part, parameters) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Match:
    """A route and the parameters of the path; `me` when it was asked as /me/<rest>."""

    route: Route
    parameters: Mapping[str, str]
    me: bool = False


@dataclass(slots=True)
class _Node:
    fixed: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, tuple[Route, tuple[str | None, ...], bool]] = field(default_factory=dict)


class Table:
    """All routes, compiled. Exact parts win over parameters, so an own-account /me/contact goes before /me/<rest>."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._root = _Node()
        for route in self.routes:
            self._add(route, route.parts, me=False)
        for route in self.routes:
            if route.me:
                self._add(route, ("me", *route.parts[2:]), me=True)

    def match(self, method: str, path: str) -> Match | frozenset[str]:
        """The route, or the methods that this path has (none: there is no such path). Parameters must be plain text."""
        parts = path.split("/")
        if parts[0] or len(parts) < 2:
            return frozenset()
        node = _walk(self._root, parts, 1)
        if node is None:
            return frozenset()
        found = node.routes.get(method)
        if found is None:
            return frozenset(node.routes)
        route, names, me = found
        parameters = {name: parts[i + 1] for i, name in enumerate(names) if name is not None}
        return Match(route, parameters, me)

    def _add(self, route: Route, parts: tuple[str, ...], *, me: bool) -> None:
        node, names = self._root, []
        for part in parts:
            parameter = _PARAMETER.match(part)
            names.append(parameter.group(1) if parameter else None)
            if parameter:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.fixed.setdefault(part, _Node())
        taken = node.routes.get(route.method)
        if taken is not None and me and not taken[2]:
            return  # an own-account route of the same name was there first
        if taken is not None:
            raise BadRoute(f"{route.id}: {route.method} {route.path} is also {taken[0].id}")
        node.routes[route.method] = (route, tuple(names), me)


def _walk(node: _Node, parts: list[str], at: int) -> _Node | None:
    if at == len(parts):
        return node if node.routes else None
    part = parts[at]
    exact = node.fixed.get(part)
    if exact is not None:
        found = _walk(exact, parts, at + 1)
        if found is not None:
            return found
    if node.parameter is not None and _PLAIN.match(part) and part not in (".", ".."):
        return _walk(node.parameter, parts, at + 1)
    return None


def _filled(part: str, parameters: Mapping[str, str]) -> str:
    parameter = _PARAMETER.match(part)
    if parameter is None:
        return part
    value = parameters[parameter.group(1)]
    if not _PLAIN.match(value):
        raise ValueError("a path parameter is not plain")
    return value


def routes_of(service: str, entries: Iterable[Mapping[str, Any]]) -> list[Route]:
    """The routes in one service's table. BadRoute when one of them leaves open how it is to be decided."""
    return [_route(service, entry) for entry in entries]


def _route(service: str, entry: Mapping[str, Any]) -> Route:
    name = str(entry.get("id", "a route without an id"))
    try:
        route = Route(
            id=name, service=entry["service"], method=entry["method"], path=entry["path"], action=entry["action"],
            basis=entry["basis"], category=entry["category"], lease=_needed(entry["lease"]), me=entry["me"] is True,
            record=entry["record"] is True, parts=tuple(entry["path"].strip("/").split("/")),
        )  # fmt: skip
    except (KeyError, AttributeError) as error:
        raise BadRoute(f"{name}: {error}") from error
    _check(route, service)
    return route


def _needed(lease: object) -> bool:
    return lease != "none"


def _check(route: Route, service: str) -> None:
    known_basis = route.basis in _BASES or re.fullmatch(r"role:[a-z-]+(,[a-z-]+)*", route.basis)
    category = re.fullmatch(r"any|item|none|fixed:[a-z0-9-]+|body:[a-z_]+", route.category)
    wrong = [
        text
        for broken, text in (
            (route.service != service, "belongs to another service"),
            (route.method not in _METHODS, "unknown method"),
            (route.action not in _ACTIONS, "unknown action"),
            (not known_basis, "unknown basis"),
            (not category, "unknown category"),
            (route.basis == "grant" and not route.subject, "a grant is about a subject, the path has none"),
            (route.basis == "grant" and route.action == "none", "a grant is for reading or for contributing"),
            (route.basis == "grant" and not route.record, "what needs a grant is recorded"),
            (route.basis == "grant" and not route.lease, "what needs a grant needs a lease"),
            (route.subject and route.parts[:2] != ("subjects", "{subject}"), "the subject comes first"),
            (route.me and (route.method != "GET" or not route.subject), "only a list about a subject is asked as /me"),
            (route.path.startswith("/inner"), "inner routes are not public"),
        )
        if broken
    ]
    if wrong:
        raise BadRoute(f"{route.id}: {wrong[0]}")
