"""Store redrives, which run as jobs in the consumers, and the outcome of each of their dead letters."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from queues.uuid7 import uuid7


class RedriveQuerySet(models.QuerySet["Redrive"]):
    """Choose redrives."""

    def unfinished(self) -> RedriveQuerySet:
        """Select redrives with dead letters that still wait or whose outcome is not known yet."""
        return self.filter(ended_at=None)

    def due(self) -> RedriveQuerySet:
        """Select unfinished redrives that no process is working on and whose next step is due."""
        return self.unfinished().filter(next_at__lte=Now())


class Redrive(models.Model):
    """A set of dead letters that somebody sends back together; see ``queues.redrives.jobs``."""

    class State(models.TextChoices):
        """The states: a person has ``stopped`` it, or it ``halted`` by itself because its failure came back."""

        RUNNING = "running"
        STOPPED = "stopped"
        HALTED = "halted"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # The form's token: a form that is sent twice starts one redrive.
    key = models.CharField(max_length=100, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        editable=False,
    )
    # A name even if a script started it, or if the user has been deleted.
    started_by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300, blank=True)
    what = models.CharField("causes", max_length=300, blank=True)
    total = models.PositiveIntegerField("dead letters", default=0)
    left_out = models.PositiveIntegerField(default=0)
    rate = models.PositiveIntegerField("dead letters per second", null=True)
    # The time when, at this rate, the next dead letter was due, as of the last release.
    paced_at = models.DateTimeField(null=True, editable=False)
    is_canary = models.BooleanField("canary", default=True)
    # The forecasts that staff selected, if not every dead letter could be forecast before the start.
    buckets = models.JSONField(null=True, editable=False)
    stage = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    why = models.TextField(blank=True)
    created_at = models.DateTimeField("started", auto_now_add=True)
    # When the outcome of the last dead letter became known.
    ended_at = models.DateTimeField("ended", null=True)
    claim = models.UUIDField(null=True, editable=False)
    # No process advances it before this time; while one does, this is the end of its lease.
    next_at = models.DateTimeField(editable=False)

    objects = RedriveQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index("next_at", name="redrive_unfinished", condition=Q(ended_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.total} dead letter{'' if self.total == 1 else 's'}: {self.what or 'none'}"


class RedriveItem(models.Model):
    """One dead letter of a redrive, with its position and its outcome."""

    class Outcome(models.TextChoices):
        """The outcomes of a dead letter in a redrive.

        ``pending``: sent back, outcome not known yet. ``handled``: handled without an email. ``bounced``: SES accepted
        its email, but the recipient's server did not. ``returned``: it failed again. ``skipped``: this redrive never
        sent it back.
        """

        WAITING = "waiting"
        PENDING = "pending"
        ACCEPTED = "accepted"
        HANDLED = "handled"
        BOUNCED = "bounced"
        RETURNED = "returned"
        SKIPPED = "skipped"

    redrive = models.ForeignKey(
        Redrive, on_delete=models.CASCADE, related_name="items", db_index=False
    )
    letter = models.ForeignKey(
        "queues.DeadLetter", on_delete=models.CASCADE, related_name="redrive_items"
    )
    # The outbox row that carries the dead letter. Rows may be deleted before this one, and a database constraint or an
    # index here would slow their deletion.
    outbox_event = models.ForeignKey(
        "queues.OutboxEvent",
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    position = models.PositiveIntegerField()
    stage = models.PositiveSmallIntegerField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.WAITING)
    # The reason in words; for a pending dead letter, how it has failed since it was sent back.
    detail = models.TextField(blank=True)
    # The fingerprint of that failure, to compare it with others.
    fingerprint = models.CharField(max_length=64, blank=True)
    released_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["redrive_id", "position"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["letter"],
                condition=Q(outcome__in=["waiting", "pending"]),
                name="one_unfinished_redrive_per_letter",
            )
        ]
        indexes = [models.Index("redrive", "outcome", "position", name="redrive_item_outcome")]

    def __str__(self) -> str:
        return f"{self.position}: {self.outcome}"


class RedriveCause(models.Model):
    """How many dead letters of one cause a redrive took, so that a cause knows its redrives without reading items."""

    # Without a constraint: an earlier release that still runs deletes old redrives and knows nothing of these rows.
    redrive = models.ForeignKey(
        Redrive, on_delete=models.CASCADE, related_name="causes", db_constraint=False
    )
    fingerprint = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [models.Index("fingerprint", "redrive", name="redrive_cause")]

    def __str__(self) -> str:
        return f"{self.count} of {self.fingerprint}"
