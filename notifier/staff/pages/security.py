"""Let people manage their own second factor: the app, passkeys and recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import segno
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key
from django_otp_webauthn.models import WebAuthnCredential

from notifier.models import RecoveryCodes
from notifier.staff import factors, recovery_codes
from notifier.staff.pages import passkeys
from notifier.staff.pages.forms import AppForm, NameForm, PasskeyForm
from notifier.staff.pages.second_step import safe_next
from queues import registry

KINDS: dict[str, Any] = {"app": TOTPDevice, "passkey": WebAuthnCredential}
# The key that an app is being given, in the session until the app has confirmed it.
_KEY = "authenticator_key"

View = Callable[..., HttpResponse]


def _for_owner(view: View) -> View:
    """Give the view its person: who is logged in, or who must set up a first device to get in."""

    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user: Any = request.user if request.user.is_staff else factors.half(request)
        if user is None:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not request.user.is_authenticated and factors.has_device(user):
            return redirect(f"{reverse('second-step')}?{urlencode({'next': safe_next(request)})}")
        return view(request, user, *args, **kwargs)

    return answer


def _after_proof(view: View) -> View:
    """Ask again who it is before a view that changes the second factor."""

    @_for_owner
    @wraps(view)
    def answer(request: HttpRequest, user: User, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and (question := registry.ask_for_proof(request)):
            return question
        return view(request, user, *args, **kwargs)

    return answer


@_for_owner
def show(request: HttpRequest, user: User) -> HttpResponse:
    """Show the person's devices and recovery codes, and what else they may set up."""
    return _page(request, user, "security", "Security", passkey_form=PasskeyForm())


@_after_proof
def set_up_app(request: HttpRequest, user: User) -> HttpResponse:
    """Show the key of a new authenticator app, and store it when a code of the app proves that it has the key."""
    key = request.session.setdefault(_KEY, default_key())
    form = AppForm(request.POST if "code" in request.POST else None, user=user, key=key)
    if form.is_bound:
        with transaction.atomic():
            if form.is_valid():
                TOTPDevice.objects.filter(user=user).exclude(pk=form.device.pk).delete()
                form.device.confirmed = True
                form.device.save(update_fields=["confirmed"])
                del request.session[_KEY]
        if form.device.confirmed:
            return _added(request, user, form.device, "an authenticator app")
    secret = form.device.config_url.partition("secret=")[2].partition("&")[0]
    return _page(
        request,
        user,
        "security_app",
        "Authenticator app",
        form=form,
        # Segno writes the picture; what is in it are our own settings and the key.
        picture=SafeString(segno.make(form.device.config_url).svg_inline(scale=5, light="#fff")),
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        replaces=TOTPDevice.objects.filter(user=user, confirmed=True).exists(),
    )


@_after_proof
def add_passkey(request: HttpRequest, user: User) -> HttpResponse:
    """Store the passkey that the browser has made."""
    form = PasskeyForm(request.POST or None)
    if form.is_valid():
        try:
            device = passkeys.added(
                request, user, form.cleaned_data["passkey"], name=form.cleaned_data["name"]
            )
            return _added(request, user, device, f"the passkey “{device.name}”")
        except ValidationError as exc:
            messages.error(request, exc.message)
    return redirect(f"{reverse('security')}?{urlencode({'next': safe_next(request)})}")


@_after_proof
def change(request: HttpRequest, user: User, kind: str, pk: int) -> HttpResponse:
    """Rename a device or remove it; the last one stays where a second factor is obligatory."""
    device = KINDS[kind].objects.filter(pk=pk, user=user, confirmed=True).first()
    if device is None:
        raise Http404("no such device")
    is_needed = factors.is_obliged(user) and len(factors.devices(user)) == 1
    form = NameForm(
        request.POST if "rename" in request.POST else None, initial={"name": device.name}
    )
    if form.is_valid():
        device.name = form.cleaned_data["name"]
        device.save(update_fields=["name"])
        messages.success(request, "Renamed.")
        return redirect("security")
    if "remove" in request.POST and not is_needed:
        _remove(request, user, device)
        return redirect("security")
    return _page(
        request, user, "security_device", device.name, form=form, device=device, is_needed=is_needed
    )


@require_POST
@_after_proof
def renew_codes(request: HttpRequest, user: User) -> HttpResponse:
    """Make new recovery codes and show them, for the only time."""
    if not factors.has_device(user):
        return redirect("security")
    _log(request, user, "Made new recovery codes.")
    return _show_codes(request, user)


def _added(request: HttpRequest, user: User, device: Any, what: str) -> HttpResponse:
    """Let the person in who just set up a device; show recovery codes with the first one."""
    factors.prove(request, user, device)
    _log(request, user, f"Set up {what} as a second factor.")
    messages.success(request, f"You have set up {what}.")
    if RecoveryCodes.objects.filter(user=user).exists():
        return redirect("security")
    return _show_codes(request, user)


def _show_codes(request: HttpRequest, user: User) -> HttpResponse:
    codes = recovery_codes.renew(user)
    return _page(request, user, "security_codes", "Recovery codes", codes=codes)


def _remove(request: HttpRequest, user: User, device: Any) -> None:
    with transaction.atomic():
        device.delete()
        if not factors.has_device(user):
            RecoveryCodes.objects.filter(user=user).delete()
        _log(request, user, f"Removed “{device.name}” from the second factors.")
    factors.keep_session(request)
    messages.success(
        request, f"“{device.name}” is removed. Sessions that began with it have ended."
    )


def _log(request: HttpRequest, user: User, sentence: str) -> None:
    admin.site.get_model_admin(User).log_change(request, user, sentence)


def _page(request: HttpRequest, user: User, name: str, title: str, **context: Any) -> HttpResponse:
    is_in = request.user.is_authenticated
    codes = RecoveryCodes.objects.filter(user=user).first()
    shared = admin.site.each_context(request) | {
        "title": title,
        "layout": "admin/base_site.html" if is_in else "unfold/layouts/unauthenticated.html",
        "is_in": is_in,
        "person": user,
        "next": safe_next(request),
        "devices": [(_kind(device), device) for device in factors.devices(user)],
        "recovery": codes,
        "is_obliged": factors.is_obliged(user),
        "passkeys_possible": passkeys.are_possible(request),
    }
    return TemplateResponse(request, f"admin/staff/{name}.html", shared | context)


def _kind(device: Any) -> str:
    return next(kind for kind, model in KINDS.items() if isinstance(device, model))
