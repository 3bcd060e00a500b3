"""The tables about our reputation as a sender: emails that came back, and the guard that stops bulk email."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Incident(models.Model):
    """An email that bounced or that its recipient marked as spam, so that support gets an alert about it.

    See ``emails.reputation.support``.
    """

    class Kind(models.TextChoices):
        """The kind of an incident; ``refused``: SES did not try to deliver."""

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
    # Null while support has not got the alert yet.
    told_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint("notification", "kind", name="one_incident_per_email_and_kind")
        ]
        indexes = [models.Index("id", name="incident_untold", condition=Q(told_at=None))]

    def __str__(self) -> str:
        return f"{self.kind} {self.notification_id}"


class Guard(models.Model):
    """One row that says if bulk email is stopped, and why; see ``emails.sending.guard``."""

    is_stopped = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True)
    # Empty if the guard itself stopped it.
    stopped_by = models.CharField(max_length=150, blank=True)
    stopped_at = models.DateTimeField(null=True)
    # The guard's rates count only emails after this time.
    resumed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        permissions = [
            ("view_guard", "Can view the guard of bulk email"),
            ("stop_bulk", "Can stop bulk email"),
            ("resume_bulk", "Can resume bulk email"),
        ]
        verbose_name = verbose_name_plural = "bulk email"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_guard")]

    def __str__(self) -> str:
        return "bulk email"
