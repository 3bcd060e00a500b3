"""Show the console's times in the reader's own time zone: the one they chose, or else that of their browser.

A script tells us the browser's zone in a cookie; without either cookie times are in ``TIME_ZONE``. Emails, the API and
the customers' pages stay as they are.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import datetime
from functools import cache

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

PATH = "/admin/"
CHOSEN, BROWSER = "time_zone", "browser_time_zone"
A_YEAR = 365 * 24 * 60 * 60


class Zone(zoneinfo.ZoneInfo):
    """A time zone that never names itself by a bare number: ``UTC-03`` where the IANA has no letters for it."""

    def tzname(self, when: datetime | None, /) -> str | None:
        """Return the abbreviation at that time."""
        name = super().tzname(when)
        return f"UTC{name}" if name and name[0] in "+-" else name


@cache
def names() -> list[str]:
    """Return the names a person may choose, in alphabetical order, ``UTC`` first."""
    places = (name for name in zoneinfo.available_timezones() if "/" in name)
    return ["UTC", *sorted(name for name in places if not name.startswith(("Etc/", "SystemV/")))]


def of(request: HttpRequest) -> Zone:
    """Return the time zone of whoever asks; a name that is no zone counts as none."""
    cookies = (request.COOKIES.get(name, "") for name in (CHOSEN, BROWSER))
    return Zone(next((name for name in cookies if name in _known()), settings.TIME_ZONE))


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Read and write all times of a console page in the reader's zone."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PATH):
            return get_response(request)
        with timezone.override(of(request)):
            return get_response(request)

    return answer


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """Let a person choose their time zone, or follow their browser again."""
    back = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = PATH
    if request.method == "POST":
        return _chosen(request, request.POST.get("zone", ""), back)
    context = {
        "title": "Time zone",
        "zones": names(),
        "chosen": request.COOKIES.get(CHOSEN, ""),
        "browser": request.COOKIES.get(BROWSER, ""),
        "next": back,
    }
    return TemplateResponse(
        request, "admin/time_zone.html", admin.site.each_context(request) | context
    )


def script(request: HttpRequest) -> str:
    """Return the address of the script that tells us the browser's zone."""
    return static("notifier/time_zone.js")


def _chosen(request: HttpRequest, zone: str, back: str) -> HttpResponse:
    response = redirect(back)
    if zone in _known():
        response.set_cookie(
            CHOSEN, zone, max_age=A_YEAR, path=PATH, secure=request.is_secure(), samesite="Lax"
        )
        messages.success(request, f"Times are in {zone}.")
    else:
        response.delete_cookie(CHOSEN, path=PATH, samesite="Lax")
        messages.success(request, "Times follow your browser's time zone.")
    return response


@cache
def _known() -> frozenset[str]:
    # To look for them reads hundreds of files.
    return frozenset(zoneinfo.available_timezones())
