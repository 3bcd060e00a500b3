"""What harms the sender's good name: emails that came back."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Incident(models.Model):
    """An email that came back or was complained of, until the support has been told; see ``emails.support``."""

    class Kind(models.TextChoices):
        """``refused``: SES did not try, the address is on its list."""

        BOUNCED_HARD = "bounced_hard"
        BOUNCED_SOFT = "bounced_soft"
        REFUSED = "refused"
        COMPLAINED = "complained"

    notification = models.ForeignKey(
        "emails.Notification", on_delete=models.CASCADE, related_name="incidents"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    reason = models.CharField(max_length=300, blank=True)
    happened_at = models.DateTimeField()
    # Null: the support is still to be told.
    told_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint("notification", "kind", name="one_incident_per_email_and_kind")
        ]
        indexes = [models.Index("id", name="incident_untold", condition=Q(told_at=None))]

    def __str__(self) -> str:
        return f"{self.kind} {self.notification_id}"
