"""Keep the doctor runs that staff ask for in the admin, with their results; see ``queues.doctor.runs``."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from queues.uuid7 import uuid7


class DoctorRun(models.Model):
    """A run of the doctor's checks or of a round trip; the process that takes it first carries it out, once."""

    class State(models.TextChoices):
        """``running``: a process has taken it. If that process dies, the run stays in this state."""

        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20)
    # What its runner needs to know: the alias, an address, whether to send.
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
        # The table keeps its first name: a release before the renaming may still run beside this one.
        db_table = "queues_checkup"
        ordering = ["-id"]
        default_permissions = ()
        permissions = [
            ("view_doctorrun", "Can view doctor runs and round trips"),
            ("run_doctor", "Can run the doctor"),
            ("run_roundtrip", "Can send a probe through the queues"),
        ]
        indexes = [
            models.Index("id", name="checkup_waiting", condition=Q(state="waiting")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.asked_at:%Y-%m-%d %H:%M} UTC"
