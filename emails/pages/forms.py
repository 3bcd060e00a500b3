from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import DomainNameValidator, EmailValidator
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)


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
            raise ValidationError(f"{name} is not an email address or a domain.") from None
        return _as_ses_writes(name)


class DeleteIdentityForm(forms.Form):
    typed = forms.CharField(
        label="Type the name to delete it",
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autofocus": True}),
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = name

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if typed.lower() != self._name.lower():
            raise ValidationError(f"The name does not match {self._name}. Nothing was deleted.")
        return typed


class MailFromForm(forms.Form):
    """Set the MAIL FROM domain of a domain; an empty ``mail_from`` removes it."""

    name = forms.CharField(max_length=255, widget=forms.HiddenInput)
    mail_from = forms.CharField(
        label="MAIL FROM domain",
        max_length=255,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="A subdomain that receives no email and that no From address uses.",
    )
    failing = forms.ChoiceField(
        label="While its MX record is missing",
        choices=[
            ("UseDefaultValue", "SES sends with amazonses.com"),
            ("RejectMessage", "SES rejects every email"),
        ],
        initial="UseDefaultValue",
        widget=UnfoldAdminSelectWidget,
    )

    def clean_name(self) -> str:
        return _domain(self.cleaned_data["name"])

    def clean_mail_from(self) -> str:
        given = self.cleaned_data["mail_from"]
        name = self.cleaned_data.get("name", "")
        domain = _domain(given) if given else ""
        if domain and not domain.endswith(f".{name}"):
            raise ValidationError(
                f"{domain} is not a subdomain of {name}. Use bounce.{name}, for example."
            )
        return domain


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
            raise ValidationError("The name contains invisible characters.")
        return name


class TestEmailForm(forms.Form):
    recipient = forms.EmailField(
        label="Send to", max_length=254, widget=UnfoldAdminEmailInputWidget
    )
    # If empty, the test is sent from the default sender.
    sender = forms.EmailField(max_length=254, required=False, widget=forms.HiddenInput)

    def clean_sender(self) -> str:
        return _as_ses_writes(self.cleaned_data["sender"])


def _domain(name: str) -> str:
    name = _as_ses_writes(name)
    try:
        DomainNameValidator()(name)
    except ValidationError:
        raise ValidationError(f"{name} is not a domain.") from None
    return name


def _as_ses_writes(name: str) -> str:
    """Write the domain in lower case and ASCII, as SES does."""
    local, at, domain = name.rpartition("@")
    try:
        return local + at + domain.lower().encode("idna").decode()
    except UnicodeError:
        raise ValidationError(f"{domain} is not a valid domain.") from None
