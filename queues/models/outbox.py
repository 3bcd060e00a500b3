"""The outbox table: events saved in the transaction of their cause, and how far each has come."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q

from queues.models.sql import Literal
from queues.uuid7 import uuid7


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    """Choose rows of the outbox."""

    def with_message(self, sqs_message_id: str) -> OutboxQuerySet:
        """Select the rows that SQS took under this id."""
        # The second condition repeats that of the index: without it SQLite does not use the index.
        return self.filter(sqs_message_id=sqs_message_id, sqs_message_id__gt=Literal(""))

    def carried_by(
        self, queue: str, *, event_id: UUID | None, sqs_message_id: str
    ) -> OutboxQuerySet:
        """Select the rows that a message carries: by its event id, or by SQS's id if it is not an envelope."""
        rows = self.filter(queue=queue)
        if event_id:
            return rows.filter(event_id=event_id)
        # The index on event_id finds them: few rows have none.
        return rows.filter(event_id=None, sqs_message_id=sqs_message_id)


class OutboxEvent(models.Model):
    """An event recorded in the transaction of its cause. The relay publishes it, the consumer marks it handled."""

    class State(models.TextChoices):
        """The states of an event on its way.

        ``claimed``: a relay is publishing it. ``held``: its FIFO group waits for it, see
        ``queues.consumer.fifo_groups``. ``dead``: it is a dead letter. ``refused``: SQS will never take it as it is.
        """

        PENDING = "pending"
        CLAIMED = "claimed"
        PUBLISHED = "published"
        HELD = "held"
        DEAD = "dead"
        HANDLED = "handled"
        DISCARDED = "discarded"
        REFUSED = "refused"

    # An event in one of these states may have to come before later ones of its FIFO group.
    UNFINISHED = (State.PENDING, State.CLAIMED, State.HELD, State.DEAD)
    # Only a person moves an event on from these states.
    STUCK = (State.DEAD, State.REFUSED)

    # A redrive writes another row with the same event id. A message that is no envelope has no event id.
    event_id = models.UUIDField(null=True, db_index=True)
    type = models.CharField(max_length=100, blank=True)
    subject = models.CharField(max_length=200, blank=True)
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
        "DeadLetter",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="redrives",
        db_index=False,
    )

    objects = OutboxQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        permissions = [("publish_outboxevent", "Can publish outbox events again")]
        indexes = [
            # On PostgreSQL ``db_index`` would make a second one for a text, which costs each change of state.
            models.Index("subject", name="outbox_subject"),
            models.Index(
                "redrive_of", name="outbox_redrive", condition=Q(redrive_of__isnull=False)
            ),
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
