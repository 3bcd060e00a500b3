"""What becomes of emails whose process died, or whose answer from SES was lost."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from emails import limiter, sending, states
from emails.models import Notification
from queues.registry import sweeps

# SES has long said what it accepted by then, where it says anything.
GRACE_SECONDS = 900


@sweeps
def refresh_rate() -> int:
    """What SES allows may change, and a slow-down ends."""
    return int(limiter.refresh())


@sweeps
def resolve_doubts() -> int:
    """Abandoned claims become doubts; with ``IN_DOUBT=resend`` old doubts are sent again, perhaps twice."""
    moved = states.doubt_abandoned()
    if settings.IN_DOUBT == "resend":
        old = Notification.objects.filter(
            state=Notification.State.IN_DOUBT,
            attempt_started_at__lt=Now() - timedelta(seconds=GRACE_SECONDS),
        )
        moved += sending.send_again(old)
    return moved
