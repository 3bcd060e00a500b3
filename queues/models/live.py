"""Store what running processes report of themselves and of the queues; losing these rows loses no email."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Six heartbeats long: a process must not look silent because the database failed to store one.
SILENT_SECONDS = 30


class LiveConsumerQuerySet(models.QuerySet["LiveConsumer"]):
    """Choose processes by whether they still send heartbeats."""

    def silent(self) -> LiveConsumerQuerySet:
        """Select those without a heartbeat for SILENT_SECONDS that have not stopped properly."""
        return self.filter(_is_silent())

    def alive(self) -> LiveConsumerQuerySet:
        """Select those that sent a heartbeat within SILENT_SECONDS."""
        return self.exclude(_is_silent())

    def with_silence(self) -> LiveConsumerQuerySet:
        """Select all, each with ``is_silent`` set."""
        # As a dict, or the type checker would take the name for a second declaration.
        return self.annotate(**{"is_silent": _is_silent()})


def _is_silent() -> Q:
    return Q(beat_at__lt=Now() - timedelta(seconds=SILENT_SECONDS))


class LiveConsumer(models.Model):
    """A running process and its last heartbeat, one every few seconds; its row goes when it stops.

    See ``queues.upkeep.heartbeats``.
    """

    class Kind(models.TextChoices):
        """The kinds: a ``relay`` only publishes the outbox, an ``archiver`` writes events to files."""

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
    # Messages handled since its start, handled per second since the last heartbeat, and in flight now.
    handled = models.PositiveBigIntegerField(default=0)
    rate = models.FloatField(default=0)
    in_flight = models.PositiveIntegerField(default=0, db_column="in_hand")
    # Why it cannot receive now, by queue alias; a release that does not know this column leaves it null.
    troubles = models.JSONField(null=True)

    # Set only on rows that ``with_silence`` selected.
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
    """A queue that no consumer receives from until somebody resumes it; see ``queues.consumer.pausing``."""

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
    """The last depth that SQS gave for a queue; one consumer asks every 15 seconds. See ``queues.upkeep.depths``."""

    alias = models.CharField("queue alias", max_length=50, primary_key=True)
    visible = models.PositiveIntegerField(default=0)
    in_flight = models.PositiveIntegerField(default=0)
    delayed = models.PositiveIntegerField(default=0)
    dead = models.PositiveIntegerField("in the dead-letter queue", default=0)
    # When the relay published the oldest of our events that is not handled yet.
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
        """The number of messages that wait for a consumer, those delayed by SQS included."""
        return self.visible + self.delayed

    @property
    def is_lacking(self) -> bool:
        """True if AWS lacks a queue, topic or subscription that settings name: ``manage.py provision`` makes it."""
        return self.error.endswith("manage.py provision")


class Figure(models.Model):
    """Counts by name of what happened in a span of seconds; spans add up. See ``queues.upkeep.figures``."""

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
    """The time when one process last began a duty that it does for all; see ``queues.upkeep.duties``."""

    name = models.CharField(max_length=150, primary_key=True)
    taken_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
