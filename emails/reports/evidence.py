"""Decide when SES's silence proves that it did not accept an email in doubt.

If SES accepted such an email, it sends an event with our tag. A missing event proves something only if events arrive
and have been read past that email, so all of this must be true:

1. SES has reported an email that was sent ``DOUBT_DISTANCE_SECONDS`` later, and ``DOUBT_GRACE_SECONDS`` have passed.
2. After that, ``DOUBT_DRAIN_SECONDS`` have passed, in which every event on its way could be read. This is longer than
   a dead consumer can hide an event.
3. The events queue has no unread message and no open dead letter: any of them could be the event.

Under traffic something is always unread. Then, instead of an empty queue, SES must have reported an email sent another
``DOUBT_DRAIN_SECONDS`` later, while the queue is read as fast as it fills. Without traffic nothing would be reported,
so a canary email goes to SES's mailbox simulator.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from emails.errors import SendError
from emails.models import DeliveryEvent, EventChannel, Notification
from emails.sending import by_hand, direct_emails
from queues.aws import sqs
from queues.models import DeadLetter
from queues.registry import sweeps

logger = logging.getLogger(__name__)

ALIAS = "ses-events"
CANARY_SECONDS = 30
# The most that the clocks of SES and of this machine may differ.
MAX_SKEW_SECONDS = 60
MARK_STEP = timedelta(seconds=1)

State = Notification.State


def saw(moments: Sequence[datetime]) -> None:
    """Raise the mark to the newest sending time that SES reported; it never falls, and never passes the present."""
    latest = timezone.now() + timedelta(seconds=MAX_SKEW_SECONDS)
    past = [sent_at for sent_at in moments if sent_at <= latest]
    if len(past) < len(moments):
        logger.warning("ignored an event of SES from the future sent_at=%s", max(moments))
    if past:
        _raise_mark(max(past))


def _raise_mark(sent_at: datetime) -> None:
    # A mark a little too low proves a little less; a row that every event updates makes consumers wait for its lock.
    is_behind = Q(newest_sent_at=None) | Q(newest_sent_at__lt=sent_at - MARK_STEP)
    marked = EventChannel.objects.filter(is_behind, pk=1).update(newest_sent_at=sent_at)
    if not marked and not EventChannel.objects.filter(pk=1).exists():
        EventChannel.objects.get_or_create(pk=1, defaults={"newest_sent_at": sent_at})


@sweeps
def resolve_doubts() -> int:
    """Send again the emails that SES provably did not accept, and mark the next ones; returns how many are sent.

    Does nothing if SES's events are not read.
    """
    if (
        ALIAS not in settings.QUEUES
        or not Notification.objects.filter(state=State.IN_DOUBT).exists()
    ):
        return 0
    _mark()
    proved = _proved()
    if proved.exists():
        count = by_hand.send_again(proved)
        logger.warning("silence proved that SES did not accept count=%d", count)
        return count
    _send_canary()
    return 0


def _mark() -> None:
    channel = EventChannel.objects.filter(pk=1).first()
    if channel is None or channel.newest_sent_at is None:
        return
    distance = timedelta(seconds=settings.DOUBT_DISTANCE_SECONDS)
    Notification.objects.filter(
        state=State.IN_DOUBT,
        safe_at=None,
        attempt_started_at__lt=channel.newest_sent_at - distance,
    ).filter(attempt_started_at__lt=Now() - timedelta(seconds=settings.DOUBT_GRACE_SECONDS)).update(
        safe_at=Now() + timedelta(seconds=settings.DOUBT_DRAIN_SECONDS)
    )


def _proved() -> QuerySet[Notification]:
    """Return emails for which no event can still come: none is waiting, in flight, failed or a dead letter."""
    due = Notification.objects.filter(state=State.IN_DOUBT, safe_at__lt=Now())
    if not due.exists() or _has_dead():
        return due.none()
    unread = _count(sqs.queue(ALIAS))
    if not unread:
        return due
    newest = EventChannel.objects.values_list("newest_sent_at", flat=True).first()
    if newest is None or not _keeps_up(unread):
        return due.none()
    return due.filter(safe_at__lt=newest - timedelta(seconds=settings.DOUBT_DRAIN_SECONDS))


def _has_dead() -> bool:
    if DeadLetter.objects.filter(queue=ALIAS, state=DeadLetter.State.OPEN).exists():
        return True
    return _count(sqs.dead_letter_queue(ALIAS)) > 0


def _count(queue: sqs.Queue) -> int:
    depth = queue.depth()
    return depth.visible + depth.in_flight + depth.delayed


def _keeps_up(unread: int) -> bool:
    """Return True if as many were read within the last visibility timeout: what waits is traffic, not a backlog."""
    since = timezone.now() - timedelta(seconds=settings.QUEUE_VISIBILITY_SECONDS)
    read = DeliveryEvent.objects.order_by("-id").values_list("recorded_at", flat=True)
    return any(recorded_at > since for recorded_at in read[unread - 1 : unread])


def _send_canary() -> None:
    """Send a canary, at most one each half minute from one process, while the mark is behind an email in doubt."""
    EventChannel.objects.get_or_create(pk=1)
    waiting = Notification.objects.filter(state=State.IN_DOUBT, safe_at=None)
    if not waiting.exists():
        return
    mine = (
        EventChannel.objects.filter(pk=1)
        .filter(Q(canary_at=None) | Q(canary_at__lt=Now() - timedelta(seconds=CANARY_SECONDS)))
        .update(canary_at=Now())
    )
    if not mine:
        return
    try:
        direct_emails.send_canary()
    except SendError as exc:
        logger.warning("no canary: %s", exc)
