"""Show every view a stranger while the person has given a password and not yet the second factor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from notifier.staff import factors


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Build the middleware; it stands behind those of the log-in and of django-otp.

    It looks when a view asks for the user: most requests of the shop never do.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        known = request.user
        look = partial(factors.seen, request, known)
        shown: Any = SimpleLazyObject(look)
        factors.remember(request, known)
        request.user = shown
        vars(request)["auser"] = sync_to_async(look)
        return get_response(request)

    return answer
