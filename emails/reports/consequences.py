"""Act on bounces and complaints that SES reports: suppress the address, and note an incident for the support.

Source: SES developer guide, "Contents of event data that Amazon SES publishes to Amazon SNS": types and subtypes of
bounces, ``complaintFeedbackType``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from emails.models import Notification
from emails.models.reputation import Incident
from emails.reputation import support, suppressions
from emails.reputation.suppressions import Entry, News, Source

if TYPE_CHECKING:
    from emails.reports.ses_events import SesEvent

Kind = Incident.Kind

_SOURCES = {
    Kind.BOUNCED_HARD: Source.BOUNCE,
    Kind.REFUSED: Source.BOUNCE,
    Kind.COMPLAINED: Source.COMPLAINT,
}


def follow(told: Iterable[tuple[SesEvent, Notification]]) -> None:
    """Suppress addresses and note incidents, in the transaction that records the events of our own emails."""
    found = [
        (kind, event, notification)
        for event, notification in told
        if (kind := _kind(event)) is not None
    ]
    if not found:
        return
    suppressions.learn(
        [
            News(
                Entry(notification.recipient, _SOURCES[kind], _reason(kind, event)),
                notification.pk,
                event.moment,
            )
            for kind, event, notification in found
            if kind in _SOURCES and event.sub_type.suppresses
        ]
    )
    support.note(
        [
            Incident(
                notification=notification,
                kind=kind,
                reason=_reason(kind, event)[:300],
                happened_at=event.moment,
            )
            for kind, event, notification in found
        ]
    )


def _kind(event: SesEvent) -> Incident.Kind | None:
    """Return the kind of incident; None for good news and for automatic replies."""
    if event.kind not in ("Bounce", "Complaint") or event.status is None:
        return None
    if event.status == Notification.Delivery.SUPPRESSED:
        return Kind.REFUSED
    if event.kind == "Complaint":
        return Kind.COMPLAINED
    is_hard = event.status == Notification.Delivery.BOUNCED_HARD
    return Kind.BOUNCED_HARD if is_hard else Kind.BOUNCED_SOFT


def _reason(kind: Incident.Kind, event: SesEvent) -> str:
    """Return the reason in the words of SES, the recipient or the mail server, whoever gave it."""
    if kind == Kind.REFUSED:
        reason = event.sub_type.reason
        return f"{reason[:1].upper()}{reason[1:]}"
    if kind == Kind.COMPLAINED:
        feedback = event.detail.feedback_type
        return "The recipient marked it as spam" + (f" ({feedback})." if feedback else ".")
    return event.diagnosis or "The mail server gave no reason."
