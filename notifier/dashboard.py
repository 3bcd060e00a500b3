"""The first page of the admin: what needs a person, and what was sent lately."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from emails.admin import NotificationAdmin
from emails.models import Breaker, Identity, Notification
from queues import masking
from queues.admin_filters import late
from queues.fact_sections import Section, coloured, link, list_url, moment
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
    if masking.hides(request):
        sections = [section.masked() for section in sections]
    return context | {"title": "Overview", "concerns": concerns, "sections": sections}


def _concerns(request: HttpRequest) -> Iterable[Concern]:
    if request.user.has_perm("queues.view_deadletter"):
        yield Concern(
            "Open dead letters",
            DeadLetter.objects.waiting().count(),
            "danger",
            "See their causes, mend them, then redrive.",
            reverse("admin:queues_deadletter_groups"),
        )
    if request.user.has_perm("emails.view_notification"):
        yield from _breakers()
        for state, colour, advice in (
            ("in_doubt", "warning", "SES may have accepted them: say whether they were sent."),
            ("failed", "danger", "SES refused them for good, or they could not be written."),
        ):
            yield Concern(
                f"Emails {state.replace('_', ' ')}",
                Notification.objects.filter(state=state).count(),
                colour,
                advice,
                _address(Notification, f"state__exact={state}"),
            )
    if request.user.has_perm("queues.view_outboxevent"):
        yield Concern(
            "Late events",
            late(OutboxEvent.objects.all()).count(),
            "warning",
            "Recorded over a minute ago and not published: is consume_queue running?",
            _address(OutboxEvent, "late=yes"),
        )
        yield Concern(
            "Held groups",
            OutboxEvent.objects.filter(state=OutboxEvent.State.HELD).count(),
            "warning",
            "Later events wait until the doubt about an email ends.",
            _address(OutboxEvent, "state__exact=held"),
        )
        yield Concern(
            "Refused events",
            OutboxEvent.objects.filter(state=OutboxEvent.State.REFUSED).count(),
            "danger",
            "SQS will not take them as they are.",
            _address(OutboxEvent, "state__exact=refused"),
        )


_BREAKER_ADVICE = {
    "quota": "Wait until the 24 hours move on, or ask AWS for a higher quota.",
    "account": "See the SES console: AWS or somebody paused sending.",
    "configuration": "See the sender on the Identities page, the configuration set and the credentials.",
}


def _breakers() -> Iterable[Concern]:
    """Nothing is lost meanwhile: messages stay in their queues, and sending goes on by itself."""
    for breaker in Breaker.objects.filter(is_open=True):
        yield Concern(
            f"Sending has stopped: {breaker.name}",
            1,
            "danger",
            f"{breaker.code}: {breaker.reason}. {_BREAKER_ADVICE[breaker.name]} It goes on by itself.",
            list_url(Identity),
        )


def _recent() -> Section:
    return Section(
        "Recent emails",
        ("email", "recipient", "state", "delivery", "recorded", "sent"),
        [
            (
                link(notification),
                notification.recipient,
                coloured(
                    notification.get_state_display(),
                    NotificationAdmin.state_colours[notification.state],
                ),
                _delivery(notification),
                moment(notification.created_at),
                moment(notification.sent_at),
            )
            for notification in Notification.objects.order_by("-id")[:RECENT]
        ],
        "None yet.",
    )


def _delivery(notification: Notification) -> str:
    if notification.delivery_status == Notification.Delivery.NONE:
        return "—"
    colour = NotificationAdmin.delivery_colours[notification.delivery_status]
    return coloured(notification.get_delivery_status_display(), colour)


def _address(model: type[Model], query: str) -> str:
    return f"{list_url(model)}?{query}"
