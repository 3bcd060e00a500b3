"""Refuse requests that no page can answer, and answer 503 while the database is down."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10


def no_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer 404 to an address with a NUL: PostgreSQL cannot store one and raises an error on it."""

    def answer(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise Http404("an address with a NUL")
        return get_response(request)

    return answer


class DatabaseAway:
    """Answer 503 with ``Retry-After`` if the database is down, full or locked, with a page that needs no database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Call the view; there is nothing to do before or after it."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Answer for a view, or its deferred template, that raised this exception; Django calls it."""
        return unavailable(request, exc) if is_outage(exc) else None


def is_outage(exc: BaseException | None) -> bool:
    """Return True if the database is down, so that the same request may succeed in a moment."""
    return isinstance(exc, OperationalError | InterfaceError)


def unavailable(request: HttpRequest, exc: BaseException) -> HttpResponse:
    """Return the 503 page.

    It must not say that nothing was saved: the commit may have succeeded, and only its answer was lost.
    """
    reason = str(exc).partition("\n")[0]
    logger.error("answered 503 path=%s %s: %s", request.path, type(exc).__name__, reason)
    is_admin = request.path_info.startswith("/admin/")
    page = render_to_string("503.html", {"is_admin": is_admin})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
