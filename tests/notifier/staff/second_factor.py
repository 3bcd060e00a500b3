"""People with an authenticator app, and the codes that it shows."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth.models import User
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

PASSWORD = "right"


def make_app(user: User, **fields: Any) -> TOTPDevice:
    """An authenticator app that was set up some time ago."""
    return TOTPDevice.objects.create(user=user, name="Authenticator app", **fields)


def code_of(app: TOTPDevice) -> str:
    """The code that this app shows now."""
    return code_for(app.key)


def code_for(key: str) -> str:
    """The code of an app with this key, in hexadecimal digits."""
    return f"{totp(bytes.fromhex(key)):06d}"


def wrong_code(app: TOTPDevice) -> str:
    """A code that this app shows neither now nor soon."""
    near = {totp(app.bin_key, t0=30 * step) for step in range(-2, 3)}
    return next(f"{code:06d}" for code in range(10) if code not in near)


def let_time_pass(app: TOTPDevice) -> None:
    """Let the app show its next code, and let the pause after a wrong one be over."""
    TOTPDevice.objects.filter(pk=app.pk).update(
        last_t=-1, throttling_failure_timestamp=None, throttling_failure_count=0
    )


def log_in(client: Any, name: str = "ada", **fields: Any) -> Any:
    """Give the password."""
    return client.post("/admin/login/", {"username": name, "password": PASSWORD}, **fields)


def age_proof(client: Any, minutes: float) -> None:
    """Let the last proof of this session be so old."""
    session = client.session
    session["proven_at"] = time.time() - 60 * minutes
    session.save()
