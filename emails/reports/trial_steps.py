"""Show how far a test email has come, in five steps from the outbox to the mailbox, and why it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from emails.models import Breaker, DeliveryEvent, Notification
from emails.reports import evidence
from emails.reports.ses_events import read_again
from emails.sending import trials
from queues.answers import EmailStep
from queues.models import DeadLetter, OutboxEvent
from queues.models.live import LiveConsumer, PausedQueue

Email = Notification.State
Delivery = Notification.Delivery

# A step that takes longer than this gets an explanation.
LATE = timedelta(seconds=10)
# The page stops refreshing after this: nobody watches longer.
FOLLOWED = timedelta(minutes=15)

DONE, NOW, TODO, WRONG = "done", "now", "todo", "wrong"
QUEUE = trials.EmailTestRequested.event_queue


@dataclass(frozen=True)
class Trial:
    """A test email with its steps; ``is_over`` is True if nothing more is expected."""

    event_id: UUID
    recipient: str
    sender: str
    notification: Notification | None
    steps: list[EmailStep]
    is_over: bool

    @property
    def version(self) -> str:
        """A mark that changes when the test ends, so that the page around the steps is reloaded too."""
        return "over" if self.is_over else "going on"


@dataclass(frozen=True)
class _Facts:
    row: OutboxEvent
    notification: Notification | None
    letter: DeadLetter | None

    @property
    def is_late(self) -> bool:
        return timezone.now() - self.row.recorded_at > LATE


def of(event_id: UUID) -> Trial | None:
    """Return the test of this event with its steps, by a handful of queries; None if there is no such test."""
    rows = OutboxEvent.objects.filter(event_id=event_id, type=trials.TYPE)
    row = rows.order_by("-id").first()
    if row is None:
        return None
    notification = Notification.objects.filter(event_id=event_id).first()
    letters = DeadLetter.objects.filter(event_id=event_id, state=DeadLetter.State.OPEN)
    facts = _Facts(row, notification, letters.first())
    steps = _timed(_steps(facts))
    is_old = timezone.now() - row.recorded_at > FOLLOWED
    data = json.loads(row.body)["data"]
    return Trial(
        event_id=event_id,
        recipient=data["recipient"],
        sender=data["sender"],
        notification=notification,
        steps=steps,
        is_over=is_old or not any(step.state == NOW for step in steps),
    )


def _steps(facts: _Facts) -> Iterator[EmailStep]:
    """Yield the steps up to the one where the test is now, or where it failed."""
    yield EmailStep("Recorded", DONE, facts.row.recorded_at)
    for make in (_queued, _taken, _accepted, _delivered):
        step = make(facts)
        yield step
        if step.state in (NOW, WRONG):
            break


def _queued(facts: _Facts) -> EmailStep:
    title, row = "Published to the queue", facts.row
    if row.published_at or row.handled_at or facts.notification:
        return EmailStep(title, DONE, row.published_at or row.handled_at)
    if row.state == OutboxEvent.State.REFUSED:
        return EmailStep(title, WRONG, detail=f"SQS rejects it: {row.error}")
    return EmailStep(title, NOW, detail=_why_unpublished(facts))


def _why_unpublished(facts: _Facts) -> str:
    if facts.row.error:
        return f"SQS has not accepted it yet: {facts.row.error}"
    return "Is consume_queue or relay_outbox running?" if facts.is_late else ""


def _taken(facts: _Facts) -> EmailStep:
    title, notification = "Received by a consumer", facts.notification
    if notification:
        at = notification.attempt_started_at or notification.created_at
        return EmailStep(title, DONE, at)
    if facts.letter:
        return EmailStep(title, WRONG, facts.letter.collected_at, _dead(facts.letter))
    return EmailStep(title, NOW, detail=_why_untaken(facts))


def _why_untaken(facts: _Facts) -> str:
    if paused := PausedQueue.objects.filter(pk=QUEUE).first():
        return f"{paused.paused_by} paused the queue {QUEUE}: {paused.reason}"
    if breaker := Breaker.objects.filter(is_open=True).first():
        return f"Sending has stopped ({breaker.name}): {breaker.reason}"
    if not facts.is_late:
        return ""
    living = LiveConsumer.objects.alive().filter(kind=LiveConsumer.Kind.CONSUMER)
    if not any(QUEUE in consumer.queues for consumer in living):
        return f"No consumer reads the queue {QUEUE}. Run manage.py consume_queue."
    return "The consumers are busy. It waits behind other messages."


def _accepted(facts: _Facts) -> EmailStep:
    title, notification = "Accepted by SES", facts.notification
    assert notification is not None  # noqa: S101 - the step before says so
    reason = f"{notification.reason_code}: {notification.reason}" if notification.reason else ""
    match notification.state:
        case Email.SENT:
            return EmailStep(
                title, DONE, notification.sent_at, f"Message id {notification.provider_message_id}"
            )
        case Email.IN_DOUBT:
            return EmailStep(title, NOW, detail=f"In doubt: SES may have accepted it. {reason}")
        case Email.PENDING | Email.SENDING:
            if facts.letter:
                return EmailStep(title, WRONG, facts.letter.collected_at, _dead(facts.letter))
            return EmailStep(title, NOW, detail=reason)
        case _:
            return EmailStep("Not sent", WRONG, detail=reason or notification.get_state_display())


def _dead(letter: DeadLetter) -> str:
    return f"It is a dead letter: {letter.code}: {letter.reason}"


# The title and state of each delivery status, and the SES event that reports it.
_DELIVERIES: Mapping[str, tuple[str, str, str]] = {
    Delivery.DELIVERED: ("Delivered", DONE, "Delivery"),
    Delivery.DELAYED: ("Delivered", NOW, "DeliveryDelay"),
    Delivery.BOUNCED_SOFT: ("Soft bounce", WRONG, "Bounce"),
    Delivery.BOUNCED_HARD: ("Hard bounce", WRONG, "Bounce"),
    Delivery.COMPLAINED: ("Marked as spam", WRONG, "Complaint"),
    Delivery.REJECTED: ("Rejected by SES", WRONG, "Reject"),
    Delivery.SUPPRESSED: ("Not tried by SES", WRONG, "Bounce"),
}


def _delivered(facts: _Facts) -> EmailStep:
    notification = facts.notification
    assert notification is not None  # noqa: S101 - two steps before say so
    if delivery := _DELIVERIES.get(notification.delivery_status):
        return _delivery_step(notification, *delivery)
    if evidence.ALIAS not in settings.QUEUES:
        detail = "SES reports nothing: SES_CONFIGURATION_SET and SES_EVENTS_TOPIC are not set."
        return EmailStep("Delivered", TODO, detail=detail)
    is_late = notification.sent_at and timezone.now() - notification.sent_at > LATE
    words = "SES has not reported yet. A slow mailbox takes minutes. If this stays, run manage.py provision."
    return EmailStep("Delivered", NOW, detail=words if is_late else "")


def _delivery_step(notification: Notification, title: str, state: str, kind: str) -> EmailStep:
    event = (
        DeliveryEvent.objects.filter(
            provider_message_id=notification.provider_message_id, type=kind
        )
        .order_by("happened_at")
        .last()
    )
    if event is None:
        return EmailStep(title, state, notification.delivered_at if state == DONE else None)
    return EmailStep(title, state, event.happened_at, _said(event))


def _said(report: DeliveryEvent) -> str:
    """Return the words of the mail server, or the kind of complaint, from SES's event."""
    event = read_again(report.raw)
    return (event.words or event.detail.feedback_type) if event else ""


def _timed(steps: Iterator[EmailStep]) -> list[EmailStep]:
    """Add to each step the time since the one before, then append the steps still to come."""
    found: list[EmailStep] = []
    before: datetime | None = None
    for step in steps:
        after = _seconds(step.at - before) if step.at and before else ""
        found.append(EmailStep(step.name, step.state, step.at, step.detail, after))
        before = step.at or before
    titles = [
        "Recorded",
        "Published to the queue",
        "Received by a consumer",
        "Accepted by SES",
        "Delivered",
    ]
    is_ended = any(step.state == WRONG for step in found)
    rest = [] if is_ended else titles[len(found) :]
    return found + [EmailStep(title, TODO) for title in rest]


def _seconds(span: timedelta) -> str:
    """Format a span; a negative one is shown as 0, since the times come from clocks of several machines."""
    return f"+{max(0.0, span.total_seconds()):.1f} s"
