"""OpenTelemetry: one provider per process, a trace that goes on through outbox and Kafka, and no content in a span."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()

_TOLD = frozenset({
    "samlogg.route", "http.request.method", "http.route", "http.response.status_code", "error.type", "url.scheme",
    "network.protocol.name", "network.protocol.version", "messaging.system", "messaging.operation",
    "messaging.destination.name", "messaging.destination_publish.name", "messaging.batch.message_count",
    "messaging.message.payload_size_bytes", "messaging.kafka.destination.partition", "messaging.kafka.message.offset",
})  # fmt: skip
"""Attributes that may leave the process. What a caller chose (path, query, host, method's own name) is not among them,
nor a message's id or key."""


class WithoutContent(SpanExporter):
    """Passes spans on with the attributes that are known to hold no input, and no other; without events and the
    description of a failure too, where an exception's text would stand (it may hold what somebody wrote).
    """

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Runs in the exporter's own thread, for sampled spans only."""
        return self._to.export([_bare(span) for span in spans])

    def shutdown(self) -> None:
        """End the exporter behind."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """What the exporter behind says."""
        return self._to.force_flush(timeout_millis)


def _bare(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name, context=_place(span.context),
        parent=_place(span.parent), resource=span.resource,
        links=[Link(place) for one in span.links if (place := _place(one.context))],
        attributes={name: value for name, value in (span.attributes or {}).items() if name in _TOLD},
        kind=span.kind, status=Status(span.status.status_code), start_time=span.start_time, end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )  # fmt: skip


def _place(at: SpanContext | None) -> SpanContext | None:
    """Without the trace state: a header in which a caller may write what it likes."""
    return at and SpanContext(at.trace_id, at.span_id, at.is_remote, at.trace_flags)


def setup(service: str, replica: str) -> TracerProvider:
    """Make and install the provider. Exporter and sampler come from the standard OTEL_* variables."""
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.instance.id": replica}))
    exporter = _exporter(os.environ.get("OTEL_TRACES_EXPORTER", "none"))
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(WithoutContent(exporter), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    propagate.set_global_textmap(_W3C)  # no baggage: it would carry whatever a caller puts in
    return provider


def _exporter(name: str) -> SpanExporter | None:
    # Imported here: each exporter costs memory that only its users should pay.
    if name == "zipkin":
        from opentelemetry.exporter.zipkin.json import ZipkinExporter

        return ZipkinExporter()
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    return None


def current() -> str | None:
    """The current span as a `traceparent`, or None outside any span."""
    at = trace.get_current_span().get_span_context()
    if not at.is_valid:
        return None
    return f"00-{trace.format_trace_id(at.trace_id)}-{trace.format_span_id(at.span_id)}-{at.trace_flags:02x}"


@contextmanager
def carried(traceparent: str | None) -> Iterator[None]:
    """Go on under a trace that came with a message or a row."""
    if traceparent is None:
        yield
        return
    token = context.attach(_W3C.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


@contextmanager
def consumed(traceparent: str | None, name: str) -> Iterator[None]:
    """Work on what a message says under the trace it came with: a span of its own only where that is sampled."""
    with carried(traceparent):
        if traceparent is None or not traceparent.endswith("-01"):
            yield
            return
        with trace.get_tracer("samlogg.consumed").start_as_current_span(name, kind=SpanKind.CONSUMER):
            yield


@contextmanager
def publishing(headers: Mapping[str, str], name: str) -> Iterator[dict[str, str]]:
    """A producer span under the trace in `headers`; yields the headers with that span as parent.

    Traces that are not sampled pass through untouched: a span object per message would cost more than the message.
    """
    parent = headers.get("traceparent", "")
    if not parent.endswith("-01"):
        yield dict(headers)
        return
    tracer = trace.get_tracer("samlogg.outbox")
    with tracer.start_as_current_span(f"publish {name}", _W3C.extract({"traceparent": parent}), SpanKind.PRODUCER):
        yield {**headers, "traceparent": current() or parent}
