"""Let staff choose the default sender among the addresses that SES has verified."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.contrib.admin.utils import quote
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from emails.errors import IdentityError
from emails.identities import identities
from emails.pages.forms import SenderForm
from emails.pages.identities import LIST, log, refuse
from emails.ses import default_sender


@require_POST
@permission_required("emails.set_default_sender", raise_exception=True)
def choose(request: HttpRequest) -> HttpResponse:
    """Make an address the default sender, after asking SES now whether it may send from it."""
    form = SenderForm(request.POST)
    if not form.is_valid():
        return refuse(request, form)
    address, before = form.cleaned_data["address"], default_sender.readable()
    try:
        by = identities.sends_from(address)
    except IdentityError as exc:
        messages.error(request, f"Nothing was changed: {exc}")
        return redirect(LIST)
    if not by:
        messages.error(
            request,
            f"Nothing was changed: SES has verified neither {address} nor its domain. Verify one first.",
        )
        return redirect(LIST)
    default_sender.choose(
        address,
        display_name=form.cleaned_data["display_name"],
        by=request.user.get_username(),
    )
    log(
        request,
        address,
        CHANGE,
        f"Made the default sender: {default_sender.readable()}. Before: {before}.",
    )
    messages.success(
        request,
        f"Emails are now sent as {default_sender.readable()}. Consumers follow within 2 s.",
    )
    return redirect("admin:emails_identity_change", quote(by))


@require_POST
@permission_required("emails.set_default_sender", raise_exception=True)
def reset(request: HttpRequest) -> HttpResponse:
    """Make SES_FROM_EMAIL the sender again."""
    before = default_sender.readable()
    if not settings.SES_FROM_EMAIL:
        messages.error(request, "Nothing was changed: SES_FROM_EMAIL is not set.")
    elif default_sender.reset():
        log(request, default_sender.address(), CHANGE, f"SES_FROM_EMAIL again. Before: {before}.")
        messages.success(request, f"Emails are sent as {default_sender.readable()} again.")
    return redirect(LIST)
