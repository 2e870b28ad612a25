"""What is left of an owner's answer after the cut, and how ids and handles change places."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from chassis.permit import Cell, Kept, Permit
from gateway.model.cut import Allowed, Cut, TooDeep, allowed, cut, etag_of, inward, outward, path_outward

CHILD = "11111111-1111-4111-8111-111111111111"


def permit(*categories: str, back: int | None = None) -> Permit:
    return Permit(CHILD, "read", "follow-up", tuple(Cell(name, f"g-{name}", back) for name in categories))


def shown(permitted: Allowed, *items: Any) -> list[Any]:
    body = cut({"items": [{"id": str(n), **found} for n, found in enumerate(items)], "next": None}, permitted).body
    assert body is not None
    return [int(found["id"]) for found in body["items"]]


def test_only_items_of_permitted_categories_are_left() -> None:
    items = [
        {"category": "school"},
        {"category": "health"},
        {"categories": ["school"]},
        {"categories": ["school", "health"]},
        {"categories": []},
        {"category": None},
        {},
        {"category": 7},
        {"categories": "school"},
        {"categories": [7]},
    ]
    assert shown(allowed(permit("school")), *items) == [0, 2, 8]


def test_an_item_with_both_words_needs_both() -> None:
    assert shown(allowed(permit("school")), {"category": "school", "categories": ["health"]}) == []


def test_a_grant_that_does_not_look_back_hides_what_was_before_it() -> None:
    items = [
        {"category": "school", "at": "2026-01-01T00:00:00.000Z"},
        {"category": "school", "at": "2025-12-31T23:59:59.999Z"},
        {"category": "school"},
        {"category": "school", "at": 7},
    ]
    assert shown(allowed(permit("school", back=1767225600)), *items) == [0]


def test_the_longest_look_back_of_two_grants_counts() -> None:
    both = Permit(CHILD, "read", "p", (Cell("school", "a", 200), Cell("school", "b", 100), Cell("health", "a", 5)))
    assert allowed(both).since == {"school": "1970-01-01T00:01:40", "health": "1970-01-01T00:00:05"}
    unlimited = Permit(
        CHILD, "read", "p", (Cell("school", "a", 200), Cell("school", "b", None), Cell("school", "c", 1))
    )
    assert allowed(unlimited).since == {"school": None}


def test_counts_and_cursor_are_of_what_is_left() -> None:
    body = {"items": [{"category": "school"}, {"category": "health"}], "next": "c", "count": 2, "total": 9}
    result = cut(body, allowed(permit("school")))
    assert result.body == {"items": [{"category": "school"}], "next": None, "count": 1, "total": 1}
    assert result.dropped == 1
    untouched = {"items": [{"category": "school"}], "next": "c", "total": 9}
    assert cut(copy.deepcopy(untouched), allowed(permit("school"))).body == untouched


def test_a_number_made_of_the_whole_list_does_not_outlive_a_cut() -> None:
    items = [{"category": "school", "at": "2026-01-01T00:00:00Z"}, {"category": "police", "at": "2026-01-01T00:00:00Z"}]
    permit = Permit("s", "read", "x", (Cell("school", "g"),))
    whole = cut({"items": items[:1], "services": 3}, allowed(permit))
    assert whole.body is not None
    assert whole.body["services"] == 3
    left = cut({"items": items, "services": 3}, allowed(permit))
    assert left.body == {"items": items[:1], "next": None}


def test_a_sentence_and_what_was_made_go_with_what_they_speak_of() -> None:
    look = {
        "categories": ["school", "police"], "at": "2026-01-01T00:00:00Z", "text": "read about school and police",
        "made": [{"what": "entry-added", "item": "i-of-the-police"}],
    }  # fmt: skip
    permit = Permit("s", "read", "x", (Cell("school", "g"), Cell("looks", "g")))
    left = cut({"items": [look]}, allowed(permit, "looks", "somebody"))
    assert left.body is not None
    assert left.body["items"] == [{"categories": ["school"], "at": "2026-01-01T00:00:00Z"}]


@pytest.mark.requirement("F204")
def test_what_a_look_made_passes_for_whom_nothing_of_the_look_is_cut() -> None:
    look = {"categories": ["school"], "at": "2026-01-01T00:00:00Z", "made": [{"what": "log-opened", "item": None}]}
    for permitted in (
        allowed(permit("looks", "school"), "looks", "guardian"),
        allowed(permit("looks"), "looks", CHILD),
    ):
        assert cut({"items": [copy.deepcopy(look)]}, permitted) == Cut({"items": [look]}, 0)


def test_what_lies_deeper_is_cut_too() -> None:
    body = {
        "id": "log",
        "goals": [{"category": "school", "measures": [{"category": "health"}, {"category": "school"}]}],
        "latest": {"category": "health", "text": "x"},
        "by": {"kind": "staff"},
        "levels": [{"level": 1}, 2, ["a"]],
    }
    result = cut(body, allowed(permit("school")))
    assert result.body == {
        "id": "log",
        "goals": [{"category": "school", "measures": [{"category": "school"}]}],
        "latest": None,
        "by": {"kind": "staff"},
        "levels": [{"level": 1}, 2, ["a"]],
    }
    assert result.dropped == 2


def test_an_answer_that_is_itself_outside_is_nothing() -> None:
    assert cut({"id": "i", "category": "health"}, allowed(permit("school"))).body is None
    assert cut({"id": "i", "categories": []}, allowed(permit("school"))).body is None


def test_looks_speak_only_of_categories_that_their_reader_may_know() -> None:
    permitted = allowed(permit("looks", "school"), "looks", "guardian")
    body = {
        "items": [
            {"categories": ["school", "health"]},
            {"categories": ["health"]},
            {"categories": []},
            {},
            {"categories": ["health"], "actor": {"kind": "person", "id": "guardian"}},
        ],
        "next": "c",
    }
    result = cut(body, permitted)
    assert result.body == {
        "items": [
            {"categories": ["school"]},
            {"categories": []},
            {},
            {"categories": ["health"], "actor": {"kind": "person", "id": "guardian"}},
        ],
        "next": None,
    }
    assert result.dropped == 2
    without = allowed(permit("school"), "looks")
    assert cut({"items": [{"categories": []}], "next": None}, without).body == {"items": [], "next": None}


def test_the_subject_sees_every_look_and_only_by_the_right_to_looks() -> None:
    body = {"items": [{"categories": ["police"]}], "next": "c"}
    assert cut(copy.deepcopy(body), allowed(permit("looks"), "looks", CHILD)) == Cut(body, 0)
    assert cut(copy.deepcopy(body), allowed(permit("school"), "looks", CHILD)).body == {"items": [], "next": None}
    items = {"items": [{"categories": ["police"]}], "next": None}
    assert cut(items, allowed(permit("school"), None, CHILD)).body == {"items": [], "next": None}


CATEGORIES = some.sampled_from(["school", "health", "police"])
ITEMS = some.recursive(
    some.dictionaries(some.sampled_from(["category", "x"]), CATEGORIES, max_size=2),
    lambda deeper: some.dictionaries(
        some.sampled_from(["category", "a", "items"]), some.lists(deeper, max_size=3) | CATEGORIES
    ),
    max_leaves=12,
)


@given(some.lists(ITEMS, max_size=5))
def test_no_category_outside_the_permit_survives_anywhere(items: list[Any]) -> None:
    result = cut({"items": items, "next": None}, allowed(permit("school")))

    def categories(value: Any) -> set[Any]:
        if isinstance(value, list):
            return set().union(*(categories(one) for one in value)) if value else set()
        if isinstance(value, dict):
            own = {str(value["category"])} if "category" in value else set()
            return own.union(*(categories(one) for one in value.values()))
        return set()

    assert categories(result.body) <= {"school"}


def handle(inner: str) -> str:
    return f"h{inner[:2]}"


def test_ids_become_handles_wherever_they_may_stand() -> None:
    other = CHILD.replace("1", "2")
    body = {
        "id": CHILD,
        "subject": CHILD,
        "person": None,
        "persons": [CHILD, other, {"person": CHILD}],
        "asked": [],
        "asked_state": [{"person": other, "state": "open"}],
        "by": {"kind": "person", "id": CHILD},
        "at": {"kind": "staff", "id": CHILD},
        "responsible": f"person:{other}",
        "recipients": [f"person:{CHILD}", "service:x"],
        "href": f"/subjects/{CHILD}/items/{other}",
        "text": f"about {CHILD}",
        "n": 1,
        "deep": [[{"subject": CHILD}]],
    }
    assert outward(body, handle) == {
        "id": CHILD,
        "subject": "h11",
        "person": None,
        "persons": ["h11", "h22", {"person": "h11"}],
        "asked": [],
        "asked_state": [{"person": "h22", "state": "open"}],
        "by": {"kind": "person", "id": "h11"},
        "at": {"kind": "staff", "id": CHILD},
        "responsible": "person:h22",
        "recipients": ["person:h11", "service:x"],
        "href": f"/subjects/h11/items/{other}",
        "text": f"about {CHILD}",
        "n": 1,
        "deep": [[{"subject": "h11"}]],
    }


def test_handles_become_ids_where_a_body_names_somebody() -> None:
    body = {
        "person": "a",
        "asked": ["b", {"x": 1}],
        "responsible": "person:c",
        "other": "person:d",
        "deep": [{"subject": "e"}],
    }
    assert inward(body, str.upper) == {
        "person": "A",
        "asked": ["B", {"x": 1}],
        "responsible": "person:C",
        "other": "person:d",
        "deep": [{"subject": "E"}],
    }


def test_paths_are_translated_only_where_an_id_stands() -> None:
    assert path_outward(f"/subjects/{CHILD}/items/{CHILD}", handle) == f"/subjects/h11/items/{CHILD}"
    assert path_outward("/subjects/none/x", handle) == "/subjects/none/x"


@pytest.mark.parametrize(
    "work",
    [lambda body: cut(body, allowed(permit("s"))), lambda body: outward(body, str), lambda body: inward(body, str)],
    ids=["cut", "outward", "inward"],
)
def test_a_body_nested_too_deep_is_not_read_to_its_end(work: Any) -> None:
    with pytest.raises(TooDeep):
        work(json.loads('{"a":' * 60 + "[]" + "}" * 60))


def test_a_tag_is_of_what_is_left_and_nothing_else() -> None:
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")
    assert etag_of(b"a").startswith('"')


SAFE = {"category": "school", "at": "2026-01-01T00:00:00Z"}


def test_whoever_is_not_told_where_finds_no_place_and_no_service_but_the_own_at_any_depth() -> None:
    meeting = {**SAFE, "kind": "meeting", "title": "Samtale", "place": "Gamlebyen skole", "by":
               {"kind": "staff", "id": "anne", "service": "gamlebyen-school"}}  # fmt: skip
    body: dict[str, Any] = {
        "items": [
            meeting,
            {**SAFE, "by": {"kind": "staff", "id": "me", "service": "police"}, "text": "own words"},
            {**SAFE, "by": {"kind": "person", "id": "p"}, "responsible": "service:nav", "address": "x"},
        ],
        "holder": {"service": "gamlebyen-school", "staff": "anne", "since": "2026-01-01T00:00:00Z"},
        "holders": [{"service": "police", "staff": "me", "location": {"street": "x"}}],
        "handover": {"to_service": "nav", "offered_at": "2026-01-01T00:00:00Z"},
        "participants": [{"kind": "service", "id": "nav"}], "guide": "gamlebyen",
        "grants": [{"recipient": "service:nav", "name": "NAV Gamlebyen"}],
    }  # fmt: skip
    hidden = replace(permit("school"), masked=True)
    left = cut(copy.deepcopy(body), allowed(hidden, own=("police",)))
    assert left.body == {
        "items": [
            {**meeting, "place": None, "by": {"kind": "staff", "id": None, "service": None}},
            body["items"][1],
            {**body["items"][2], "responsible": None, "address": None},
        ],
        "holder": {"service": None, "staff": None, "since": "2026-01-01T00:00:00Z"},
        "holders": [{"service": "police", "staff": "me", "location": None}],
        "handover": {"to_service": None, "offered_at": "2026-01-01T00:00:00Z"},
        "participants": None, "guide": None, "grants": [{"recipient": None, "name": None}],
    }  # fmt: skip
    assert left.dropped == 13
    assert cut(copy.deepcopy(body), allowed(permit("school"), own=("police",))) == Cut(body, 0)


def test_what_is_kept_is_cut_with_what_stands_under_it_but_for_the_readers_own() -> None:
    allowed_cells = permit("school", "health").cells
    kept = Permit(CHILD, "read", "insight", allowed_cells, kept=Kept(("health",), ("0", "g1"), "mother"))
    items: list[dict[str, Any]] = [
        {"category": "school"}, {"category": "health"}, {"category": "health", "by": {"id": "mother"}},
        {"category": "school", "by": {"id": "nurse"}}, {"category": "school", "goal": "g1", "by": {"id": "nurse"}},
        {"category": "school", "measure": "g1"}, {"category": "school", "goal": "g2"},
        {"category": "school", "goal": "g1", "by": {"id": "mother"}}, {"categories": ["school", "health"]},
    ]  # fmt: skip
    assert shown(allowed(kept, reader="mother"), *items) == [2, 3, 6, 7]


def test_on_a_route_about_the_log_itself_nothing_tells_that_something_is_kept() -> None:
    kept = Permit(CHILD, "read", "insight", permit("looks", "health").cells, kept=Kept(("health",), (), "mother"))
    body = {"items": [{"id": "1", "categories": ["health"], "at": "2026-01-01T00:00:00Z"}], "next": None}
    assert cut(copy.deepcopy(body), allowed(kept, "looks", "mother")).body == body
