"""Update an event's unsent emails when staff correct its data."""

from __future__ import annotations

from uuid import UUID

from emails.models import Notification
from emails.sending import planning, states
from queues import registry
from queues.errors import Uncorrectable
from queues.events.envelope import Event

State = Notification.State

_WORDS = {
    State.SENT: "Its email was already sent, so its data cannot change.",
    State.SENDING: "Its email is being sent right now.",
    State.IN_DOUBT: "Its email is in doubt: SES may have accepted it. First say under Notifications what happened.",
    State.CANCELLED: "Its email was cancelled; a redrive sends nothing.",
    State.SUPPRESSED: "Its address is suppressed and must get no email. A redrive sends nothing.",
    State.KEPT: "Its email is kept back while bulk email is stopped.",
}


@registry.protectors
def why_protected(event_id: UUID) -> str:
    """Return why the data of this event must not change; empty if it may."""
    rows = Notification.objects.filter(event_id=event_id)
    return next((words for row in rows if (words := _why(row))), "")


@registry.correctors
def correct(event: Event) -> None:
    """Give the event's unsent emails its new data, and cancel those that it no longer owes: the address changed, say.

    Raises Uncorrectable if one of them cannot be changed any more.
    """
    owed = {wanted.key for wanted in planning.planned(event)}
    for row in Notification.objects.filter(event_id=event.id).order_by("id"):
        if (row.event_id, row.template, row.recipient) in owed:
            is_changed = states.correct(row, context=event.data)
        else:
            is_changed = states.withdraw(row)
        if not is_changed:
            row.refresh_from_db()
            raise Uncorrectable(_why(row))


def _why(row: Notification) -> str:
    if row.reason_code == states.CORRECTED:
        return ""
    return _WORDS.get(State(row.state), "")
