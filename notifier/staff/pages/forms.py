from __future__ import annotations

import math
from typing import Any

import django_otp
from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from notifier.models import RecoveryCodes
from notifier.staff import factors, lockouts
from notifier.staff.pages import passkeys
from orders.limits import client_address

_WRONG = "This code is wrong, or was used before. An app shows a new one every 30 seconds."
_CODE_WIDGET = {
    "autocomplete": "one-time-code",
    "autocapitalize": "none",
    "spellcheck": "false",
    "autofocus": "",
}


class ProofForm(forms.Form):
    """Asks for a proof of who somebody is: a code or a passkey; the password of whoever has no device.

    After ``is_valid``, ``device`` is what they used; None for a password. ``wait_seconds`` is above 0 if too many
    failures kept the form from checking anything.
    """

    wait_seconds = 0
    device: Any = None

    code = forms.CharField(
        max_length=40,
        required=False,
        help_text="From your authenticator app, or one of your recovery codes.",
        widget=UnfoldAdminTextInputWidget(attrs=_CODE_WIDGET),
    )
    password = forms.CharField(
        max_length=4096,
        strip=False,
        required=False,
        help_text="The password of your own account.",
        widget=UnfoldAdminPasswordWidget(
            attrs={"autocomplete": "current-password", "autofocus": ""}
        ),
    )
    passkey = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, request: HttpRequest, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.user = request, user
        for name in ("password",) if factors.has_device(user) else ("code", "passkey"):
            del self.fields[name]

    @property
    def takes_passkeys(self) -> bool:
        """True if the person has a passkey, and may use it at this address."""
        return (
            "passkey" in self.fields
            and passkeys.are_possible(self.request)
            and any(not isinstance(device, TOTPDevice) for device in factors.devices(self.user))
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        given = next(((name, value) for name, value in cleaned.items() if value), None)
        if given is None:
            raise ValidationError("Enter a code." if "code" in self.fields else "Enter it.")
        name, value = given
        # A right password must not take back the failures of the second step.
        account = self.user.username if name == "password" else f"{self.user} (second step)"
        try:
            with lockouts.counted(account[:150], client_address.origin(self.request)):
                self.device = getattr(self, f"_by_{name}")(value)
        except lockouts.Locked as exc:
            self.wait_seconds = exc.seconds
            raise ValidationError(exc.message, code=exc.code) from exc
        return cleaned

    def _by_password(self, password: str) -> None:
        if authenticate(self.request, username=self.user.username, password=password) is None:
            raise ValidationError("This is not your password.", code="password")

    def _by_passkey(self, answer: str) -> Any:
        return passkeys.used(self.request, self.user, answer)

    def _by_code(self, code: str) -> Any:
        plain = code.replace(" ", "")
        model = TOTPDevice if plain.isdigit() else RecoveryCodes
        device = model.objects.filter(user=self.user, confirmed=True).first()
        if device is None:
            raise ValidationError(_WRONG, code="code")
        if seconds := _seconds_to_wait(device):
            raise ValidationError(
                f"Too many wrong codes. Try again in {seconds} seconds.", code="code"
            )
        if not (used := django_otp.verify_token(self.user, device.persistent_id, plain)):
            raise ValidationError(_WRONG, code="code")
        return used


class AppForm(forms.Form):
    """Confirms that an authenticator app has the key."""

    code = forms.CharField(
        max_length=10,
        label="Code from the app",
        widget=UnfoldAdminTextInputWidget(attrs=_CODE_WIDGET | {"inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, user: User, key: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.device = TOTPDevice(user=user, key=key, name="Authenticator app", confirmed=False)

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"].replace(" ", "")
        self.device.save()
        if not django_otp.verify_token(self.device.user, self.device.persistent_id, code):
            self.device.delete()
            raise ValidationError(
                "This code is wrong. Enter the one that the app shows now, and check that the phone's clock is right."
            )
        self.device.refresh_from_db()
        return code


class PasskeyForm(forms.Form):
    """Names a passkey that the browser makes."""

    name = forms.CharField(
        max_length=64,
        label="Name of the passkey",
        initial="Passkey",
        help_text="So that you recognise it: “Work laptop”, “Blue key”.",
        widget=UnfoldAdminTextInputWidget,
    )
    passkey = forms.CharField(widget=forms.HiddenInput)


class NameForm(forms.Form):
    """Renames a device."""

    name = forms.CharField(max_length=64, widget=UnfoldAdminTextInputWidget)


def _seconds_to_wait(device: Any) -> int:
    """Return how long django-otp takes no code for this device, from wherever it comes."""
    allowed, why = device.verify_is_allowed()
    if allowed:
        return 0
    left = why["locked_until"] - timezone.now()
    return max(1, int(math.ceil(left.total_seconds())))
