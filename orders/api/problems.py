"""Answer errors as RFC 9457 problem details: what happened, in words, with a code for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse

PREFIX = "/api/"
CONTENT_TYPE = "application/problem+json"
MAX_BYTES = 64 * 1024

# When a page becomes a problem, all its other headers stay, such as Retry-After and those that protect the browser.
_OF_THE_BODY = ("Content-Type", "Content-Length")
# Errors that other parts of the project answer with a page.
_WORDS = {
    400: ("bad_request", "We cannot understand this request."),
    403: ("forbidden", "You may not do this."),
    404: ("not_found", "There is nothing here."),
    405: ("method_not_allowed", "This address does not support this method."),
    411: ("length_required", "Send Content-Length, the length of the body."),
    413: ("too_large", f"The body may have at most {MAX_BYTES} bytes."),
    503: (
        "unavailable",
        "The database does not answer. Your request may have been carried out all the same:"
        " send it again with the same Idempotency-Key.",
    ),
}
_INTERNAL = ("internal", "An error on our side; we have logged it. Try again later.")


class Problem(Exception):
    """An error answer. ``code`` is for programs and never changes; ``errors`` say which fields are wrong."""

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
        """Return the problem as JSON."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
        }
        return json.dumps(body | ({"errors": self.errors} if self.errors else {}))

    def response(self) -> HttpResponse:
        """Return the HTTP response."""
        return HttpResponse(
            self.body(), status=self.status, content_type=CONTENT_TYPE, headers=self.headers
        )


def middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[..., HttpResponse]:
    """Build the middleware that turns every error under the API's address into a problem and refuses large bodies."""

    def answer(request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX):
            return get_response(request)
        if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
            # Django would read such a body as empty.
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
    """Return True if ``Content-Length`` is too large; the body is not read, as servers stop at that length."""
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
