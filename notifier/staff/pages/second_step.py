"""Ask for the second factor after the password, or let a passkey do both; log out from half way."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, auth, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from notifier.models import RecoveryCodes
from notifier.staff import factors
from notifier.staff.login import told_to_wait
from notifier.staff.pages import passkeys
from notifier.staff.pages.forms import ProofForm

FEW_CODES = 3
_BACKEND = "django.contrib.auth.backends.ModelBackend"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask whoever gave the password for a code or a passkey; lead whoever has no device to set one up."""
    target = safe_next(request)
    if (user := factors.half(request)) is None:
        return redirect(target if request.user.is_authenticated else "admin:login")
    if not factors.has_device(user):
        return redirect(f"{reverse('security')}?{urlencode({'next': target})}")
    form = ProofForm(request.POST or None, request=request, user=user)
    if request.method == "POST" and form.is_valid():
        factors.prove(request, user, form.device)
        _warn_of_few_codes(request, form.device)
        return redirect(target)
    context = admin.site.each_context(request) | {
        "title": "Second step",
        "form": form,
        "person": user,
        "next": target,
    }
    return told_to_wait(TemplateResponse(request, "admin/staff/second_step.html", context), form)


@never_cache
@require_POST
def by_passkey(request: HttpRequest) -> HttpResponse:
    """Log in by a passkey alone, which has checked its owner's fingerprint or PIN."""
    try:
        device = passkeys.used(request, None, request.POST.get("passkey", ""))
        if not device.user.is_staff:
            raise ValidationError("This account is not for the console.")
    except ValidationError as exc:
        messages.error(request, exc.message)
        return redirect("admin:login")
    auth.login(request, device.user, backend=_BACKEND)
    factors.prove(request, device.user, device)
    return redirect(safe_next(request))


@never_cache
@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """End the session, half logged in or wholly, and go back to the log-in."""
    auth.logout(request)
    return redirect("admin:login")


def safe_next(request: HttpRequest) -> str:
    """Return the address on this site to go to next."""
    wanted = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else resolve_url("admin:index")


def _warn_of_few_codes(request: HttpRequest, device: Any) -> None:
    if not isinstance(device, RecoveryCodes):
        return
    left = len(device.digests)
    tell = messages.warning if left <= FEW_CODES else messages.info
    tell(request, f"You have {left} recovery codes left. Make new ones under Security.")
