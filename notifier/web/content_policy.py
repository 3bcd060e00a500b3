"""What a browser may load, run and send for our pages: the header ``Content-Security-Policy``.

Django 6 brings such a middleware; here it is twenty lines, and the admin needs a policy of its own whatever sets it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
_EXPLAINED_IN_DEBUG = (404, 500)

_SITE = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # Swagger UI draws its icons, and the shop its products, out of the page itself.
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
# Unfold's Alpine makes functions of attributes; its widths and colours, and the styles of an email that is shown, stand
# in the page. No script does.
_ADMIN = _SITE | {
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
}


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """The outermost one, so that no answer is without; a view that sets a policy of its own keeps it."""
    site, admin = _spelt(_SITE), _spelt(_ADMIN)

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Django's pages for developers are one file with everything in it.
        if not (settings.DEBUG and response.status_code in _EXPLAINED_IN_DEBUG):
            response.setdefault(HEADER, admin if request.path_info.startswith("/admin/") else site)
        return response

    return answer


def _spelt(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {sources}" for name, sources in policy.items())
