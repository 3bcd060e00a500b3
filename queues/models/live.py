"""What the processes say of themselves and of the queues while they run: nothing here is owed to anybody."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Six beats: one that the database did not take is no silence.
SILENT_SECONDS = 30


class LiveConsumerQuerySet(models.QuerySet["LiveConsumer"]):
    """Which of them still live?"""

    def silent(self) -> LiveConsumerQuerySet:
        """Those that said nothing for a while and have not stopped."""
        return self.filter(_is_silent())

    def alive(self) -> LiveConsumerQuerySet:
        """The others."""
        return self.exclude(_is_silent())

    def with_silence(self) -> LiveConsumerQuerySet:
        """All, each with ``is_silent``."""
        # By its name, or the checker of types would take it for a second declaration.
        return self.annotate(**{"is_silent": _is_silent()})


def _is_silent() -> Q:
    return Q(beat_at__lt=Now() - timedelta(seconds=SILENT_SECONDS))


class LiveConsumer(models.Model):
    """A process that works, as it says itself every few seconds; its row goes when it stops.

    See ``queues.upkeep.heartbeats``.
    """

    class Kind(models.TextChoices):
        """``relay``: only publishes the outbox. ``archiver``: writes events to files."""

        CONSUMER = "consumer"
        RELAY = "relay"
        ARCHIVER = "archiver"

    kind = models.CharField(max_length=10, choices=Kind)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    release = models.CharField(max_length=50, blank=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    threads = models.PositiveIntegerField(default=0)
    # Messages since its start; a second, since the last beat; now.
    handled = models.PositiveBigIntegerField(default=0)
    rate = models.FloatField(default=0)
    in_flight = models.PositiveIntegerField(default=0, db_column="in_hand")

    # Of rows that ``with_silence`` found.
    is_silent: bool

    objects = LiveConsumerQuerySet.as_manager()

    class Meta:
        ordering = ["host", "pid"]
        verbose_name = "consumer"
        default_permissions = ()
        permissions = [
            ("view_consumer", "Can view figures, queues and consumers on the overview"),
            ("forget_consumer", "Can take a silent consumer off the overview"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.host}:{self.pid}"


class PausedQueue(models.Model):
    """A queue that nobody receives from until somebody resumes it; see ``queues.consumer.pausing``."""

    alias = models.CharField("queue alias", max_length=50, primary_key=True)
    paused_by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)
    since = models.DateTimeField()

    class Meta:
        ordering = ["alias"]
        default_permissions = ()
        permissions = [("pause_queue", "Can pause and resume queues")]

    def __str__(self) -> str:
        return self.alias


class QueueDepth(models.Model):
    """What SQS said last of a queue, asked by one consumer once a minute; see ``queues.upkeep.depths``."""

    alias = models.CharField("queue alias", max_length=50, primary_key=True)
    visible = models.PositiveIntegerField(default=0)
    in_flight = models.PositiveIntegerField(default=0)
    delayed = models.PositiveIntegerField(default=0)
    dead = models.PositiveIntegerField("in the dead-letter queue", default=0)
    # When the oldest event of ours that is not handled yet was published.
    oldest_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField()
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["alias"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.alias

    @property
    def waiting(self) -> int:
        """Those that a consumer may have now or, put off by a delay, later."""
        return self.visible + self.delayed

    @property
    def is_lacking(self) -> bool:
        """Whether AWS has not got what settings name: a queue, a topic, a subscription. It mends none by itself."""
        return self.error.endswith("manage.py provision")


class Figure(models.Model):
    """What happened in so many seconds: counts by name, which add up; see ``queues.upkeep.figures``."""

    seconds = models.PositiveIntegerField()
    begins_at = models.DateTimeField()
    counts = models.JSONField(default=dict)

    class Meta:
        ordering = ["begins_at"]
        default_permissions = ()
        constraints = [
            models.UniqueConstraint("seconds", "begins_at", name="one_figure_per_span_and_time")
        ]

    def __str__(self) -> str:
        return f"{self.seconds} s from {self.begins_at:%H:%M}"


class Duty(models.Model):
    """When something that one process does for all was begun last; see ``queues.upkeep.duties``."""

    name = models.CharField(max_length=150, primary_key=True)
    taken_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
