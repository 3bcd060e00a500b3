from __future__ import annotations

import unicodedata
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from queues import addresses


class IdentityForm(forms.Form):
    name = forms.CharField(
        label="Address or domain",
        max_length=255,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "shop@example.com or example.com"}),
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        return _as_ses_writes(name, f"{name} is not an email address or a domain.")


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
        if addresses.key(typed) != addresses.key(self._name):
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
    address = addresses.AddressField(
        label="Address",
        widget=UnfoldAdminEmailInputWidget(attrs={"placeholder": "shop@example.com"}),
    )
    display_name = forms.CharField(
        label="Name that readers see",
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Example Shop"}),
    )

    def clean_address(self) -> str:
        return addresses.deliverable(self.cleaned_data["address"])

    def clean_display_name(self) -> str:
        name = " ".join(self.cleaned_data["display_name"].split())
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in name):
            raise ValidationError("The name contains invisible characters.")
        return name


class TestEmailForm(forms.Form):
    recipient = addresses.AddressField(label="Send to", widget=UnfoldAdminEmailInputWidget)
    # If empty, the test is sent from the default sender.
    sender = addresses.AddressField(required=False, widget=forms.HiddenInput)

    def clean_sender(self) -> str:
        sender: str = self.cleaned_data["sender"]
        return sender and addresses.deliverable(sender)


def _domain(name: str) -> str:
    if "@" in name:
        raise ValidationError(f"{name} is not a domain.")
    return _as_ses_writes(name, f"{name} is not a domain.")


def _as_ses_writes(name: str, problem: str) -> str:
    """Write the domain in lower case and ASCII, as SES does."""
    try:
        return addresses.identity(addresses.as_typed(name))
    except addresses.Undeliverable:
        raise ValidationError(problem) from None
