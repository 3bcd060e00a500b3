"""The tables of notifications, of the attempts to send them, and of SES's reports about them."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from emails.models.templates import Edition
from queues.models.addresses import KeyField, with_address
from queues.models.sql import Literal
from queues.uuid7 import uuid7


class NotificationQuerySet(models.QuerySet["Notification"]):
    """The queries that choose notifications."""

    def to(self, address: str) -> NotificationQuerySet:
        """Return the notifications to this address, however it is spelled."""
        return with_address(self, "recipient", address)

    def brought_by(self, sqs_message_id: str) -> NotificationQuerySet:
        """Return the notifications of the event that another producer's message brought."""
        # The second condition repeats that of the index: without it SQLite does not use the index.
        return self.filter(sqs_message_id=sqs_message_id, sqs_message_id__gt=Literal(""))


class Notification(models.Model):
    """One email that one event owes to one recipient."""

    class State(models.TextChoices):
        """The state of a notification.

        ``sending``: a process has claimed it; ``in_doubt``: SES may or may not have accepted it; ``kept``: bulk email
        is stopped.
        """

        PENDING = "pending"
        SENDING = "sending"
        SENT = "sent"
        IN_DOUBT = "in_doubt"
        FAILED = "failed"
        CANCELLED = "cancelled"
        SUPPRESSED = "suppressed"
        KEPT = "kept"

    class Delivery(models.TextChoices):
        """The delivery status that SES reported; it only moves on in this order.

        ``suppressed``: SES did not try to deliver; ``emails.reports.sub_types`` has the reasons.
        """

        NONE = "none"
        DELAYED = "delayed"
        DELIVERED = "delivered"
        BOUNCED_SOFT = "bounced_soft", "Soft bounce"
        BOUNCED_HARD = "bounced_hard", "Hard bounce"
        COMPLAINED = "complained", "Marked as spam"
        REJECTED = "rejected", "Rejected by SES"
        SUPPRESSED = "suppressed", "Not tried by SES"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event_id = models.UUIDField()
    event_type = models.CharField(max_length=100)
    subject = models.CharField(max_length=200, blank=True)
    # With these we can publish the event again, even if its producer has no outbox here.
    event_source = models.CharField(max_length=200, blank=True)
    partition_key = models.CharField(max_length=128, blank=True)
    template = models.CharField(max_length=100)
    # As the event gives it, which makes the email one with its event's; ``recipient_key`` finds it in any spelling.
    recipient = models.EmailField()
    recipient_key = KeyField()
    # The event's data, which the template renders.
    context = models.JSONField()
    # What the last claim rendered it with; null if it was claimed by a release before versions, or never. Editions
    # are kept for ever, so that the database need not look after each email whether its edition is there.
    edition = models.ForeignKey(
        Edition,
        on_delete=models.DO_NOTHING,
        null=True,
        db_index=False,
        db_constraint=False,
        related_name="+",
    )
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    claim = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    attempt_started_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    # From this time on, SES's silence proves that it did not accept an email in doubt.
    safe_at = models.DateTimeField(null=True)
    provider_message_id = models.CharField("SES message id", max_length=100, blank=True)
    # The message that brought an event of another producer; the outbox knows those of our own.
    sqs_message_id = models.CharField(
        "SQS message id", max_length=100, blank=True, default="", db_default=""
    )
    reason_code = models.CharField("cause", max_length=100, blank=True)
    reason = models.TextField(blank=True)
    delivery_status = models.CharField(
        "delivery", max_length=12, choices=Delivery, default=Delivery.NONE
    )
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    # Why and when SES did not deliver it, or the recipient complained; empty while all is well. See
    # ``emails.reports.reasons``.
    delivery_code = models.CharField(
        "delivery code", max_length=40, blank=True, default="", db_default=""
    )
    delivery_reason = models.TextField(blank=True, default="", db_default="")
    delivery_at = models.DateTimeField("reported at", null=True)
    # The first open and the first click, as far as SES tracks them; a click counts as an open too.
    opened_at = models.DateTimeField(null=True)
    clicked_at = models.DateTimeField(null=True)

    objects = NotificationQuerySet.as_manager()

    # Emails in these states are not sent yet; most pending ones wait for their message to come back.
    UNSENT = (State.PENDING, State.FAILED)

    class Meta:
        ordering = ["-id"]
        permissions = [
            ("mark_sent_notification", "Can say that an email in doubt was sent"),
            ("send_again_notification", "Can send an email in doubt or failed again"),
            ("cancel_notification", "Can cancel an email that was not sent yet"),
            ("readdress_notification", "Can correct the address of an email and send it again"),
            ("preview_email", "Can preview email templates"),
            ("export_notification", "Can export notifications"),
        ]
        constraints = [
            models.UniqueConstraint(
                "event_id", "template", "recipient", name="one_notification_per_event_and_recipient"
            )
        ]
        # Each index costs each write. ``db_index`` would make two for a text on PostgreSQL.
        indexes = [
            models.Index("subject", name="notification_subject"),
            models.Index("provider_message_id", name="notification_ses_message"),
            # For searches by address, in upper or lower case, newest first.
            models.Index(Lower("recipient"), "id", name="notification_recipient"),
            models.Index(
                "recipient_key",
                name="notification_recipient_key",
                condition=Q(recipient_key__isnull=False),
            ),
            models.Index(
                "state",
                "created_at",
                name="notification_unsent",
                condition=Q(state__in=["pending", "failed"]),
            ),
            models.Index("lease_until", name="notification_sending", condition=Q(state="sending")),
            models.Index(
                "attempt_started_at", name="notification_in_doubt", condition=Q(state="in_doubt")
            ),
            models.Index("id", name="notification_failed", condition=Q(state="failed")),
            models.Index("id", name="notification_kept", condition=Q(state="kept")),
            models.Index(
                fields=["sqs_message_id"],
                name="notification_message",
                condition=Q(sqs_message_id__gt=""),
            ),
            # For the list of those that stand alike, newest first; see ``emails.reports.standings``.
            models.Index(
                "id",
                name="notification_unsent_newest",
                condition=Q(state__in=["pending", "failed"]),
            ),
            models.Index(
                "id",
                name="notification_untried",
                condition=Q(state="pending", attempts=0),
            ),
            models.Index(
                "event_id",
                "id",
                name="notification_tried",
                condition=Q(state="pending", attempts__gt=0),
            ),
            models.Index(
                "state",
                "id",
                name="notification_unwanted",
                condition=Q(state__in=["cancelled", "suppressed"]),
            ),
            # No index has a column that changes with each delivery: such an update would write to all indexes.
            models.Index("id", name="notification_trouble", condition=Q(delivery_code__gt="")),
            models.Index("id", name="notification_opened", condition=Q(opened_at__isnull=False)),
            models.Index("id", name="notification_clicked", condition=Q(clicked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.template} {self.subject}".strip()

    @property
    def time_to_mailbox(self) -> timedelta | None:
        """The time from SES's acceptance to the recipient's mail server; None while it is not known."""
        if self.sent_at is None or self.delivered_at is None:
            return None
        # Two clocks differ: SES's report may carry an earlier time than our own row.
        return max(self.delivered_at - self.sent_at, timedelta(0))


class Attempt(models.Model):
    """One call to SES for a notification."""

    class Outcome(models.TextChoices):
        """The outcome of an attempt; empty while the call runs, or if its process died.

        ``held``: not sent for a problem of our own.
        """

        ACCEPTED = "accepted"
        HELD = "held"
        NOT_SENT = "not_sent"
        REFUSED = "refused"
        IN_DOUBT = "in_doubt"

    # The index of ``one_row_per_attempt`` begins with it.
    notification = models.ForeignKey(
        Notification, on_delete=models.CASCADE, related_name="attempt_rows", db_index=False
    )
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    provider_message_id = models.CharField("SES message id", max_length=100, blank=True)
    error_code = models.CharField(max_length=100, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint("notification", "number", name="one_row_per_attempt")
        ]
        indexes = [models.Index("finished_at", name="attempt_finished")]

    def __str__(self) -> str:
        return f"attempt {self.number}"


class DeliveryEvent(models.Model):
    """A report of SES about an accepted email; each is saved once, in any order of arrival."""

    # The index of ``one_delivery_event`` begins with it.
    provider_message_id = models.CharField("SES message id", max_length=100)
    type = models.CharField(max_length=20)
    recipient = models.EmailField(blank=True)
    happened_at = models.DateTimeField()
    raw = models.JSONField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    # True if its email is not ours, or not yet known as ours; see ``emails.reports.orphans``.
    is_orphan = models.BooleanField("of an unknown email", default=False, db_default=False)

    # The events that staff look for. They are few: most emails are sent and delivered.
    NOTABLE = ("DeliveryDelay", "Bounce", "Complaint", "Reject", "Open", "Click")

    class Meta:
        ordering = ["happened_at", "id"]
        verbose_name = "SES event"
        verbose_name_plural = "SES events"
        constraints = [
            models.UniqueConstraint(
                "provider_message_id", "type", "recipient", "happened_at", name="one_delivery_event"
            )
        ]
        indexes = [
            models.Index("recorded_at", name="delivery_event_recorded"),
            models.Index("id", name="delivery_event_orphan", condition=Q(is_orphan=True)),
            models.Index(
                "type",
                "id",
                name="delivery_event_notable",
                condition=Q(
                    type__in=["DeliveryDelay", "Bounce", "Complaint", "Reject", "Open", "Click"]
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.type
