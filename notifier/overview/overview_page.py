"""Show the first page of the admin: what needs a person, the live figures, and the latest emails.

The browser fetches the live part again every few seconds. Its cost for the database is bounded, however many rows there
are: ``tests/notifier/overview/test_overview_page.py`` counts the queries.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from emails.models import Notification
from emails.reports import standings
from notifier.alerts import alerts
from notifier.overview import figures, marks, problems, running
from notifier.overview.figures import WINDOWS
from queues import masking
from queues.answers import Section
from queues.console import moment
from queues.pages.cells import coloured, link

RECENT = 8


def index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to the context what this user may see."""
    return context | {"title": "Overview"} | _live(request)


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """Return only the part of the page that changes."""
    return render(request, "notifier/overview.html", _live(request))


def _live(request: HttpRequest) -> dict[str, Any]:
    found = problems.current(request.user.has_perm, hides_money=masking.hides(request))
    if any(problem.concern.key.startswith("no consumer") for problem in found):
        # Only a consumer would alert, and none runs.
        alerts.check_soon()
    sections = [_recent()] if request.user.has_perm("emails.view_notification") else []
    if masking.hides(request):
        sections = [section.masked() for section in sections]
    return {"problems": found, "sections": sections, "now": timezone.now()} | _running(request)


def _running(request: HttpRequest) -> dict[str, Any]:
    """Collect figures and processes; they show queues and emails together, so they have their own permission."""
    if not request.user.has_perm("queues.view_consumer"):
        return {}
    name = request.GET.get("window", "")
    name = name if name in WINDOWS else "1h"
    now, living = timezone.now(), running.consumers()
    queues, window = running.queues(living), WINDOWS[name]
    happened = marks.since(
        now - window.reach,
        living=living,
        paused=[queue.paused for queue in queues if queue.paused],
        may=request.user.has_perm,
    )
    return {
        "tiles": figures.tiles(now),
        "charts": figures.charts(now, window, happened),
        "windows": [(key, window.label) for key, window in WINDOWS.items()],
        "window": name,
        "queues": queues,
        "consumers": living,
        "is_counting": any(not row.is_silent for row in living),
        "may_pause": request.user.has_perm("queues.pause_queue"),
        "may_forget": request.user.has_perm("queues.forget_consumer"),
    }


def _recent() -> Section:
    emails = list(Notification.objects.order_by("-id")[:RECENT])
    found = standings.of(emails)
    return Section(
        "Latest emails",
        ("email", "recipient", "state", "delivery", "recorded", "sent"),
        [
            (
                link(notification),
                notification.recipient,
                coloured(found[notification.pk].label, standings.COLOURS[found[notification.pk]]),
                _delivery(notification),
                moment(notification.created_at),
                moment(notification.sent_at),
            )
            for notification in emails
        ],
        "None yet.",
    )


def _delivery(notification: Notification) -> str:
    if notification.delivery_status == Notification.Delivery.NONE:
        return "—"
    colour = standings.DELIVERY_COLOURS[notification.delivery_status]
    return coloured(notification.get_delivery_status_display(), colour)
