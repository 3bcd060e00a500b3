"""Show the timeline of one event in the admin."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.views.decorators.http import require_safe

from emails.models import Notification
from emails.pages.notifications import shown
from emails.reports import standings
from emails.reports.standings import Standing
from notifier.journey import email_outcomes, event_timeline, history_page, new_address_page
from notifier.journey.event_timeline import Journey, TimelineEntry
from queues import masking
from queues.console import TIMELINE, change_url, moment
from queues.pages.cells import subject_links
from queues.pages.facts import FactAdmin


@dataclass(frozen=True)
class Line:
    """A step as the page shows it."""

    step: TimelineEntry
    date: str
    time: str
    gap: str


@dataclass(frozen=True)
class Shown:
    """An email beside the timeline; ``html`` is None if the user may not see it."""

    title: str
    address: str
    html: SafeString | None


@require_safe
@permission_required(TIMELINE, raise_exception=True)
def timeline(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Show what happened to an event, and its emails."""
    found = event_timeline.of(event_id)
    if found is None:
        raise Http404("nothing is known of this event")
    context = admin.site.each_context(request) | {
        "title": f"Timeline of {found.subject or found.event_id}",
        "journey": found,
        "situation": _situation(request, found),
        "advised": (advised := _advised(request, found)),
        "row_links": [
            link for link in _links(request, found) if not advised or link[1] != advised[1]
        ],
        "lines": [_line(request, step) for step in (*found.steps, _now(found))],
        "accepted_after": _gap(found.accepted_after),
        "delivered_after": _gap(found.delivered_after),
        "emails": [_email(request, row) for row in found.notifications],
    }
    return TemplateResponse(request, "admin/timeline.html", context)


def _gap(gap: timedelta | None) -> str:
    return "" if gap is None else event_timeline.human(gap)


def _situation(request: HttpRequest, found: Journey) -> dict[str, str] | None:
    """Describe the event's situation in the words of its notification, dead letter or outbox row."""
    row = _subject_of_situation(found)
    if row is None:
        return None
    pages = cast(FactAdmin, admin.site.get_model_admin(type(row)))
    if masking.hides(request):
        row = copy(row)
        pages.mask(row)
    return pages.situation(row)


def _subject_of_situation(found: Journey) -> Any:
    """Return the row that says most: the notification, else the dead letter, else the outbox row; None without any."""
    return next(
        (rows[-1] for rows in (found.notifications, found.letters, found.outbox) if rows), None
    )


def _advised(request: HttpRequest, found: Journey) -> tuple[str, str] | None:
    """Return the page of the advised act, as the page of the event's row does."""
    row = _subject_of_situation(found)
    if row is None:
        return None
    return cast(FactAdmin, admin.site.get_model_admin(type(row))).advised(request, row)


def _now(found: Journey) -> TimelineEntry:
    """Return the last line: where the event stands at this moment."""
    row = _subject_of_situation(found)
    label, colour, detail = "not known", "", ""
    if row is not None:
        pages = cast(FactAdmin, admin.site.get_model_admin(type(row)))
        state, label = pages.label(row)
        colour = pages.state_colours.get(state, "")
    if isinstance(row, Notification):
        if row.delivery_status != Notification.Delivery.NONE:
            label = row.get_delivery_status_display()
            colour = standings.DELIVERY_COLOURS.get(row.delivery_status, "")
        elif state == Standing.RETRYING and row.next_at > timezone.now():
            detail = f"Not before {moment(row.next_at)}."
    now = timezone.now()
    gap = now - found.steps[-1].at if found.steps else None
    return TimelineEntry(
        now,
        f"Now: {label[0].lower()}{label[1:]}",
        detail,
        colour=colour,
        gap=gap if gap and gap > timedelta() else None,
    )


def _links(request: HttpRequest, found: Journey) -> Any:
    names = {"outbox": "Outbox event", "letters": "Dead letter", "notifications": "Notification"}
    for kind, name in names.items():
        for row in getattr(found, kind)[-1:]:
            yield name, change_url(row)
    if not masking.hides(request):
        yield from subject_links(found.subject)[:1]
        for row in found.notifications[-1:]:
            yield f"History of {row.recipient}", history_page.url(row.recipient)
        outcome = email_outcomes.of_event(found.event_id)
        if outcome and outcome.is_lost and request.user.has_perm(new_address_page.PERMISSION):
            yield "Correct the address", reverse("new-address", args=[found.event_id])


def _line(request: HttpRequest, step: TimelineEntry) -> Line:
    if masking.hides(request):
        step = replace(step, detail=masking.addresses(step.detail), quote="")
    at = localtime(step.at)
    return Line(
        step=step,
        date=f"{at:%Y-%m-%d}, {at:%Z}",
        time=f"{at:%H:%M:%S}.{at.microsecond // 1000:03}",
        gap=event_timeline.human(step.gap) if step.gap is not None else "",
    )


def _email(request: HttpRequest, row: Any) -> Shown:
    if masking.hides(request):
        return Shown(f"{row.template}", change_url(row), None)
    return Shown(f"{row.template} to {row.recipient}", change_url(row), shown(row, "html"))
