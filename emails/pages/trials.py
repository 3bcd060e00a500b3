"""Send a test email, and follow it on a page that refreshes until the delivery status is known."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.shortcuts import render as render_part
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from emails.errors import IdentityError
from emails.identities import identities
from emails.pages.forms import TestEmailForm
from emails.pages.identities import LIST, log, refuse, render
from emails.reports import trial_steps
from emails.sending import trials
from emails.ses import brands, default_sender
from queues import masking

PERMISSION = "emails.send_test_email"


@require_POST
@permission_required(PERMISSION, raise_exception=True)
def send(request: HttpRequest) -> HttpResponse:
    """Record a test email, which then goes through outbox, queue and consumer like any other."""
    form = TestEmailForm(request.POST)
    if not form.is_valid():
        return refuse(request, form)
    recipient, sender = form.cleaned_data["recipient"], form.cleaned_data["sender"]
    if sender and (problem := _why_not_from(sender)):
        messages.error(request, problem)
        return redirect(LIST)
    event_id = trials.request(recipient, sender=sender, by=request.user.get_username())
    log(
        request,
        sender or default_sender.address(brands.PLATFORM),
        CHANGE,
        f"Test email to {recipient}, event {event_id}.",
    )
    return redirect("admin:emails_identity_trial", event_id)


@require_safe
@never_cache
@permission_required(PERMISSION, raise_exception=True)
def follow(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Show how far the test email has come."""
    return render(request, "trial", {"title": "Test email"} | _trial(request, event_id))


@require_safe
@never_cache
@permission_required(PERMISSION, raise_exception=True)
def progress(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Return only the part of the page that changes."""
    return render_part(request, "emails_admin/trial_steps.html", _trial(request, event_id))


def _why_not_from(sender: str) -> str:
    """Return why SES would reject this sender; asked here, as a consumer would learn it only later."""
    try:
        by = identities.sends_from(sender)
    except IdentityError as exc:
        return f"Nothing was sent: {exc}"
    return "" if by else f"Nothing was sent: SES has verified neither {sender} nor its domain."


def _trial(request: HttpRequest, event_id: UUID) -> dict[str, Any]:
    trial = trial_steps.of(event_id)
    if trial is None:
        raise Http404("This test email does not exist, or its data has been deleted.")
    hide = masking.addresses if masking.hides(request) else str
    return {
        "trial": trial,
        "recipient": hide(trial.recipient),
        "sender_shown": hide(trial.sender or default_sender.readable(brands.PLATFORM)),
        "steps": [(step, hide(step.detail)) for step in trial.steps],
        "progress_url": reverse("admin:emails_identity_trial_progress", args=[event_id]),
    }
