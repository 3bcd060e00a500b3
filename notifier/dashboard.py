"""The first page of the admin: what needs a person, and what was sent lately."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from emails.models import Notification
from queues.admin_filters import late
from queues.fact_sections import Section, link, moment
from queues.models import DeadLetter, OutboxEvent

RECENT = 10


@dataclass(frozen=True)
class Concern:
    """Rows that need a person; ``address`` lists them, ``advice`` says what to do."""

    title: str
    count: int
    colour: str
    advice: str
    address: str


def index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the page shows, as far as the user may see it."""
    concerns = [concern for concern in _concerns(request) if concern.count]
    sections = [_recent()] if request.user.has_perm("emails.view_notification") else []
    return context | {"title": "Overview", "concerns": concerns, "sections": sections}


def _concerns(request: HttpRequest) -> Iterable[Concern]:
    if request.user.has_perm("queues.view_deadletter"):
        yield Concern(
            "Open dead letters",
            DeadLetter.objects.filter(state=DeadLetter.State.OPEN).count(),
            "danger",
            "Mend the cause, then redrive them.",
            _address("queues_deadletter", "state__exact=open"),
        )
    if request.user.has_perm("emails.view_notification"):
        for state, colour, advice in (
            ("in_doubt", "warning", "SES may have accepted them: say whether they were sent."),
            ("failed", "danger", "SES refused them for good, or they could not be written."),
        ):
            yield Concern(
                f"Emails {state.replace('_', ' ')}",
                Notification.objects.filter(state=state).count(),
                colour,
                advice,
                _address("emails_notification", f"state__exact={state}"),
            )
    if request.user.has_perm("queues.view_outboxevent"):
        yield Concern(
            "Late events",
            late(OutboxEvent.objects.all()).count(),
            "warning",
            "Recorded over a minute ago and not published: is consume_queue running?",
            _address("queues_outboxevent", "late=yes"),
        )
        yield Concern(
            "Refused events",
            OutboxEvent.objects.filter(state=OutboxEvent.State.REFUSED).count(),
            "danger",
            "SQS will not take them as they are.",
            _address("queues_outboxevent", "state__exact=refused"),
        )


def _recent() -> Section:
    return Section(
        "Recent emails",
        ("email", "recipient", "state", "delivery", "recorded", "sent"),
        [
            (
                link(notification),
                notification.recipient,
                notification.get_state_display(),
                notification.get_delivery_status_display(),
                moment(notification.created_at),
                moment(notification.sent_at),
            )
            for notification in Notification.objects.order_by("-id")[:RECENT]
        ],
        "None yet.",
    )


def _address(model: str, query: str) -> str:
    return reverse(f"admin:{model}_changelist") + f"?{query}"
