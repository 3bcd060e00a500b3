"""The tables of canaries: a version that goes to a few emails first, and the emails that it went to."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from emails.models.templates import TemplateVersion


class Canary(models.Model):
    """A version of a template that goes to the emails of one stage after the other before it is published."""

    class State(models.TextChoices):
        """``parked``: no more emails get the version until a person decides; ``went_back``: by itself."""

        RUNNING = "running"
        PARKED = "parked"
        PUBLISHED = "published"
        WENT_BACK = "went_back", "went back by itself"
        ENDED = "ended", "ended by a person"

    class Needs(models.TextChoices):
        """What must become of all emails of a stage before the next one begins."""

        ACCEPTED = "accepted", "accepted by SES"
        DELIVERED = "delivered"

    template = models.CharField(max_length=100)
    version = models.ForeignKey(TemplateVersion, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    needs = models.CharField(max_length=10, choices=Needs, default=Needs.ACCEPTED)
    # How many emails may have the version in all, and how many of these places are free.
    stage = models.PositiveIntegerField()
    left = models.PositiveIntegerField()
    stage_at = models.DateTimeField()
    # Why it is parked, or ended.
    note = models.TextField(blank=True)
    # The event whose email ended or parked it.
    event_id = models.UUIDField(null=True)
    by = models.CharField(max_length=150)
    why = models.TextField(blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    # In these states emails that have the version keep it.
    OPEN = (State.RUNNING, State.PARKED)

    class Meta:
        verbose_name_plural = "canaries"
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                "template",
                name="one_open_canary_per_template",
                condition=Q(state__in=["running", "parked"]),
            )
        ]

    def __str__(self) -> str:
        return f"canary of {self.version}"

    @property
    def is_open(self) -> bool:
        """Return True while emails have its version because of it."""
        return self.state in self.OPEN


class CanaryEmail(models.Model):
    """One email that took a place of a canary; it is saved in the transaction of the email's claim."""

    canary = models.ForeignKey(Canary, on_delete=models.CASCADE, related_name="emails")
    # Not a foreign key: notifications are deleted after a time, and need not look here.
    notification_id = models.UUIDField(unique=True)
    # It bounced, say, and a person decided to go on.
    is_excused = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.notification_id)
