"""Which route a request means, and which tables are not served at all."""

from typing import Any

import pytest

from gateway.model.routing import BadRoute, Match, Table, routes_of
from tests.gateway.door_parts import ROUTES, entry


def table(*entries: dict[str, Any]) -> Table:
    return Table([route for one in entries for route in routes_of(one["service"], [one])])


def found(table: Table, method: str, path: str) -> Match:
    match = table.match(method, path)
    assert isinstance(match, Match), match
    return match


def test_a_route_is_found_with_its_parameters() -> None:
    match = found(table(*ROUTES), "GET", "/subjects/abc-_~.1/items/i1")
    assert (match.route.id, dict(match.parameters), match.me) == (
        "logbook.item",
        {"subject": "abc-_~.1", "item": "i1"},
        False,
    )
    assert match.route.target({"subject": "s", "item": "i1"}) == "/subjects/s/items/i1"


def test_an_exact_part_wins_over_a_parameter_and_is_tried_again_without() -> None:
    routes = table(
        entry("a.exact", "GET", "/subjects/{subject}/items/open"),
        entry("a.one", "GET", "/subjects/{subject}/items/{item}"),
        entry("a.deep", "GET", "/subjects/{subject}/items/{item}/history"),
    )
    assert found(routes, "GET", "/subjects/s/items/open").route.id == "a.exact"
    assert found(routes, "GET", "/subjects/s/items/else").route.id == "a.one"
    assert found(routes, "GET", "/subjects/s/items/open/history").route.id == "a.deep"


def test_me_means_the_list_of_every_subject_but_own_account_routes_go_first() -> None:
    routes = table(
        entry("b.contact-of", "GET", "/subjects/{subject}/contact", me=True),
        entry("c.contact", "GET", "/me/contact", basis="self", action="none", record=False),
        entry("b.items", "GET", "/subjects/{subject}/items", me=True),
        entry("b.log", "GET", "/subjects/{subject}/log"),
    )
    assert found(routes, "GET", "/me/contact").route.id == "c.contact"
    match = found(routes, "GET", "/me/items")
    assert (match.route.id, match.me, dict(match.parameters)) == ("b.items", True, {})
    assert routes.match("GET", "/me/log") == frozenset()


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "subjects",
        "/subjects",
        "/subjects/",
        "/subjects//items",
        "/subjects/a/items/",
        "//subjects/a/items",
        "/subjects/../items",
        "/subjects/./items",
        "/subjects/a%2fb/items",
        "/subjects/a/items/%00",
        "/subjects/a b/items",
        "/subjects/" + "a" * 600 + "/items",
        "/subjects/a;x=1/items",
        "/inner/heartbeat",
        "/subjects/é/items",
    ],
)
def test_what_is_no_plain_path_means_no_route(path: str) -> None:
    assert table(*ROUTES).match("GET", path) == frozenset()


def test_another_method_is_told_with_those_there_are() -> None:
    assert table(*ROUTES).match("POST", "/subjects/a/items/b") == frozenset({"GET", "PUT"})


def test_a_parameter_that_is_not_plain_never_becomes_part_of_an_inner_path() -> None:
    route = found(table(*ROUTES), "GET", "/subjects/s/items").route
    with pytest.raises(ValueError, match="plain"):
        route.target({"subject": "../people"})


@pytest.mark.parametrize(
    "more",
    [
        {"basis": "granted"},
        {"basis": "role:"},
        {"category": "anything"},
        {"action": "write"},
        {"method": "TRACE"},
        {"service": "b"},
        {"path": "/items"},
        {"path": "/items/{subject}"},
        {"action": "none"},
        {"record": False},
        {"lease": "none"},
        {"me": True, "method": "POST"},
        {"path": "/inner/{subject}", "basis": "self"},
    ],
)
def test_a_table_that_leaves_open_how_content_is_decided_is_not_served(more: dict[str, Any]) -> None:
    with pytest.raises(BadRoute, match=r"a\.x"):
        routes_of("a", [entry("a.x", "GET", "/subjects/{subject}/items") | more])


@pytest.mark.parametrize(
    "missing", ["method", "path", "action", "basis", "category", "lease", "me", "record", "service"]
)
def test_a_table_without_one_of_its_fields_is_not_served(missing: str) -> None:
    broken = entry("a.x", "GET", "/subjects/{subject}/items")
    del broken[missing]
    with pytest.raises(BadRoute):
        routes_of("a", [broken])


def test_two_routes_for_the_same_request_are_not_served() -> None:
    with pytest.raises(BadRoute, match="is also"):
        table(
            entry("a.x", "GET", "/subjects/{subject}/items"),
            entry("b.y", "GET", "/subjects/{other}/items", basis="public"),
        )
