"""Build the admin's tables about one email: each call to SES, and what SES reported later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest

from emails.models import DeliveryEvent, Notification
from emails.reports import report_words
from queues import masking, registry
from queues.answers import Section
from queues.console import moment
from queues.pages.cells import link
from queues.pages.sections import MAX_ROWS


def attempts_section(notification: Notification) -> Section:
    """Return the table of all calls to SES for this email."""
    return Section(
        "Attempts",
        ("number", "started", "finished", "outcome", "SES said"),
        [
            (
                attempt.number,
                moment(attempt.started_at),
                moment(attempt.finished_at),
                attempt.get_outcome_display() or "no answer recorded",
                attempt.provider_message_id or f"{attempt.error_code} {attempt.error}".strip(),
            )
            for attempt in notification.attempt_rows.all()
        ],
        "SES has not been called yet.",
    )


def reports_section(request: HttpRequest, notification: Notification) -> Section:
    """Return the table of SES's reports on this email, without personal data if this user may not see it."""
    quotes = not masking.hides(request)
    may_look = request.user.has_perm("emails.view_deliveryevent")
    named: Callable[[DeliveryEvent], object] = link if may_look else str
    message_ids = {attempt.provider_message_id for attempt in notification.attempt_rows.all()}
    message_ids |= {notification.provider_message_id}
    events = DeliveryEvent.objects.filter(provider_message_id__in=message_ids - {""})
    told = [(event, report_words.of(event)) for event in events[:MAX_ROWS]]
    return Section(
        "What SES reported later",
        ("event", "time", "recipient", "what it says"),
        [
            (named(event), moment(event.happened_at), event.recipient, words.full(quotes=quotes))
            for event, words in told
        ],
        "SES has reported nothing yet.",
    )


def seconds(gap: timedelta | None) -> str:
    """Format a time span as ``2.1 s`` or ``15 min``; empty if it is unknown."""
    if gap is None:
        return ""
    total = gap.total_seconds()
    return f"{total:.1f} s" if total < 600 else f"{total / 60:.0f} min"


@registry.detailers
def attempts_of_event(request: HttpRequest, event_id: UUID) -> Iterable[Section]:
    """Yield a table of all calls to SES for each email of the event, by two queries."""
    if not request.user.has_perm("emails.view_notification"):
        return
    rows = Notification.objects.filter(event_id=event_id).prefetch_related("attempt_rows")
    for notification in rows[:MAX_ROWS]:
        section = attempts_section(notification)
        yield replace(
            section, title=f"Attempts to send {notification.template} to {notification.recipient}"
        )
