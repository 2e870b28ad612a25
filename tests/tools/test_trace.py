"""A trace drawn as a tree: order, depth, what is absent, and what Zipkin may answer."""

from __future__ import annotations

import httpx
import pytest

from samlogg import trace
from samlogg.trace import NoTraceError, Span


def span(name: str, parent: str | None, service: str, start: int = 0, kind: str = "SERVER") -> Span:
    return Span(name, parent, service, f"work {name}", kind, start, 1000, failed=False)


def test_spans_become_one_tree_whatever_their_order() -> None:
    spans = [span("c", "b", "consent", 20), span("a", None, "gateway", 0), span("b", "a", "gateway", 10)]
    [root] = trace.forest(spans)
    assert (root.span.id, root.children[0].span.id, root.children[0].children[0].span.id) == ("a", "b", "c")


def test_children_come_in_the_order_they_began() -> None:
    spans = [span("a", None, "gateway"), span("late", "a", "notify", 30), span("soon", "a", "consent", 5)]
    [root] = trace.forest(spans)
    assert [child.span.id for child in root.children] == ["soon", "late"]


def test_a_span_whose_parent_is_lost_is_a_root_of_its_own() -> None:
    assert len(trace.forest([span("a", None, "gateway"), span("x", "lost", "notify", 5)])) == 2


def test_what_one_caller_outside_began_is_one_tree() -> None:
    spans = [span("a", "caller", "gateway", 0), span("b", "caller", "gateway", 50)]
    assert len(trace.forest(spans)) == 2
    [root] = trace.joined(spans)
    assert root.span.id == "caller" and len(root.children) == 2


def test_two_callers_are_two_trees() -> None:
    assert len(trace.joined([span("a", "one", "gateway"), span("b", "two", "gateway")])) == 2


def test_a_client_and_a_server_that_share_an_id_are_one_node() -> None:
    spans = [span("a", None, "gateway"), span("s", "a", "consent", 2), span("s", "a", "gateway", 1, "CLIENT")]
    [root] = trace.forest(spans)
    assert [child.span.service for child in root.children] == ["gateway"]
    assert [half.span.service for half in root.children[0].children] == ["consent"]


def test_the_services_of_a_tree_are_all_that_took_part() -> None:
    nodes = trace.forest([span("a", None, "gateway"), span("b", "a", "consent"), span("c", "b", "notify")])
    assert trace.services(nodes) == {"gateway", "consent", "notify"}


def test_the_drawing_shows_depth_time_and_failure() -> None:
    failed = Span("b", "a", "consent", "publish", "PRODUCER", 2500, 1500, failed=True)
    lines = trace.draw(trace.forest([Span("a", None, "gateway", "GET", "SERVER", 1000, 4000, failed=False), failed]))
    assert lines == [
        "     0.0 ms +    4.0  gateway: GET [server]",
        "     1.5 ms +    1.5  └─ consent: publish [producer] FAILED",
    ]


def zipkin(monkeypatch: pytest.MonkeyPatch, status: int, body: object) -> None:
    def get(url: str, timeout: float) -> httpx.Response:
        return httpx.Response(status, json=body, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)


def test_zipkins_json_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = {"id": "a", "parentId": "p", "name": "get", "kind": "SERVER", "timestamp": 5, "duration": 7}
    zipkin(monkeypatch, 200, [{**raw, "localEndpoint": {"serviceName": "gateway"}, "tags": {"error": "true"}}])
    assert trace.fetch("http://127.0.0.1:9", "t") == [Span("a", "p", "gateway", "get", "SERVER", 5, 7, failed=True)]


def test_an_unknown_trace_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    zipkin(monkeypatch, 404, {})
    with pytest.raises(NoTraceError, match="no trace"):
        trace.fetch("http://127.0.0.1:9", "t")
