"""Serve Django's log-in page of the admin, with a status that tells programs to wait after too many failures."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from unfold.forms import AuthenticationForm

from notifier.staff import factors, lockouts
from orders.limits import client_address


@never_cache
def log_in(request: HttpRequest) -> HttpResponse:
    """Ask for name and password, then lead to the second step; answer 429 with ``Retry-After`` while locked."""
    if request.method in ("GET", "HEAD") and factors.half(request):
        query = urlencode({"next": request.GET.get("next", "")})
        return redirect(f"{reverse('second-step')}?{query}")
    response: Any = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    return told_to_wait(response, form)


def told_to_wait(response: HttpResponse, form: Any) -> HttpResponse:
    """Make this answer a 429 with ``Retry-After`` if the form had to check nothing after too many failures."""
    if seconds := getattr(form, "wait_seconds", 0):
        response.status_code = 429
        response["Retry-After"] = str(seconds)
    return response


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # Unfold has no types
    """The admin's log-in form; after too many failures it checks no password, and ``wait_seconds`` is above 0."""

    wait_seconds = 0

    def clean(self) -> dict[str, Any]:
        """Count the attempt before the password is checked, because many guesses may come at the same time."""
        cleaned: dict[str, Any] = self.cleaned_data
        account = cleaned.get("username")
        if not account or not cleaned.get("password"):
            return cleaned
        try:
            with lockouts.counted(account, client_address.origin(self.request)):
                cleaned = super().clean()
        except lockouts.Locked as exc:
            self.wait_seconds = exc.seconds
            raise ValidationError(exc.message, code=exc.code) from exc
        return cleaned
