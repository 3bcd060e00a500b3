"""Store what controls access: the right to personal data, the rights of roles, failed logins, recovery codes."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django_otp.models import Device


class PersonalData(models.Model):
    """A model without a table; it holds the permissions to see personal data and to export Django's log."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [
            ("view_pii", "Can view personal data"),
            ("export_logentry", "Can export the log"),
        ]

    def __str__(self) -> str:
        return "personal data"


class RoleGrant(models.Model):
    """A right that a role was given once, so that a right an administrator has removed is not given again."""

    role = models.CharField(max_length=50)
    permission = models.CharField(max_length=150)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint("role", "permission", name="one_grant_per_role")]

    def __str__(self) -> str:
        return f"{self.role}: {self.permission}"


class LoginFailure(models.Model):
    """Count the failed logins to one account from one address; ``notifier.staff.lockouts`` has the rules."""

    class State(models.TextChoices):
        """The state of the count; how long a lock lasts follows from ``last_at``."""

        COUNTED = "counted"
        LOCKED = "locked"
        UNLOCKED = "unlocked"

    # The account as it was typed; it may not exist.
    account = models.CharField(max_length=150)
    # An IPv4 address, or the network that an IPv6 address is in.
    origin = models.CharField("address", max_length=45)
    failures = models.PositiveSmallIntegerField(db_default=0)
    state = models.CharField(max_length=10, choices=State, db_default=State.COUNTED)
    last_at = models.DateTimeField("last failure", db_default=Now())

    class Meta:
        verbose_name = "failed login"
        default_permissions = ()
        permissions = [
            ("view_loginfailure", "Can view failed logins"),
            ("unlock_loginfailure", "Can unlock logins"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "origin"], name="one_login_failure_per_origin"
            )
        ]
        indexes = [models.Index("last_at", name="login_failure_last")]

    def __str__(self) -> str:
        return f"{self.account} from {self.origin or 'this machine'}"


class RecoveryCodes(Device):  # type: ignore[misc]  # django-otp has no types
    """The hashes of a person's unused recovery codes; ``notifier.staff.recovery_codes`` makes the codes.

    A code has 79 bits, so a fast hash is enough: nobody finds one by trying.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="recovery_codes"
    )
    digests = models.JSONField(default=list)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    @staticmethod
    def digest(code: str) -> str:
        """Return the hash of a code as somebody types it: in any case, with or without dashes and spaces."""
        plain = "".join(character for character in code.lower() if character.isalnum())
        return hashlib.sha256(plain.encode()).hexdigest()

    def verify_token(self, token: str) -> bool:
        """Use up a code; django-otp calls this with the row locked, so each code works once."""
        found = self.digest(token)
        if found not in self.digests:
            return False
        self.digests = [digest for digest in self.digests if digest != found]
        self.save(update_fields=["digests"])
        return True
