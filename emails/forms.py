from __future__ import annotations

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
        local, at, domain = name.rpartition("@")
        return local + at + domain.lower()


class TestEmailForm(forms.Form):
    recipient = forms.EmailField(
        label="Send it to", max_length=254, widget=UnfoldAdminEmailInputWidget
    )
