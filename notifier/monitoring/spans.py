"""Spans by OpenTelemetry, where ``TRACES_EXPORTER`` asks for them; imported then only.

What is exported names queues, routes and ids, and never an address: exceptions are told by their class.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from queues.events import tracing
from queues.events.tracing import Kind

EXPORTERS = {
    "otlp": "opentelemetry.exporter.otlp.proto.http.trace_exporter.OTLPSpanExporter",
    "console": "opentelemetry.sdk.trace.export.ConsoleSpanExporter",
}
_KINDS = {
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
}


class Tracer:
    """Our spans in OpenTelemetry's words."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("notifier")

    @contextmanager
    def span(
        self, name: str, *, kind: Kind, parent: str, attributes: dict[str, str]
    ) -> Iterator[Any]:
        """As ``queues.events.tracing.Tracer``."""
        with self._tracer.start_as_current_span(
            name,
            context=_context(parent) if parent else None,
            kind=_KINDS[kind],
            attributes=attributes,
            # Both would tell its text, which may quote a customer.
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            try:
                yield made
            except Exception as exc:
                made.set_status(StatusCode.ERROR, type(exc).__name__)
                raise

    def traceparent(self) -> str:
        """As ``queues.events.tracing.Tracer``."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return ""
        return f"00-{current.trace_id:032x}-{current.span_id:016x}-{int(current.trace_flags):02x}"


def start() -> None:
    """Export spans as settings say, from this process and those that it forks."""
    provider = TracerProvider(
        resource=Resource.create(
            {SERVICE_NAME: "notifier", SERVICE_VERSION: settings.RELEASE or "unknown"}
        )
    )
    provider.add_span_processor(BatchSpanProcessor(_exporter(settings.TRACES_EXPORTER)))
    tracing.use(Tracer(provider))


def _exporter(name: str) -> SpanExporter:
    """OTLP's own is set by OTEL_EXPORTER_OTLP_ENDPOINT and its like, which it reads itself."""
    try:
        made: SpanExporter = import_string(EXPORTERS[name])()
    except KeyError:
        raise ImproperlyConfigured(
            f"TRACES_EXPORTER={name} is unknown. Use {' or '.join(EXPORTERS)}, or leave it empty."
        ) from None
    except ImportError as exc:
        raise ImproperlyConfigured(
            f"TRACES_EXPORTER={name} needs more packages. Run: pip install -r requirements-otel.in"
        ) from exc
    return made


def _context(traceparent: str) -> Any:
    _, trace_id, span_id, flags = traceparent.split("-")
    parent = SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return trace.set_span_in_context(NonRecordingSpan(parent))
