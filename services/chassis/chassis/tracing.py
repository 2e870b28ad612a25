"""OpenTelemetry: one provider per process, and a trace that goes on through outbox and Kafka."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def setup(service: str, replica: str) -> TracerProvider:
    """Make and install the provider. Exporter and sampler come from the standard OTEL_* variables."""
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.instance.id": replica}))
    exporter = _exporter(os.environ.get("OTEL_TRACES_EXPORTER", "none"))
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
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
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


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
