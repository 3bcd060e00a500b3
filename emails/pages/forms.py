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

from emails.models.identities import Brand
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


class BrandForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    class Meta:
        model = Brand
        fields = [
            "address",
            "display_name",
            "reply_to",
            "name",
            "mark",
            "colour",
            "footer",
            "support",
        ]
        field_classes = dict.fromkeys(("address", "reply_to", "support"), addresses.AddressField)
        help_texts = {
            "address": "SES must have verified it, or its domain. Empty: the default sender.",
            "display_name": "What inboxes show. Empty: the name on the letterhead.",
            "reply_to": "Empty: the sender.",
            "support": "Named in every email and on the pages of orders.",
        }
        widgets = {
            "address": UnfoldAdminEmailInputWidget,
            "display_name": UnfoldAdminTextInputWidget,
            "reply_to": UnfoldAdminEmailInputWidget,
            "name": UnfoldAdminTextInputWidget,
            "mark": UnfoldAdminTextInputWidget,
            "colour": UnfoldAdminSelectWidget,
            "footer": UnfoldAdminTextInputWidget,
            "support": UnfoldAdminEmailInputWidget,
        }

    def __init__(self, *args: Any, defaults: Brand, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "mark"):
            self.fields[name].widget.attrs["placeholder"] = getattr(defaults, name)

    def clean(self) -> dict[str, Any]:
        super().clean()
        for name in ("display_name", "name", "mark", "footer"):
            if name in self.cleaned_data:
                self.cleaned_data[name] = self._plain(name)
        if self.cleaned_data.get("display_name") and not self.cleaned_data.get("address", "-"):
            self.add_error("address", "A sender with a name of its own needs an address.")
        for name in ("address", "reply_to", "support"):
            if given := self.cleaned_data.get(name):
                self.cleaned_data[name] = addresses.deliverable(given)
        return self.cleaned_data

    def _plain(self, name: str) -> str:
        text = " ".join(self.cleaned_data[name].split())
        if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in text):
            self.add_error(name, "It contains invisible characters.")
        return text


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
