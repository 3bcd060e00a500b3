"""Export spans by OpenTelemetry; imported only if ``TRACES_EXPORTER`` is set.

Spans name queues, routes and ids, never an address. Of an exception they name only the class.
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
    """Make our spans with OpenTelemetry."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("notifier")

    @contextmanager
    def span(
        self, name: str, *, kind: Kind, parent: str, attributes: dict[str, str]
    ) -> Iterator[Any]:
        """Open a span, as ``queues.events.tracing.Tracer`` describes."""
        with self._tracer.start_as_current_span(
            name,
            context=_context(parent) if parent else None,
            kind=_KINDS[kind],
            attributes=attributes,
            # Both would export the exception's text, which may quote a customer.
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            try:
                yield made
            except Exception as exc:
                made.set_status(StatusCode.ERROR, getattr(exc, "code", "") or type(exc).__name__)
                raise

    def traceparent(self) -> str:
        """Return the current span's ``traceparent``, as ``queues.events.tracing.Tracer`` describes."""
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
    """Return the exporter of this name; OTLP reads OTEL_EXPORTER_OTLP_ENDPOINT and similar variables itself."""
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
