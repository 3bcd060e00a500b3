"""Store dead letters, and the failure of each receive that led to one."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from queues.models.sql import Literal
from queues.uuid7 import uuid7

# The code of a failure whose consumer died with the message in flight.
DIED = "Died"


class HandlingFailure(models.Model):
    """The reason why one receive of a message ended without an ack: together, the history of a dead letter."""

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
    """Choose dead letters."""

    def open(self) -> DeadLetterQuerySet:
        """Select those that nobody has redriven or discarded, by the partial index on just them; see ``in_state``."""
        return self.filter(state=Literal(DeadLetter.State.OPEN.value))

    def waiting(self) -> DeadLetterQuerySet:
        """Select open dead letters that are not parked, or no longer."""
        return self.open().exclude(IS_PARKED)

    def parked(self) -> DeadLetterQuerySet:
        """Select open dead letters that somebody has parked until a time to come."""
        return self.open().filter(IS_PARKED)


# When a dead letter that is no longer open was closed. What a release before 1.0.0 discarded has no time of that.
CLOSED_AT = Coalesce("discarded_at", "redriven_at", "collected_at")
# Sorts open dead letters before the others. Written without parameters, or SQLite would not use the index.
OPEN_FIRST = Case(
    When(state=Literal("open"), then=Literal("0")),
    default=Literal("1"),
    output_field=models.CharField(),
)
# Parking ends by time alone; nothing has to change the row.
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
    discarded_at = models.DateTimeField(null=True)
    # What its event puts at stake, see ``queues.events.stakes.Stake``; empty if the body does not say.
    # The database has defaults: an older release that still runs leaves these columns out.
    customer = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    amount_cents = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True, default="", db_default="")
    # The domain of its email's recipient, so that staff see which domains to verify. An earlier release left it empty.
    domain = models.CharField(
        "recipient's domain", max_length=255, blank=True, default="", db_default=""
    )
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
            ("export_deadletter", "Can export dead letters"),
        ]
        constraints = [
            models.UniqueConstraint("queue", "sqs_message_id", name="one_dead_letter_per_message")
        ]
        indexes = [
            models.Index(
                "collected_at", "parked_until", name="dead_letter_open", condition=Q(state="open")
            ),
            # Holds every column that is counted for a group, so that the database reads no body.
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
            # Counts the recipients' domains of a cause, and finds those of one domain.
            models.Index(
                "fingerprint",
                "domain",
                "parked_until",
                name="dead_letter_open_domain",
                condition=Q(state="open"),
            ),
            models.Index(
                "fingerprint",
                "customer",
                "parked_until",
                name="dead_letter_open_customer",
                condition=Q(state="open"),
            ),
            # The order of the list.
            models.Index(
                OPEN_FIRST,
                F("collected_at").desc(),
                F("id").desc(),
                name="dead_letter_open_first",
            ),
            models.Index("sqs_message_id", name="dead_letter_message"),
            # Tells which of many events have dead letters, and in which states, without reading a body.
            models.Index("event_id", "state", name="dead_letter_event"),
            models.Index(
                CLOSED_AT,
                name="dead_letter_closed",
                condition=Q(state__in=["redriven", "discarded"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type or 'message'} {self.subject}".strip()

    @property
    def is_parked(self) -> bool:
        """True while this row is parked. To select many rows, use the queryset's ``parked``."""
        return (
            self.state == self.State.OPEN
            and self.parked_until is not None
            and self.parked_until > timezone.now()
        )


class CauseNote(models.Model):
    """Say who works on a cause of dead letters and what they know; the log has each change."""

    # The cause's name in URLs: its fingerprint, or ``none``.
    key = models.CharField(max_length=64, primary_key=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    text = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        verbose_name = "cause of dead letters"

    def __str__(self) -> str:
        return f"cause {self.key}"
