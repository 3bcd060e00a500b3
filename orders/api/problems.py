"""Errors as RFC 9457 problem details: what happened, in words, with a code for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse

PREFIX = "/api/"
CONTENT_TYPE = "application/problem+json"
MAX_BYTES = 64 * 1024

# All other headers of a page that becomes a problem stay: when to try again, and what protects the browser.
_OF_THE_BODY = ("Content-Type", "Content-Length")
# What other parts of the project answer by a page.
_WORDS = {
    400: ("bad_request", "This request cannot be understood."),
    403: ("forbidden", "This is not for you."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This method is not possible here."),
    411: ("length_required", "Say how long the body is: send Content-Length."),
    413: ("too_large", f"A body has at most {MAX_BYTES} bytes."),
    503: (
        "unavailable",
        "The database does not answer. It may have been done all the same:"
        " send it again with the same Idempotency-Key.",
    ),
}
_INTERNAL = ("internal", "An error of ours; it is in our log. Send it again later.")


class Problem(Exception):
    """An answer that is an error. ``code`` is for programs and stays; ``errors`` say which fields are wrong."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Iterable[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = list(errors)
        self.headers = headers or {}

    def body(self) -> str:
        """The JSON."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
        }
        return json.dumps(body | ({"errors": self.errors} if self.errors else {}))

    def response(self) -> HttpResponse:
        """It, to be sent."""
        return HttpResponse(
            self.body(), status=self.status, content_type=CONTENT_TYPE, headers=self.headers
        )


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Under the API's address no error is a page, whoever made it; and no body is larger than it may be."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return get_response(request)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # Django would read nothing of it.
            return _of(411).response()
        if _is_too_large(request):
            return _of(413).response()
        response = get_response(request)
        response.setdefault("Cache-Control", "no-store")
        if response.status_code < 400 or response["Content-Type"] == CONTENT_TYPE:
            return response
        return _translated(response)

    return answer


def _is_too_large(request: HttpRequest) -> bool:
    """Without reading it: servers stop reading at the length that is announced."""
    announced = request.META.get("CONTENT_LENGTH") or "0"
    return announced.isdecimal() and int(announced[:20]) > MAX_BYTES


def _translated(response: HttpResponse) -> HttpResponse:
    translated = _of(response.status_code).response()
    for name, value in response.items():
        if name not in _OF_THE_BODY:
            translated[name] = value
    return translated


def _of(status: int) -> Problem:
    code, words = _WORDS.get(status, _WORDS[400] if status < 500 else _INTERNAL)
    return Problem(status, code, words)
