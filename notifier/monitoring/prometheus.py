"""Serve ``/metrics`` for Prometheus; the figures come from the database, so any web process gives the same answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hmac import compare_digest
from ipaddress import ip_address

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from notifier.monitoring import gauges

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# A request with one of these headers came through a proxy, so it is not from this machine, whatever its address.
_PASSED_ON = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via")


@never_cache
@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Answer callers with METRICS_TOKEN; if none is set, only callers on this machine."""
    if not _may_see(request):
        return HttpResponse(
            "Send METRICS_TOKEN as a bearer token. If it is not set, only this machine may ask.\n",
            status=401 if settings.METRICS_TOKEN else 403,
            content_type="text/plain",
            headers={"WWW-Authenticate": "Bearer"} if settings.METRICS_TOKEN else {},
        )
    try:
        text = exposition(gauges.read())
    except Error as exc:
        return HttpResponse(
            f"The database does not answer: {type(exc).__name__}.\n",
            status=503,
            content_type="text/plain",
        )
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def exposition(found: list[gauges.Gauge]) -> bytes:
    """Write the figures in Prometheus's text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(found))
    return generate_latest(registry)


def prometheus_name(name: str) -> str:
    """Turn ``OpenDeadLetters`` into ``notifier_open_dead_letters``."""
    return f"notifier_{_WORD.sub('_', name).lower()}"


class _Collected:
    def __init__(self, found: list[gauges.Gauge]) -> None:
        self._found = found

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for gauge in self._found:
            family = families.get(gauge.name)
            if family is None:
                labels = ["queue"] if gauge.queue else []
                family = families[gauge.name] = GaugeMetricFamily(
                    prometheus_name(gauge.name), gauge.help, labels=labels
                )
            family.add_metric([gauge.queue] if gauge.queue else [], gauge.value)
        yield from families.values()


def _may_see(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and compare_digest(
            token.encode(), settings.METRICS_TOKEN.encode()
        )
    if any(name in request.headers for name in _PASSED_ON):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        # A request by a Unix socket of this machine has no address.
        return not request.META.get("REMOTE_ADDR")
