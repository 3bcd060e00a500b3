"""Show the customers' pages in their language: the one that they chose, or else that of their browser.

The console, the API and everything else for staff and programs are in English.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

_ENGLISH = ("/admin/", "/api/", "/sandbox/", "/ses/")


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer each request in its language."""

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(_ENGLISH):
            with translation.override(settings.LANGUAGE_CODE):
                return get_response(request)
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response

    return answer
