"""Store what controls access: the right to personal data, the rights given to roles, and failed log-ins."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


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
    """Count the failed log-ins to one account from one address; ``notifier.staff.lockouts`` has the rules."""

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
        verbose_name = "failed log-in"
        default_permissions = ()
        permissions = [
            ("view_loginfailure", "Can view failed log-ins"),
            ("unlock_loginfailure", "Can unlock log-ins"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "origin"], name="one_login_failure_per_origin"
            )
        ]
        indexes = [models.Index("last_at", name="login_failure_last")]

    def __str__(self) -> str:
        return f"{self.account} from {self.origin or 'this machine'}"
