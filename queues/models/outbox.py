"""The outbox: events saved with their cause, and how far each has come."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q

from queues.models.sql import Literal
from queues.uuid7 import uuid7


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    """Which rows of the outbox?"""

    def with_message(self, sqs_message_id: str) -> OutboxQuerySet:
        """Those that SQS took under this id."""
        # SQLite recognises its index by the second condition.
        return self.filter(sqs_message_id=sqs_message_id, sqs_message_id__gt=Literal(""))

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
        """``claimed``: a relay is publishing it. ``held``.

        Its FIFO group waits for it, see ``queues.consumer.fifo_groups``.

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
    # Nothing moves these but a person.
    STUCK = (State.DEAD, State.REFUSED)

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
                "state",
                "recorded_at",
                name="outbox_stuck",
                condition=Q(state__in=["dead", "refused"]),
            ),
            models.Index(
                "sqs_message_id", name="outbox_message", condition=Q(sqs_message_id__gt="")
            ),
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
