"""Tell the queues, in one query, the outcome of the emails that events owe."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Value, When
from django.db.models.functions import Now

from emails.models import Notification
from emails.reports import evidence
from queues.answers import Outcome, Verdict
from queues.registry import outcome_tellers

# Most mail servers accept an email within seconds. After this time, SES's acceptance counts as the outcome.
DELIVERY_SECONDS = 60

State = Notification.State
Delivery = Notification.Delivery

# An event with several emails has the outcome of the worst one.
_WORST_FIRST = (
    Verdict.FAILED,
    Verdict.PENDING,
    Verdict.BOUNCED,
    Verdict.UNSENT,
    Verdict.ACCEPTED,
)
_BY_STATE = {
    State.PENDING: Outcome(Verdict.PENDING, "Its email has not been sent yet."),
    State.SENDING: Outcome(Verdict.PENDING, "Its email is being sent."),
    State.IN_DOUBT: Outcome(Verdict.PENDING, "SES may or may not have accepted its email."),
    State.FAILED: Outcome(Verdict.FAILED, "Its email cannot be sent as it is."),
    State.CANCELLED: Outcome(Verdict.UNSENT, "Its email was cancelled."),
    State.SUPPRESSED: Outcome(Verdict.UNSENT, "Its address is suppressed."),
    State.KEPT: Outcome(Verdict.UNSENT, "Its email is kept back: bulk email is stopped."),
}
_BY_DELIVERY = {
    Delivery.NONE: Outcome(Verdict.ACCEPTED, "SES accepted it."),
    Delivery.DELAYED: Outcome(
        Verdict.ACCEPTED, "SES accepted it; the recipient's mail server delays it."
    ),
    Delivery.DELIVERED: Outcome(Verdict.ACCEPTED, "Delivered."),
    Delivery.COMPLAINED: Outcome(Verdict.ACCEPTED, "Delivered; the recipient marked it as spam."),
    Delivery.BOUNCED_SOFT: Outcome(
        Verdict.BOUNCED, "Soft bounce: the mailbox is full, for example."
    ),
    Delivery.BOUNCED_HARD: Outcome(Verdict.BOUNCED, "Hard bounce: the mailbox does not exist."),
    Delivery.REJECTED: Outcome(Verdict.BOUNCED, "SES found a virus in it and did not deliver it."),
    Delivery.SUPPRESSED: Outcome(Verdict.BOUNCED, "SES did not try to deliver it."),
}


@outcome_tellers
def of(event_ids: Collection[UUID]) -> dict[UUID, Outcome]:
    """Return the outcome of each event whose emails have notification rows, that is: a consumer has received it."""
    young = When(sent_at__gt=Now() - timedelta(seconds=DELIVERY_SECONDS), then=Value(True))
    rows = (
        Notification.objects.filter(event_id__in=event_ids)
        .annotate(is_young=Case(young, default=Value(False)))
        .values_list("event_id", "state", "delivery_status", "is_young")
    )
    found: dict[UUID, Outcome] = {}
    for event_id, state, delivery, is_young in rows:
        outcome = _outcome(State(state), Delivery(delivery), is_young=is_young)
        found[event_id] = min(outcome, found.get(event_id, outcome), key=_badness)
    return found


def _outcome(
    state: Notification.State, delivery: Notification.Delivery, *, is_young: bool
) -> Outcome:
    if state != State.SENT:
        return _BY_STATE[state]
    outcome = _BY_DELIVERY[delivery]
    if delivery in (Delivery.NONE, Delivery.DELAYED) and is_young and _ses_tells():
        return Outcome(outcome.verdict, outcome.words, may_change=True)
    return outcome


def _badness(outcome: Outcome) -> tuple[int, bool]:
    return _WORST_FIRST.index(outcome.verdict), not outcome.may_change


def _ses_tells() -> bool:
    """Return True if we read SES's events."""
    return evidence.ALIAS in settings.QUEUES
