"""Decide who needs a second factor, and what a session has proven: half logged in is not logged in.

Django logs a session in when the password is right. Until the second step is done, ``half_logged_in.middleware``
shows every view a stranger instead of the person; only the pages of the second step ask for the person.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import django_otp
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.dispatch import receiver
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp_webauthn.models import WebAuthnCredential

from notifier.models import RecoveryCodes

# How long a proof (a password, a code, a passkey) is good for acts that ask for it again.
PROVEN_FOR = timedelta(minutes=15)
# How long somebody may take for the second step.
HALF_FOR = timedelta(minutes=15)
# With STAFF_SECOND_FACTOR=roles, whoever has one of these rights needs a second factor; superusers have them all.
RIGHTS = (
    "queues.redrive_deadletter",
    "emails.lift_suppression",
    "auth.add_user",
    "auth.change_user",
    "auth.add_group",
    "auth.change_group",
)
# Words of STAFF_SECOND_FACTOR; anything else is the name of a group.
OFF, ROLES, ALL = "off", "roles", "all"

# The name of an attribute of the request.
_KNOWN = "known_user"
# Keys in the session: when something was proven last, and whether a device was used.
_PROVEN_AT = "proven_at"
_WITH_DEVICE = "second_factor_used"


@receiver(user_logged_in, dispatch_uid="notifier.staff.factors")
def note_log_in(request: HttpRequest, **kwargs: Any) -> None:
    """Remember when the person logged in: the second step must follow soon."""
    request.session[_PROVEN_AT] = time.time()
    # The challenge for a passkey gave the stranger's session a short life.
    request.session.set_expiry(None)


def is_obliged(user: User) -> bool:
    """Return True if STAFF_SECOND_FACTOR demands a second factor of this person."""
    rule = settings.STAFF_SECOND_FACTOR
    if not user.is_staff or OFF in rule:
        return False
    if ALL in rule or user.is_superuser:
        return True
    if ROLES in rule:
        return any(map(user.has_perm, RIGHTS))
    return user.groups.filter(name__in=rule).exists()


def has_any() -> Q:
    """Return the condition that a user has an authenticator app or a passkey, for queries of users."""
    theirs = {"user": OuterRef("pk"), "confirmed": True}
    return Exists(TOTPDevice.objects.filter(**theirs)) | Exists(
        WebAuthnCredential.objects.filter(**theirs)
    )


def has_device(user: User) -> bool:
    """Return True if the person has an authenticator app or a passkey."""
    return User.objects.filter(has_any(), pk=user.pk).exists()


def devices(user: User) -> list[Any]:
    """Return the authenticator app and the passkeys of a person, oldest first within each kind."""
    return [
        device
        for model in (TOTPDevice, WebAuthnCredential)
        for device in model.objects.filter(user=user, confirmed=True).order_by("pk")
    ]


def remember(request: HttpRequest, user: Any) -> None:
    """Note whom the session names, for ``half``, before ``request.user`` becomes a stranger."""
    vars(request)[_KNOWN] = user


def seen(request: HttpRequest, user: Any) -> Any:
    """Return whom the views see: this user, or a stranger while the second step is not done."""
    return user if not user.is_authenticated or _is_whole(request, user) else AnonymousUser()


def half(request: HttpRequest) -> User | None:
    """Return who has given the password a few minutes ago, and not yet done the second step; else None."""
    user: Any = vars(request).get(_KNOWN, request.user)
    if not user.is_authenticated or _is_whole(request, user) or request.session.get(_WITH_DEVICE):
        return None
    return user if _is_proven_within(request, HALF_FOR) else None


def is_fresh(request: HttpRequest) -> bool:
    """Return True if the person has proven within a quarter of an hour who they are."""
    return request.user.is_authenticated and _is_proven_within(request, PROVEN_FOR)


def prove(request: HttpRequest, user: User, device: Any = None) -> None:
    """Note that this person has just proven who they are, with this device or by their password.

    The session gets a new key, so that nobody who knew the old one is let in with it.
    """
    request.session.cycle_key()
    request.user = user
    request.session[_PROVEN_AT] = time.time()
    if device is not None:
        django_otp.login(request, device)
        request.session[_WITH_DEVICE] = True


def keep_session(request: HttpRequest) -> None:
    """Let the person's own session go on after they removed the device that it began with."""
    others = devices(request.user)  # type: ignore[arg-type]  # whoever has a device is no stranger
    if others:
        django_otp.login(request, others[0])
        return
    request.session.pop(_WITH_DEVICE, None)
    request.session.pop(django_otp.DEVICE_ID_SESSION_KEY, None)


@transaction.atomic
def remove_all(user: User) -> int:
    """Remove every device and recovery code of a person; return how many devices. Their sessions end with them."""
    found = devices(user)
    for model in (TOTPDevice, WebAuthnCredential, RecoveryCodes):
        model.objects.filter(user=user).delete()
    return len(found)


def _is_whole(request: HttpRequest, user: Any) -> bool:
    if user.is_verified():
        return True
    # The device that this session began with is gone.
    if request.session.get(_WITH_DEVICE):
        return False
    return not (is_obliged(user) or has_device(user))


def _is_proven_within(request: HttpRequest, span: timedelta) -> bool:
    age = time.time() - request.session.get(_PROVEN_AT, 0)
    return bool(0 <= age < span.total_seconds())
