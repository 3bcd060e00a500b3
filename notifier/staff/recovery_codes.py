"""Make recovery codes, which let somebody in who has lost their phone: ten, each of which works once."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User
from django.utils import timezone

from notifier.models import RecoveryCodes

COUNT = 10
# Without the letters and digits that look alike.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH, _GROUP = 16, 4


def renew(user: User) -> list[str]:
    """Replace the person's codes by new ones and return these; only their hashes are stored."""
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)) for _ in range(COUNT)]
    RecoveryCodes.objects.update_or_create(
        user=user,
        defaults={
            "name": "Recovery code",
            "digests": [RecoveryCodes.digest(code) for code in codes],
            "made_at": timezone.now(),
        },
    )
    return [
        "-".join(code[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))
        for code in codes
    ]
