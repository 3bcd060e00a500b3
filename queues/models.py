"""The outbox, what failed on the way, and the dead letters."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q

from queues import live_models as live_models  # Django looks for models here.
from queues.expressions import Literal
from queues.uuid7 import uuid7


def in_state(*states: models.TextChoices) -> Q:
    """Rows of these states, by the partial index on just them, where there is one.

    SQLite recognises the condition of an index only where the SQL spells it out; a parameter could be anything.
    """
    first, *more = [Literal(state.value) for state in states]
    return Q(state__in=[first, *more]) if more else Q(state=first)


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    """Which rows of the outbox?"""

    def carried_by(
        self, queue: str, *, event_id: UUID | None, sqs_message_id: str
    ) -> OutboxQuerySet:
        """Those that a message stands for: by its event, or by its own id where it is no envelope."""
        rows = self.filter(queue=queue)
        if event_id:
            return rows.filter(event_id=event_id)
        # There is an index on events alone, and few rows have none.
        return rows.filter(event_id=None, sqs_message_id=sqs_message_id)


class OutboxEvent(models.Model):
    """An event recorded in the transaction of its cause; the relay publishes it, handling marks it handled."""

    class State(models.TextChoices):
        """``claimed``: a relay is publishing it. ``held``: its FIFO group waits for it, see ``queues.groups``.

        ``dead``: a dead letter. ``refused``: SQS will never take it as it is.
        """

        PENDING = "pending"
        CLAIMED = "claimed"
        PUBLISHED = "published"
        HELD = "held"
        DEAD = "dead"
        HANDLED = "handled"
        DISCARDED = "discarded"
        REFUSED = "refused"

    # An earlier event of its FIFO group in one of these may have to come first.
    UNFINISHED = (State.PENDING, State.CLAIMED, State.HELD, State.DEAD)

    # A redrive writes another row with the same event id; garbage from foreign producers has none.
    event_id = models.UUIDField(null=True, db_index=True)
    type = models.CharField(max_length=100, blank=True)
    subject = models.CharField(max_length=200, blank=True, db_index=True)
    queue = models.CharField("queue alias", max_length=50)
    group = models.CharField(max_length=128, blank=True)
    deduplication_id = models.UUIDField(default=uuid7)
    traceparent = models.CharField(max_length=60, blank=True)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    claim = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    available_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    sqs_message_id = models.CharField("SQS message id", max_length=100, blank=True)
    recorded_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField(null=True)
    handled_at = models.DateTimeField(null=True)
    redrive_of = models.ForeignKey(
        "DeadLetter", null=True, blank=True, on_delete=models.SET_NULL, related_name="redrives"
    )

    objects = OutboxQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("publish_outboxevent", "Can publish outbox events again")]
        indexes = [
            models.Index("queue", "id", name="outbox_pending", condition=Q(state="pending")),
            models.Index("lease_until", name="outbox_claimed", condition=Q(state="claimed")),
            models.Index(
                "queue", "published_at", name="outbox_published", condition=Q(state="published")
            ),
            models.Index(
                "queue",
                "group",
                "id",
                name="outbox_group_published",
                condition=Q(state="published"),
            ),
            models.Index("id", name="outbox_held", condition=Q(state="held")),
            models.Index("id", name="outbox_refused", condition=Q(state="refused")),
            models.Index(
                "handled_at", name="outbox_done", condition=Q(state__in=["handled", "discarded"])
            ),
            models.Index(
                "queue",
                "group",
                "id",
                name="outbox_group_head",
                condition=Q(state__in=["pending", "claimed", "held", "dead"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type or 'event'} {self.subject}".strip()


class HandlingFailure(models.Model):
    """Why one receive of a message ended without an ack: the history of a dead letter."""

    queue = models.CharField("queue alias", max_length=50)
    sqs_message_id = models.CharField("SQS message id", max_length=100)
    event_id = models.UUIDField(null=True, db_index=True)
    receive_count = models.PositiveIntegerField()
    code = models.CharField(max_length=100)
    reason = models.TextField()
    failed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                "sqs_message_id", "receive_count", "queue", name="one_failure_per_receive"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class DeadLetter(models.Model):
    """A message that used up its receives, moved here from its dead-letter queue."""

    class State(models.TextChoices):
        """``redriven``: an outbox row carries it again."""

        OPEN = "open"
        REDRIVEN = "redriven"
        DISCARDED = "discarded"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    queue = models.CharField("queue alias", max_length=50)
    sqs_message_id = models.CharField("SQS message id", max_length=100)
    event_id = models.UUIDField(null=True, db_index=True)
    type = models.CharField(max_length=100, blank=True)
    subject = models.CharField(max_length=200, blank=True, db_index=True)
    group = models.CharField(max_length=128, blank=True)
    body = models.TextField()
    attributes = models.JSONField(default=dict)
    message_attributes = models.JSONField(default=dict)
    receive_count = models.PositiveIntegerField(default=0)
    code = models.CharField("cause", max_length=100, blank=True)
    reason = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, db_index=True)
    sent_at = models.DateTimeField(null=True)
    collected_at = models.DateTimeField(auto_now_add=True)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    redriven_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-collected_at"]
        permissions = [
            ("collect_deadletter", "Can collect dead letters from SQS"),
            ("redrive_deadletter", "Can redrive dead letters"),
            ("discard_deadletter", "Can discard dead letters"),
        ]
        constraints = [
            models.UniqueConstraint("queue", "sqs_message_id", name="one_dead_letter_per_message")
        ]
        indexes = [models.Index("collected_at", name="dead_letter_open", condition=Q(state="open"))]

    def __str__(self) -> str:
        return f"{self.type or 'message'} {self.subject}".strip()
