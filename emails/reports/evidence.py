"""When the silence of SES proves that it did not accept an email.

An email in doubt that SES accepted is told of by an event with our tag. That no event came proves something only if
the channel of events is alive and has been read past it: SES has told of an email that was sent a good while later
(``DOUBT_DISTANCE_SECONDS``), a grace has passed, and after that everything that was still on its way had time to be
read (``DOUBT_DRAIN_SECONDS``; longer than a dead consumer can hide an event). Then nothing of the queue may be dead or
unread, as any of it could be the event. Under traffic something is always unread: there the time to be read passes
once more, by what SES told of, while the queue is read as fast as it fills. Where there is no traffic, a canary to
SES's mailbox simulator is something to tell of.
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
# Between the clocks of SES and of this machine.
MAX_SKEW_SECONDS = 60
MARK_STEP = timedelta(seconds=1)

State = Notification.State


def saw(moments: Sequence[datetime]) -> None:
    """SES told of emails that were sent then; the mark only rises, and never past now."""
    latest = timezone.now() + timedelta(seconds=MAX_SKEW_SECONDS)
    past = [sent_at for sent_at in moments if sent_at <= latest]
    if len(past) < len(moments):
        logger.warning("ignored an event of SES from the future sent_at=%s", max(moments))
    if past:
        _raise_mark(max(past))


def _raise_mark(sent_at: datetime) -> None:
    # A mark that is a little low proves a little less; one row that every event changes makes them queue up.
    is_behind = Q(newest_sent_at=None) | Q(newest_sent_at__lt=sent_at - MARK_STEP)
    marked = EventChannel.objects.filter(is_behind, pk=1).update(newest_sent_at=sent_at)
    if not marked and not EventChannel.objects.filter(pk=1).exists():
        EventChannel.objects.get_or_create(pk=1, defaults={"newest_sent_at": sent_at})


@sweeps
def resolve_doubts() -> int:
    """With events on: mark what silence will prove, send again what it has proved; returns how many are sent."""
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
    """Those of which nothing can speak any more that is waiting, in hand, failed or dead."""
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
    """Whether as many were read within the last visibility timeout: then what waits is traffic, and no backlog."""
    since = timezone.now() - timedelta(seconds=settings.QUEUE_VISIBILITY_SECONDS)
    read = DeliveryEvent.objects.order_by("-id").values_list("recorded_at", flat=True)
    return any(recorded_at > since for recorded_at in read[unread - 1 : unread])


def _send_canary() -> None:
    """At most one in half a minute, by one process, and only while the mark is behind a doubt."""
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
