"""One trace as a tree: read from Zipkin, put in order, drawn as text. Spans hold no input, so neither does the tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx


class NoTraceError(Exception):
    """Zipkin has no such trace, or cannot be asked; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work; `start` and `length` are in microseconds."""

    id: str
    parent: str | None
    service: str
    name: str
    kind: str
    start: int
    length: int
    failed: bool


@dataclass(slots=True)
class Node:
    """A span and what it caused, oldest first."""

    span: Span
    children: list[Node] = field(default_factory=list)


def fetch(zipkin: str, trace: str, timeout: float = 5.0) -> list[Span]:
    """The spans of a trace that Zipkin has so far. `zipkin` is its address without a closing slash."""
    try:
        answer = httpx.get(f"{zipkin}/api/v2/trace/{trace}", timeout=timeout)
    except httpx.HTTPError as error:
        raise NoTraceError("Zipkin does not answer.") from error
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise NoTraceError("Zipkin has no trace with this id; it may not have been sampled.")
    if answer.status_code == httpx.codes.BAD_REQUEST:
        raise NoTraceError("This is no trace id: it has 32 hexadecimal digits.")
    answer.raise_for_status()
    return [read(one) for one in answer.json()]


def read(raw: Mapping[str, Any]) -> Span:
    """A span from Zipkin's JSON (API v2)."""
    return Span(
        id=str(raw["id"]),
        parent=raw.get("parentId"),
        service=str(raw.get("localEndpoint", {}).get("serviceName", "?")),
        name=str(raw.get("name", "?")),
        kind=str(raw.get("kind", "")),
        start=int(raw.get("timestamp", 0)),
        length=int(raw.get("duration", 0)),
        failed="error" in raw.get("tags", {}),
    )


def forest(spans: Iterable[Span]) -> list[Node]:
    """The trees that the spans make; a trace that is whole is one tree.

    A span whose parent is not there is a root: its parent was the caller's own span, or has been lost. A client's and
    a server's halves that share an id become one node under the client's.
    """
    ordered = sorted(spans, key=lambda span: (span.start, span.kind != "CLIENT"))
    nodes: dict[str, Node] = {}
    extra: dict[str, list[Node]] = defaultdict(list)
    for span in ordered:
        if span.id in nodes:
            extra[span.id].append(Node(span))
        else:
            nodes[span.id] = Node(span)
    for shared, halves in extra.items():
        nodes[shared].children += halves
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.span.parent or "")
        (parent.children if parent is not None and parent is not node else roots).append(node)
    return roots


def services(nodes: Sequence[Node]) -> set[str]:
    """The services that took part."""
    return {node.span.service for node in nodes} | {name for node in nodes for name in services(node.children)}


def joined(spans: Sequence[Span]) -> list[Node]:
    """The forest, where roots that name the same absent parent stand under one node: the caller's own span.

    Our callers' spans (an app, the story) are not in Zipkin; what they began is still one tree.
    """
    roots = forest(spans)
    callers: dict[str, list[Node]] = defaultdict(list)
    alone = []
    for root in roots:
        if root.span.parent:
            callers[root.span.parent].append(root)
        else:
            alone.append(root)
    for parent, begun in callers.items():
        start = min(node.span.start for node in begun)
        end = max(node.span.start + node.span.length for node in begun)
        caller = Span(parent, None, "caller", "(outside)", "", start, end - start, failed=False)
        alone.append(Node(caller, begun))
    return alone


def draw(nodes: Sequence[Node]) -> list[str]:
    """The trees as lines: when it began after the trace's first span, how long it took, which service, what."""
    if not nodes:
        return ["(no spans)"]
    first = min(node.span.start for node in nodes)
    return [line for node in nodes for line in _draw(node, first, "", "")]


def _draw(node: Node, first: int, lead: str, below: str) -> list[str]:
    span = node.span
    kind = f" [{span.kind.lower()}]" if span.kind else ""
    when = f"{(span.start - first) / 1000:8.1f} ms +{span.length / 1000:7.1f}"
    lines = [f"{when}  {lead}{span.service}: {span.name}{kind}{' FAILED' if span.failed else ''}"]
    for child in node.children:
        last = child is node.children[-1]
        lines += _draw(child, first, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))
    return lines
