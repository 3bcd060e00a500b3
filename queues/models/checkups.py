"""What somebody asked to have examined from the admin, and what came of it; see ``queues.doctor.runs``."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from queues.uuid7 import uuid7


class Checkup(models.Model):
    """An examination or a round trip, carried out once by whoever takes it first."""

    class State(models.TextChoices):
        """``running``: somebody has taken it; one whose process died stays so."""

        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20)
    # What its runner is told: the aliases, an address, whether to send.
    arguments = models.JSONField(default=dict)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    ran_on = models.CharField(max_length=120, blank=True)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=10, blank=True)
    # One object for each finding or step, in their order.
    results = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()
        permissions = [
            ("view_checkup", "Can view examinations and round trips"),
            ("run_doctor", "Can have the installation examined"),
            ("run_roundtrip", "Can have a probe sent through the queues"),
        ]
        indexes = [
            models.Index("id", name="checkup_waiting", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.asked_at:%Y-%m-%d %H:%M} UTC"
