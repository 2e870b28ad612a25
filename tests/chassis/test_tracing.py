"""What leaves the process in a span: nothing that a caller chose, and no exception's text."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from chassis.health import Health
from chassis.http import make_app
from chassis.tracing import WithoutContent

CANARY = "kanarifugl"


@asynccontextmanager
async def nothing(app: FastAPI) -> AsyncIterator[None]:
    """Nothing to open."""
    del app
    yield


class Exported:
    """A provider whose spans end here, through the same filter that every exporter of ours is behind."""

    def __init__(self) -> None:
        self.kept = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(WithoutContent(self.kept)))

    def text(self) -> str:
        """All spans as they would be written down."""
        return "".join(span.to_json() for span in self.kept.get_finished_spans())


@pytest.fixture
def exported() -> Exported:
    return Exported()


async def test_a_server_span_tells_the_route_and_nothing_that_the_caller_chose(exported: Exported) -> None:
    app = make_app("test", exported.provider, Health(), nothing)

    @app.get("/subjects/{subject}/items")
    async def items(subject: str) -> dict[str, str]:
        return {}

    headers = {
        "User-Agent": CANARY, "baggage": f"who={CANARY}", "tracestate": f"who={CANARY}",
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
    }  # fmt: skip
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{CANARY}.example", headers=headers) as asked:
        assert (await asked.get(f"/subjects/{CANARY}/items?q={CANARY}")).status_code == 200
        assert (await asked.get(f"/{CANARY}?q={CANARY}")).status_code == 404
        assert (await asked.request(CANARY, "/subjects/x/items")).status_code == 405
    found = exported.kept.get_finished_spans()
    assert [dict(span.attributes or {}).get("http.route") for span in found[:1]] == ["/subjects/{subject}/items"]
    assert len(found) == 3 and CANARY not in exported.text().lower()


def test_an_exceptions_text_stays_in_the_process(exported: Exported) -> None:
    tracer = exported.provider.get_tracer("test")
    with pytest.raises(ValueError, match=CANARY), tracer.start_as_current_span("work"):
        raise ValueError(CANARY)
    [span] = exported.kept.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR and CANARY not in exported.text()


def test_what_a_trace_is_read_by_is_passed_on(exported: Exported) -> None:
    tracer = exported.provider.get_tracer("test")
    with tracer.start_as_current_span("outer") as outer, tracer.start_as_current_span("inner") as inner:
        inner.set_attributes({"messaging.destination.name": "logbook.events.v1", "messaging.kafka.message.key": CANARY})
        inner.set_status(Status(StatusCode.ERROR))
    told = {span.name: span for span in exported.kept.get_finished_spans()}
    assert dict(told["inner"].attributes or {}) == {"messaging.destination.name": "logbook.events.v1"}
    parent = told["inner"].parent
    assert parent is not None and parent.span_id == outer.get_span_context().span_id
    assert (told["inner"].start_time or 0) >= (told["outer"].start_time or 0) > 0
