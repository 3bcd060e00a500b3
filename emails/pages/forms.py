from __future__ import annotations

import unicodedata
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from emails.models.identities import Brand
from queues import addresses
from queues.events import links


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


class TemplateSenderForm(forms.Form):
    """What one template has instead of the brand of its sample, and instead of that brand's sender and replies."""

    brand = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    address = addresses.AddressField(
        label="Sender",
        required=False,
        help_text="SES must have verified it, or its domain. Empty: the sender of the brand.",
        widget=UnfoldAdminEmailInputWidget,
    )
    display_name = forms.CharField(
        label="Name of the sender",
        max_length=100,
        required=False,
        help_text="What inboxes show. Empty: the name of the brand.",
        widget=UnfoldAdminTextInputWidget,
    )
    reply_to = addresses.AddressField(
        label="Replies go to",
        required=False,
        help_text="Empty: as the brand says.",
        widget=UnfoldAdminEmailInputWidget,
    )

    def __init__(self, *args: Any, default: str, brands: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        brand = cast(forms.ChoiceField, self.fields["brand"])
        brand.choices = [("", f"{default}, as the template says"), *((key, key) for key in brands)]

    def clean_display_name(self) -> str:
        return _plain(self.cleaned_data["display_name"])

    def clean(self) -> dict[str, Any]:
        super().clean()
        found = self.cleaned_data
        if found.get("display_name") and not found.get("address", "-"):
            self.add_error("address", "A sender with a name of its own needs an address.")
        for name in ("address", "reply_to"):
            if given := found.get(name):
                found[name] = addresses.deliverable(given)
        return found


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
            "logo",
            "logo_alt",
            "logo_width",
        ]
        field_classes = dict.fromkeys(("address", "reply_to", "support"), addresses.AddressField)
        help_texts = {
            "address": "SES must have verified it, or its domain. Empty: the default sender.",
            "display_name": "What inboxes show. Empty: the name on the letterhead.",
            "reply_to": "Empty: the sender.",
            "support": "Named in every email and on the pages of orders.",
            "logo": "The https address of an image, on a host that links may lead to. Empty: letter and name.",
            "logo_alt": "Shown where images are off. Empty: the name on the letterhead.",
            "logo_width": "In pixels. Empty: 120. Use an image of twice the width, so that phones show it sharp.",
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
            "logo": UnfoldAdminTextInputWidget,
            "logo_alt": UnfoldAdminTextInputWidget,
            "logo_width": UnfoldAdminIntegerFieldWidget,
        }

    def __init__(self, *args: Any, defaults: Brand, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "mark"):
            self.fields[name].widget.attrs["placeholder"] = getattr(defaults, name)

    def clean(self) -> dict[str, Any]:
        super().clean()
        for name in ("display_name", "name", "mark", "footer", "logo_alt"):
            if name in self.cleaned_data:
                self.cleaned_data[name] = self._plain(name)
        if self.cleaned_data.get("display_name") and not self.cleaned_data.get("address", "-"):
            self.add_error("address", "A sender with a name of its own needs an address.")
        for name in ("address", "reply_to", "support"):
            if given := self.cleaned_data.get(name):
                self.cleaned_data[name] = addresses.deliverable(given)
        return self.cleaned_data

    def clean_logo(self) -> str:
        given: str = self.cleaned_data["logo"].strip()
        if given and not given.startswith("https://"):
            raise ValidationError("The address must begin with https://.")
        try:
            return given and links.check(given)
        except ValueError as exc:
            raise ValidationError(f"{str(exc)[:1].upper()}{str(exc)[1:]}.") from exc

    def _plain(self, name: str) -> str:
        try:
            return _plain(self.cleaned_data[name])
        except ValidationError as exc:
            self.add_error(name, exc)
        return ""


class TestEmailForm(forms.Form):
    recipient = addresses.AddressField(label="Send to", widget=UnfoldAdminEmailInputWidget)
    # If empty, the test is sent from the default sender.
    sender = addresses.AddressField(required=False, widget=forms.HiddenInput)

    def clean_sender(self) -> str:
        sender: str = self.cleaned_data["sender"]
        return sender and addresses.deliverable(sender)


def _plain(text: str) -> str:
    """Return the text on one line; raises ValidationError."""
    text = " ".join(text.split())
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in text):
        raise ValidationError("It contains invisible characters.")
    return text


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
