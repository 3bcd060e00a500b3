"""An event's data was wrong and is corrected: what it owes and has not sent follows."""

from __future__ import annotations

from uuid import UUID

from emails.models import Notification
from emails.sending import planning, states
from queues import registry
from queues.errors import Uncorrectable
from queues.events.envelope import Event

State = Notification.State

_WORDS = {
    State.SENT: "Its email was sent already, and what was sent stays sent.",
    State.SENDING: "Its email is being sent right now.",
    State.IN_DOUBT: "Its email is in doubt: SES may have accepted it. Say first what happened.",
    State.CANCELLED: "Its email was cancelled; a redrive sends nothing.",
    State.SUPPRESSED: "Its email was suppressed: the address must get no email. A redrive sends nothing.",
    State.KEPT: "Its email is kept back while bulk email is stopped.",
}


@registry.protectors
def why_protected(event_id: UUID) -> str:
    """Why the data of this event must stay as it is."""
    rows = Notification.objects.filter(event_id=event_id)
    return next((words for row in rows if (words := _why(row))), "")


@registry.correctors
def correct(event: Event) -> None:
    """Unsent emails of this event say what it says now; those to another address than before are cancelled.

    Raises Uncorrectable as soon as one of them is not the event's to change any more.
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
