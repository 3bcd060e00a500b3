"""What every request must be, and what it is answered while the database is away."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10


def no_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Nothing is found under a NUL: PostgreSQL stores none, and an error is all that it says to one."""

    def answer(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            raise Http404("an address with a NUL")
        return get_response(request)

    return answer


class DatabaseAway:
    """A database that is down, full or locked is no bug: 503, and when to try again, by a page that needs none."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing is done before or after the view."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Asked by Django when a view, or the template that it left to be rendered, failed."""
        return unavailable(request, exc) if is_outage(exc) else None


def is_outage(exc: BaseException | None) -> bool:
    """Whether the same request may succeed in a moment."""
    return isinstance(exc, OperationalError | InterfaceError)


def unavailable(request: HttpRequest, exc: BaseException) -> HttpResponse:
    """The page. It must not say that nothing was saved: the answer to a commit may be what was lost."""
    reason = str(exc).partition("\n")[0]
    logger.error("answered 503 path=%s %s: %s", request.path, type(exc).__name__, reason)
    is_admin = request.path_info.startswith("/admin/")
    page = render_to_string("503.html", {"is_admin": is_admin})
    return HttpResponse(page, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
