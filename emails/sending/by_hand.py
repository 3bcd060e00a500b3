"""Mark an email as sent, or send it after all.

Staff decide this, or SES's silence about an email in doubt, or the lifting of a suppression.
"""

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
    """Mark those of these emails that are in doubt as sent, because a person says so; returns how many."""
    doubtful = notifications.filter(state=State.IN_DOUBT)
    event_ids = list(doubtful.values_list("event_id", flat=True))
    count = states.mark_sent(doubtful)
    fifo_groups.end_holds(event_ids)
    return count


@transaction.atomic
def send_again(notifications: QuerySet[Notification]) -> int:
    """Send those of these emails that are in doubt, failed, suppressed or kept; returns how many.

    SQS no longer has their messages, so the relay publishes each event again: in a FIFO group from the event's own
    outbox row, elsewhere from a new row.
    """
    count = 0
    for notification in notifications.filter(state__in=states.REOPENED):
        if states.reopen(notification):
            recording.record_again(event_of(notification))
            count += 1
    return count


def event_of(notification: Notification) -> Event:
    """Return the event of this email, with the data that it was made from."""
    return Event(
        id=notification.event_id,
        source=notification.event_source,
        type=notification.event_type,
        subject=notification.subject,
        partitionkey=notification.partition_key,
        data=notification.context,
    )
