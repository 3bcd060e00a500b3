"""Limit what a browser loads, runs and sends for our pages, with the header ``Content-Security-Policy``.

Django 6 has such a middleware. Ours is twenty lines, and the admin needs a policy of its own in either case.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"

_SITE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # Swagger UI's icons and the shop's product pictures are data URLs in the page.
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# Alpine, which Unfold uses, compiles attributes into functions. Unfold's widths and colours, and the styles of a shown
# email, are inline in the page. No script is.
_ADMIN = _SITE | {
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
}


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Build the outermost middleware, so that every answer has a policy; a view's own policy stays."""
    site, admin = _spelt(_SITE), _spelt(_ADMIN)

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Django's debug pages have their scripts and styles inline.
        if not (settings.DEBUG and response.status_code in (404, 500)):
            response.setdefault(HEADER, admin if request.path_info.startswith("/admin/") else site)
        return response

    return answer


def _spelt(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())
