"""The outbox, what failed on the way, and the dead letters."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from queues import checkup_models as checkup_models  # Django looks for models here.
from queues import live_models as live_models
from queues.expressions import Literal
from queues.redrive_models import Redrive as Redrive
from queues.redrive_models import RedriveItem as RedriveItem
from queues.uuid7 import uuid7


def in_state(*states: models.TextChoices) -> Q:
    """Rows of these states, by the partial index on just them, where there is one.

    SQLite recognises the condition of an index only where the SQL spells it out; a parameter could be anything.
    """
    first, *more = [Literal(state.value) for state in states]
    return Q(state__in=[first, *more]) if more else Q(state=first)


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


class DeadLetterQuerySet(models.QuerySet["DeadLetter"]):
    """Which dead letters?"""

    def open(self) -> DeadLetterQuerySet:
        """Those that wait for a person, by the partial index on just them; see ``in_state``."""
        return self.filter(state=Literal(DeadLetter.State.OPEN.value))

    def waiting(self) -> DeadLetterQuerySet:
        """Open ones that nobody has parked, or whose time to be parked is over."""
        return self.open().exclude(IS_PARKED)

    def parked(self) -> DeadLetterQuerySet:
        """Open ones that somebody has put off."""
        return self.open().filter(IS_PARKED)


# Time alone ends it.
IS_PARKED = Q(parked_until__gt=Now())


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
    # What its event puts at stake, see ``events.Stake``; empty where the body does not say.
    # An older release that still runs leaves these columns out.
    customer = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    amount_cents = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    parked_until = models.DateTimeField(null=True)
    note = models.CharField(max_length=300, blank=True, default="", db_default="")
    # Empty unless somebody has edited the body.
    original_body = models.TextField(blank=True, default="", db_default="")

    objects = DeadLetterQuerySet.as_manager()

    class Meta:
        ordering = ["-collected_at"]
        permissions = [
            ("collect_deadletter", "Can collect dead letters from SQS"),
            ("redrive_deadletter", "Can redrive dead letters"),
            ("edit_deadletter", "Can edit the data of dead letters and redrive them"),
            ("park_deadletter", "Can park dead letters until a time"),
            ("discard_deadletter", "Can discard dead letters, and open them again"),
        ]
        constraints = [
            models.UniqueConstraint("queue", "sqs_message_id", name="one_dead_letter_per_message")
        ]
        indexes = [
            models.Index(
                "collected_at", "parked_until", name="dead_letter_open", condition=Q(state="open")
            ),
            # All that is counted of a group, so that no body is read for it.
            models.Index(
                "fingerprint",
                "collected_at",
                "sent_at",
                "parked_until",
                "customer",
                "currency",
                "amount_cents",
                name="dead_letter_open_cause",
                condition=Q(state="open"),
            ),
            models.Index("sqs_message_id", name="dead_letter_message"),
        ]

    def __str__(self) -> str:
        return f"{self.type or 'message'} {self.subject}".strip()

    @property
    def is_parked(self) -> bool:
        """Whether it is put off; lists ask the database, see ``parked``."""
        return (
            self.state == self.State.OPEN
            and self.parked_until is not None
            and self.parked_until > timezone.now()
        )
