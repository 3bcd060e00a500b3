from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanWidget,
)


class DoctorForm(forms.Form):
    send = forms.BooleanField(
        label="Let an email bounce",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Sends an email to SES's mailbox simulator and waits up to a minute until its bounce is read. No "
        "customer gets anything.",
    )


class RoundtripForm(forms.Form):
    alias = forms.ChoiceField(label="Queue", widget=UnfoldAdminSelectWidget)
    email = forms.EmailField(
        label="Test email to",
        required=False,
        widget=UnfoldAdminEmailInputWidget,
        help_text="Optional: afterwards SES is given a test email to this address.",
    )

    def __init__(self, *args: Any, may_send: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["alias"]
        field.choices = [(alias, alias) for alias in settings.QUEUES]
        if not may_send:
            del self.fields["email"]
