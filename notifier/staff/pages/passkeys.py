"""Talk WebAuthn with the browser: hand out challenges, and take the answers that a form brings.

The browser's script asks for a challenge, lets the person use a passkey, puts the answer into a hidden field and sends
the form. So a passkey fits wherever a code does. django-otp-webauthn does the cryptography and stores the keys.
"""

from __future__ import annotations

import ipaddress
import json
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from django_otp_webauthn.exceptions import OTPWebAuthnApiError
from django_otp_webauthn.helpers import WebAuthnHelper
from django_otp_webauthn.utils import rewrite_exceptions

from notifier.staff import factors

# The two ceremonies; a challenge for one is none for the other.
USE, NEW = "use", "new"
# How long the session of a stranger lasts who was handed a challenge.
_STRANGER_SECONDS = 600
_STATE = "passkey_challenge"
_REFUSED = "This passkey was not accepted. Try again, or use another way."


class Helper(WebAuthnHelper):  # type: ignore[misc]  # django-otp-webauthn has no types
    """Takes the host of the request, which Django has compared with ALLOWED_HOSTS."""

    def get_relying_party_domain(self) -> str:
        """Return the host: passkeys are good for it alone."""
        return host(self.request)

    def get_allowed_origins(self) -> list[str]:
        """Return the origin that the browser must have signed."""
        return [f"{self.request.scheme}://{self.request.get_host()}"]


def host(request: HttpRequest) -> str:
    """Return the host of the request without its port."""
    return urlsplit(f"//{request.get_host()}").hostname or ""


def are_possible(request: HttpRequest) -> bool:
    """Return True if a browser may make passkeys for this address: never for a number, nor without HTTPS."""
    name = host(request)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return request.is_secure() or name == "localhost"
    return False


@never_cache
@require_POST
def challenge(request: HttpRequest) -> HttpResponse:
    """Return what the browser's WebAuthn needs to use a passkey, or to make one for whoever may add a device."""
    half = factors.half(request)
    user = request.user if request.user.is_authenticated else half
    helper = Helper(request)
    if request.POST.get("for") == NEW:
        if user is None or (half and factors.has_device(half)):
            return JsonResponse({"detail": "Log in first."}, status=403)
        options, state = helper.register_begin(user=user)
        kind = NEW
    else:
        # Alone, a passkey must know its owner: by a fingerprint or a PIN.
        options, state = helper.authenticate_begin(user=user, require_user_verification=not user)
        kind = USE
    request.session[_STATE] = {"for": kind, "user": user and user.pk, "state": state}
    if user is None:
        request.session.set_expiry(_STRANGER_SECONDS)
    return JsonResponse(options)


def used(request: HttpRequest, user: User | None, answer: str) -> Any:
    """Return the passkey that gave this answer: one of this user, or anybody's; raises ValidationError."""
    state = _state(request, USE, user)
    try:
        with rewrite_exceptions():
            device = Helper(request).authenticate_complete(
                user=user, state=state, data=_read(answer)
            )
    except OTPWebAuthnApiError as exc:
        raise ValidationError(_REFUSED, code="passkey") from exc
    if not device.confirmed or not device.user.is_active:
        raise ValidationError(_REFUSED, code="passkey")
    return device


def added(request: HttpRequest, user: User, answer: str, *, name: str) -> Any:
    """Store the passkey that the browser has made, and return it; raises ValidationError."""
    state = _state(request, NEW, user)
    try:
        with rewrite_exceptions(), transaction.atomic():
            device = Helper(request).register_complete(user=user, state=state, data=_read(answer))
            device.name = name
            device.save(update_fields=["name"])
    except (OTPWebAuthnApiError, IntegrityError) as exc:
        raise ValidationError(_REFUSED, code="passkey") from exc
    return device


def _state(request: HttpRequest, kind: str, user: User | None) -> Any:
    """Take the challenge out of the session, for good: an answer works once, for whom and for what it was asked.

    A challenge for somebody who gave a password asks for no PIN: it must not log in alone.
    """
    found = request.session.pop(_STATE, None)
    request.session.save()
    if not found or (found["for"], found["user"]) != (kind, user and user.pk):
        raise ValidationError(_REFUSED, code="passkey")
    return found["state"]


def _read(answer: str) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError) as exc:
        raise ValidationError(_REFUSED, code="passkey") from exc
    if not isinstance(found, dict):
        raise ValidationError(_REFUSED, code="passkey")
    return found
