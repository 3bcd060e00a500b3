"""Give each request an id that its log lines, its trace and the events that it records share."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from queues.events import tracing

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._=+/-]{8,128}")
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """Return the id of the request that this thread answers; empty outside of a request."""
    return _request_id.get()


def follow(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Build the middleware that takes the id and the trace from a proxy, or makes a new id."""

    def answer(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        name = given if _ID.fullmatch(given) else uuid.uuid4().hex
        token = _request_id.set(name)
        try:
            response = _traced(request, get_response)
        finally:
            _request_id.reset(token)
        response[HEADER] = name
        return response

    return answer


def _traced(
    request: HttpRequest, get_response: Callable[[HttpRequest], HttpResponse]
) -> HttpResponse:
    began = time.monotonic()
    parent = request.headers.get("traceparent", "")
    method = request.method or "GET"
    with (
        tracing.continued(parent),
        tracing.span(method, kind="server", parent=parent, request_id=request_id()) as span,
    ):
        response = get_response(request)
        route = _route(request)
        if span is not None:
            _describe(span, f"{method} {route}", route=route, status=response.status_code)
        if settings.LOG_FORMAT == "json":
            milliseconds = round((time.monotonic() - began) * 1000)
            logger.info(
                "answered method=%s route=%s status=%d ms=%d",
                method,
                route,
                response.status_code,
                milliseconds,
            )
    return response


def _describe(span: Any, name: str, *, route: str, status: int) -> None:
    span.update_name(name)
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)


def _route(request: HttpRequest) -> str:
    """Return the URL pattern, not the path, which may name a customer."""
    match = request.resolver_match
    return f"/{match.route}" if match else "-"
