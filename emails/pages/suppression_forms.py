from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from emails.reputation.imports import MAX_BYTES
from emails.reputation.suppressions import SEND_AGAIN_DAYS
from queues.addresses import AddressField
from queues.pages.facts import ReasonForm


class LiftForm(ReasonForm):
    sends_again = forms.BooleanField(
        label="Send suppressed emails",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text=f"Sends the emails of the last {SEND_AGAIN_DAYS} days that these addresses did not get, once SES has "
        "been told: mostly within a minute.",
    )

    field_order = ("reason", "sends_again")

    def arguments(self) -> dict[str, Any]:
        return {"sends_again": self.cleaned_data["sends_again"]}

    def sentence(self, done: str) -> str:
        sent = ", and suppressed emails are sent" if self.cleaned_data["sends_again"] else ""
        return f"{done.capitalize()}{sent}: {self.cleaned_data['reason']}"


class AddForm(forms.Form):
    address = AddressField(widget=UnfoldAdminEmailInputWidget)
    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Shown in the list and in the log.",
    )


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget,
        help_text="From a spreadsheet, another email service, or an export of Notifier. The first line names the "
        "columns, one of them “email” or “address”, or holds an address itself.",
    )
    reason = forms.CharField(
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Used for addresses without a reason in the file. Shown in the list and in the log.",
    )

    def clean_file(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise ValidationError(
                f"The file has {(file.size or 0) / 1024 / 1024:.1f} MB. Import at most {MAX_BYTES >> 20} MB at once: "
                "split the file."
            )
        return file


class ConfirmImportForm(forms.Form):
    """Asks, if there are lifted addresses in the file, whether they are suppressed again."""

    reactivate = forms.BooleanField(
        label="Suppress lifted addresses again", required=False, widget=UnfoldBooleanWidget
    )

    def __init__(self, *args: Any, lifted: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if lifted:
            self.fields["reactivate"].help_text = (
                f"{lifted:,} of them were lifted here, because somebody knew that they work again, or their owners "
                "asked for it. Unless you choose this, they stay lifted."
            )
        else:
            del self.fields["reactivate"]
