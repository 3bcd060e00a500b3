"""Serve Django's log-in page of the admin, with a status that tells programs to wait after too many failures."""

from __future__ import annotations

import math
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from unfold.forms import AuthenticationForm

from notifier.staff import lockouts
from orders.limits import client_address


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    """Log in; answer 429 with ``Retry-After`` if too many failures keep the form from checking a password."""
    response: Any = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if seconds := getattr(form, "wait_seconds", 0):
        response.status_code = 429
        response["Retry-After"] = str(seconds)
    answer: HttpResponse = response
    return answer


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # Unfold has no types
    """The admin's log-in form; after too many failures it checks no password, and ``wait_seconds`` is above 0."""

    wait_seconds = 0

    def clean(self) -> dict[str, Any]:
        """Count the attempt before the password is checked, because many guesses may come at the same time."""
        cleaned: dict[str, Any] = self.cleaned_data
        account = cleaned.get("username")
        if not account or not cleaned.get("password"):
            return cleaned
        origin = client_address.origin(self.request)
        self.wait_seconds = lockouts.begin(account, origin)
        if self.wait_seconds:
            raise ValidationError(_words(self.wait_seconds), code="locked")
        try:
            cleaned = super().clean()
        except ValidationError:
            lockouts.fail(account, origin)
            raise
        lockouts.succeed(account, origin)
        return cleaned


def _words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    when = "a minute" if minutes == 1 else f"{minutes} minutes"
    return (
        f"Too many failed log-ins to this account from where you are. Try again in {when}, "
        "or ask an operator to unlock it under Failed log-ins."
    )
