"""The page to log in to the admin, as Django makes it, with the status that tells programs to wait."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    """429 with ``Retry-After`` where the form looked at no password because too many were wrong."""
    response: Any = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if seconds := getattr(form, "wait_seconds", 0):
        response.status_code = 429
        response["Retry-After"] = str(seconds)
    answer: HttpResponse = response
    return answer
