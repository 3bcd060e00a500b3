"""Say that an email was sent, or send one after all: decided by staff, by SES's silence, or by a lift."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from emails.models import Notification
from emails.sending import states
from queues.consumer import fifo_groups
from queues.events.envelope import Event
from queues.outbox import recording

State = Notification.State


@transaction.atomic
def mark_sent(notifications: QuerySet[Notification]) -> int:
    """A person says that these, in doubt, were sent; returns how many."""
    doubtful = notifications.filter(state=State.IN_DOUBT)
    event_ids = list(doubtful.values_list("event_id", flat=True))
    count = states.mark_sent(doubtful)
    fifo_groups.end_holds(event_ids)
    return count


@transaction.atomic
def send_again(notifications: QuerySet[Notification]) -> int:
    """These, in doubt, failed, suppressed or kept, are to be sent after all; returns how many.

    Their messages are gone from SQS, so each event is published again: from its own row in a FIFO group, from a new
    one elsewhere.
    """
    count = 0
    for notification in notifications.filter(state__in=states.REOPENED):
        if states.reopen(notification):
            recording.record_again(_event(notification))
            count += 1
    return count


def _event(notification: Notification) -> Event:
    return Event(
        id=notification.event_id,
        source=notification.event_source,
        type=notification.event_type,
        subject=notification.subject,
        partitionkey=notification.partition_key,
        data=notification.context,
    )
