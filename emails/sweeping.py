"""The upkeep that consumers do beside sending: the rate, abandoned claims, doubts, old rows."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from emails.models import Attempt, DeliveryEvent, Notification
from emails.models.reputation import Incident
from emails.reports import evidence
from emails.sending import by_hand, guard, limiter, states
from queues.consumer import fifo_groups
from queues.models import in_state
from queues.registry import sweeps
from queues.upkeep.old_rows import delete_batches

State = Notification.State

# One step comes every half minute. It releases at most this many emails, more than SES takes from most accounts, and
# ``KEPT_BATCH`` of them in one transaction.
MOST_KEPT = 2000
KEPT_BATCH = 100


@sweeps
def refresh_rate() -> int:
    """Learn the current rate from SES, and end a slow-down that is over."""
    return int(limiter.refresh())


@sweeps
def abandon() -> int:
    """Mark emails as in doubt if their process died while it held the claim."""
    return states.doubt_abandoned()


@sweeps
def end_holds() -> int:
    """Let a FIFO group go on when its email is no longer in doubt, however the doubt ended."""
    held = fifo_groups.held()
    if not held:
        return 0
    doubtful = Notification.objects.filter(event_id__in=held, state=State.IN_DOUBT)
    return fifo_groups.end_holds(held - set(doubtful.values_list("event_id", flat=True)))


@sweeps
def resend_doubts() -> int:
    """Send emails in doubt again after the grace period, if ``IN_DOUBT=resend`` and SES sends us no events."""
    if evidence.ALIAS in settings.QUEUES or settings.IN_DOUBT != "resend":
        return 0
    grace = timedelta(seconds=settings.DOUBT_GRACE_SECONDS)
    old = Notification.objects.filter(state=State.IN_DOUBT, attempt_started_at__lt=Now() - grace)
    return by_hand.send_again(old)


@sweeps
def send_kept() -> int:
    """Send the emails that were kept while bulk email was stopped, oldest first; returns how many."""
    kept = Notification.objects.filter(in_state(State.KEPT)).order_by("id")
    if guard.is_stopped() or not kept.exists():
        return 0
    keys = list(kept.values_list("pk", flat=True)[:MOST_KEPT])
    batches = [keys[start : start + KEPT_BATCH] for start in range(0, len(keys), KEPT_BATCH)]
    return sum(
        by_hand.send_again(Notification.objects.filter(pk__in=batch, state=State.KEPT))
        for batch in batches
    )


@sweeps
def tidy() -> int:
    """Delete rows older than KEEP_DAYS: attempts of finished emails, events of SES, and reported incidents.

    The attempts of an email that was sent go together, KEEP_DAYS after SES accepted it, or after a person said so.
    """
    old = timezone.now() - timedelta(days=settings.KEEP_DAYS)
    attempts = Attempt.objects.filter(
        Q(notification__sent_at=None) | Q(notification__sent_at__lt=old),
        notification__state__in=[State.SENT, State.CANCELLED, State.SUPPRESSED],
    )
    return (
        # Two questions, for which the index on the time of the end has the answer: those of dead processes have none.
        delete_batches(attempts.filter(finished_at__lt=old))
        + delete_batches(attempts.filter(finished_at=None, started_at__lt=old))
        + delete_batches(DeliveryEvent.objects.filter(recorded_at__lt=old))
        + delete_batches(Incident.objects.filter(told_at__lt=old))
    )
