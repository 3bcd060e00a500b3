from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator, EmailValidator
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget


class IdentityForm(forms.Form):
    name = forms.CharField(
        label="Address or domain",
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "shop@example.com or example.com"}),
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        validate = EmailValidator() if "@" in name else DomainNameValidator()
        try:
            validate(name)
        except ValidationError:
            raise ValidationError(f"{name} is neither an email address nor a domain.") from None
        return _as_ses_writes(name)


class DeleteIdentityForm(forms.Form):
    typed = forms.CharField(
        label="Type its name to delete it",
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed.lower() != self._name.lower():
            raise ValidationError(f"This is not {self._name}: nothing was deleted.")
        return typed


class SenderForm(forms.Form):
    address = forms.EmailField(
        label="Address",
        max_length=254,
        widget=UnfoldAdminEmailInputWidget(attrs={"placeholder": "shop@example.com"}),
    )
    display_name = forms.CharField(
        label="Name that readers see",
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Example Shop"}),
    )

    def clean_address(self) -> str:
        return _as_ses_writes(self.cleaned_data["address"])

    def clean_display_name(self) -> str:
        name = " ".join(self.cleaned_data["display_name"].split())
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in name):
            raise ValidationError("The name has characters that cannot be seen.")
        return name


class TestEmailForm(forms.Form):
    recipient = forms.EmailField(
        label="Send it to", max_length=254, widget=UnfoldAdminEmailInputWidget
    )
    # Empty: the default sender.
    sender = forms.EmailField(max_length=254, required=False, widget=forms.HiddenInput)

    def clean_sender(self) -> str:
        return _as_ses_writes(self.cleaned_data["sender"])


def _as_ses_writes(name: str) -> str:
    """The domain in lower case and ASCII."""
    local, at, domain = name.rpartition("@")
    try:
        return local + at + domain.lower().encode("idna").decode()
    except UnicodeError:
        raise ValidationError(f"{domain} cannot be written as a domain.") from None
