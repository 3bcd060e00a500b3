"""Let staff choose the sender and the letterhead of a brand; a sender must be one that SES has verified."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from emails.errors import IdentityError
from emails.identities import identities
from emails.pages.forms import BrandForm
from emails.pages.identities import LIST, log, render
from emails.rendering import templates
from emails.ses import brands, default_sender

PERMISSION = "emails.set_default_sender"


@require_safe
@permission_required(PERMISSION, raise_exception=True)
def show(request: HttpRequest, key: str) -> HttpResponse:
    """Show a brand's form; ``?from=`` suggests a sender: an address, or a domain to complete."""
    _require(key)
    suggested = request.GET.get("from", "")
    if suggested and "@" not in suggested:
        suggested = f"{key}@{suggested}"
    initial = {"address": suggested} if suggested else {}
    form = BrandForm(instance=brands.saved(key), initial=initial, defaults=brands.default(key))
    return _page(request, key, form)


@require_POST
@permission_required(PERMISSION, raise_exception=True)
def choose(request: HttpRequest, key: str) -> HttpResponse:
    """Save a brand, after asking SES now whether it may send from a new sender."""
    _require(key)
    form = BrandForm(request.POST, instance=brands.saved(key), defaults=brands.default(key))
    before = brands.in_force(key).address
    if form.is_valid() and (problem := objection(form.cleaned_data["address"], before)):
        form.add_error("address", problem)
    if not form.is_valid():
        return _page(request, key, form)
    was = default_sender.readable(key)
    brands.save(key, by=request.user.get_username(), **form.cleaned_data)
    sender = default_sender.readable(key)
    changed = ", ".join(form.changed_data) or "nothing"
    log(
        request,
        default_sender.address(key),
        CHANGE,
        f"Brand {key}: changed {changed}. Sent as {sender}. Before: {was}.",
    )
    messages.success(
        request,
        f"{brands.in_force(key).name}: emails are now sent as {sender}. Consumers follow within 2 s.",
    )
    return redirect(LIST)


@require_POST
@permission_required(PERMISSION, raise_exception=True)
def reset(request: HttpRequest, key: str) -> HttpResponse:
    """Go back to a brand's defaults; the shop's sender is SES_FROM_EMAIL again."""
    _require(key)
    before = default_sender.readable(key)
    if brands.reset(key):
        sender = default_sender.readable(key)
        address = default_sender.address(key)
        log(request, address, CHANGE, f"Brand {key}: the defaults again. Before: {before}.")
        messages.success(
            request,
            f"{brands.in_force(key).name}: emails are sent as {sender or 'nobody'} again.",
        )
    return redirect(LIST)


def objection(address: str, before: str) -> str:
    """Return why SES would not send from this sender; one that stays the same is not asked about."""
    if not address or address == before:
        return ""
    try:
        by = identities.sends_from(address)
    except IdentityError as exc:
        return f"Nothing was changed: {exc}"
    if by:
        return ""
    return f"SES has verified neither {address} nor its domain. Verify one first."


def _require(key: str) -> None:
    if key not in brands.known():
        raise Http404("no such brand")


def _page(request: HttpRequest, key: str, form: BrandForm) -> HttpResponse:
    context: dict[str, Any] = {
        "title": f"Brand {brands.in_force(key).name}",
        "key": key,
        "form": form,
        "saved": brands.saved(key),
        "sent_as": default_sender.readable(key),
        "templates": [name for name in templates.names() if brands.of(name) == key],
    }
    return render(request, "brand", context)
