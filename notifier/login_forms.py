from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm

from notifier import lockouts
from orders import client_address


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # Unfold has no types
    """The admin's, that looks at no password once too many were wrong. ``wait_seconds`` is 0 unless that is so."""

    wait_seconds = 0

    def clean(self) -> dict[str, Any]:
        """Counts before the password is looked at: many guesses may come at the same time."""
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
