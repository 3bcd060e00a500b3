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
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminTextInputWidget

from emails.dead_letters import new_addresses
from emails.dead_letters.new_addresses import Undelivered
from notifier.journey import email_outcomes
from notifier.journey.subjects import of_subject
from orders import services
from orders.models import Customer
from queues import addresses, masking
from queues.addresses import AddressField
from queues.console import TIMELINE, change_url
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
        super().__init__(*args, **kwargs)
        self.found = found
        self.initial["version"] = found.version

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
    try:
        found = new_addresses.of(event_id)
        customer = _customer(found) if found.is_personal else None
    except Uncorrectable as exc:
        messages.error(request, str(exc))
        return redirect("timeline", event_id)
    form = NewAddressForm(request.POST if request.method == "POST" else None, found=found)
    if not form.is_valid():
        return _show(request, found, form)
    if "confirmed" not in request.POST:
        return _show(request, found, form, address=form.cleaned_data["address"])
    return _send(request, found, form, customer)


def _customer(found: Undelivered) -> Customer:
    """Return the customer who has yet to confirm the address that the email did not reach; raises Uncorrectable."""
    subject = of_subject(found.event.subject)
    customer = subject.row if subject else None
    if (
        not isinstance(customer, Customer)
        or customer.email_verified_at
        or addresses.key(customer.email) != addresses.key(found.old)
    ):
        raise Uncorrectable(
            "This email holds a personal link, which goes to nobody else. The customer asks for a new one on the page "
            "“My orders”."
        )
    return customer


def _send(
    request: HttpRequest, found: Undelivered, form: NewAddressForm, customer: Customer | None
) -> HttpResponse:
    address, reason = form.cleaned_data["address"], form.cleaned_data["reason"]
    try:
        with transaction.atomic():
            row = _sent(found, address, customer)
            # The log keeps no address.
            words = "Corrected the address and sent the email again"
            LogEntry.objects.log_actions(
                cast(int, request.user.pk),
                [row],
                CHANGE,
                f"{words}: {reason}" if reason else f"{words}.",
                single_object=True,
            )
    except (Uncorrectable, ValidationError) as exc:
        form.add_error(None, str(exc) if isinstance(exc, Uncorrectable) else exc.messages)
        return _show(request, found, form)
    messages.success(request, f"1 email to {address} is on its way.")
    return redirect(change_url(customer)) if customer else redirect("timeline", found.event.id)


def _sent(found: Undelivered, address: str, customer: Customer | None) -> Model:
    """Send the email, or another link to a customer; returns the row that the log names."""
    if customer is None:
        return new_addresses.correct(found, address)
    new_addresses.withdraw(found)
    services.correct_email(customer, address)
    return customer


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
