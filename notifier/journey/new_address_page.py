"""Let staff correct the address of an email that did not arrive, and send it again."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from emails.dead_letters import new_addresses
from emails.dead_letters.new_addresses import Undelivered
from notifier.journey import email_outcomes
from queues import masking
from queues.addresses import AddressField
from queues.console import TIMELINE
from queues.errors import Uncorrectable

PERMISSION = "emails.readdress_notification"
NEEDED = (*TIMELINE, PERMISSION, masking.PERMISSION)


class NewAddressForm(forms.Form):
    """Asks for the address and a reason; ``version`` says what its reader saw."""

    address = AddressField(
        label="Correct address", widget=UnfoldAdminEmailInputWidget(attrs={"autocomplete": "off"})
    )
    reason = forms.CharField(
        required=False,
        max_length=300,
        widget=UnfoldAdminTextInputWidget,
        help_text="Optional; recorded in the log. Write no address here.",
    )
    version = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, found: Undelivered, **kwargs: Any) -> None:
        super().__init__(*args, initial={"version": found.version}, **kwargs)
        self.found = found

    def clean_address(self) -> str:
        """Refuse an address that the email may not go to."""
        address: str = self.cleaned_data["address"]
        if problem := new_addresses.problem(self.found, address):
            raise ValidationError(problem)
        return address

    def clean(self) -> None:
        """Refuse what somebody else has corrected since the page was opened."""
        if self.cleaned_data.get("version") != self.found.version:
            raise ValidationError("This email has changed meanwhile. Open the page again.")


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(NEEDED, raise_exception=True)
def correct(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Ask for the address, ask whether to send, then send."""
    timeline = reverse("timeline", args=[event_id])
    try:
        found = new_addresses.of(event_id)
    except Uncorrectable as exc:
        messages.error(request, str(exc))
        return redirect(timeline)
    form = NewAddressForm(request.POST if request.method == "POST" else None, found=found)
    if not form.is_valid():
        return _show(request, found, form)
    if "confirmed" not in request.POST:
        return _show(request, found, form, address=form.cleaned_data["address"])
    return _send(request, found, form)


def _send(request: HttpRequest, found: Undelivered, form: NewAddressForm) -> HttpResponse:
    address, reason = form.cleaned_data["address"], form.cleaned_data["reason"]
    try:
        with transaction.atomic():
            email = new_addresses.correct(found, address)
            # The log keeps no address.
            words = "Corrected the address and sent the email again"
            LogEntry.objects.log_actions(
                cast(int, request.user.pk),
                [email],
                CHANGE,
                f"{words}: {reason}" if reason else f"{words}.",
                single_object=True,
            )
    except Uncorrectable as exc:
        messages.error(request, str(exc))
    else:
        messages.success(request, f"1 email to {address} is on its way.")
    return redirect("timeline", found.event.id)


def _show(
    request: HttpRequest, found: Undelivered, form: NewAddressForm, **context: Any
) -> HttpResponse:
    outcome = found.notification and email_outcomes.of_notifications([found.notification])
    page = admin.site.each_context(request) | {
        "title": f"Correct the address of {found.event.subject or 'this email'}",
        "found": found,
        "outcome": next(iter(outcome.values())) if outcome else None,
        "form": form,
        "timeline": reverse("timeline", args=[found.event.id]),
    }
    return TemplateResponse(request, "admin/new_address.html", page | context)
