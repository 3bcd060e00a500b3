"""Who may see what of whom: the right to personal data, and which rights the roles were given."""

from __future__ import annotations

from django.db import models


class PersonalData(models.Model):
    """No table: it gives the right to see names, addresses and amounts a place among the permissions."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("view_pii", "Can view personal data")]

    def __str__(self) -> str:
        return "personal data"


class RoleGrant(models.Model):
    """A right that a role was given once: what an administrator takes from it is not given again."""

    role = models.CharField(max_length=50)
    permission = models.CharField(max_length=150)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint("role", "permission", name="one_grant_per_role")]

    def __str__(self) -> str:
        return f"{self.role}: {self.permission}"
