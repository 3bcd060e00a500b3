"""Show in the admin which recorded emails are not sent yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_safe

from notifier.overview import reconciliation
from notifier.overview.reconciliation import AGES, ANY_AGE, Age, Why
from queues import masking
from queues.answers import Section
from queues.console import TIMELINE, moment
from queues.models import DeadLetter
from queues.pages.cells import link, timeline_links
from queues.pages.sections import MAX_ROWS


@require_safe
@permission_required(TIMELINE, raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Show the answer in a sentence, then a table by reason and age."""
    owed = reconciliation.owed()
    context = admin.site.each_context(request) | {
        "title": "Reconciliation",
        "owed": owed,
        "verdict": reconciliation.sentence(owed),
        "is_well": not owed.late,
        "ages": AGES,
        "any_age": ANY_AGE,
        "table": [
            (part, list(zip(AGES, part.counts, strict=True))) for part in owed.counted if part.total
        ],
        "today": reconciliation.today(),
    }
    return TemplateResponse(request, "admin/reconciliation.html", context)


@require_safe
@permission_required(TIMELINE, raise_exception=True)
def show_some(request: HttpRequest, why: str, age: str) -> HttpResponse:
    """List the rows behind one number of the table, oldest first."""
    reason: Why | None = reconciliation.by_name(reconciliation.reasons(), why)
    chosen: Age | None = reconciliation.by_name((*AGES, ANY_AGE), age)
    if reason is None or chosen is None:
        raise Http404("no such reason, or no such age")
    rows = list(reason.aged(chosen, timezone.now())[: MAX_ROWS + 1])
    causes = _causes_of_dead_letters(rows)
    section = Section(
        f"{reason.title}, {chosen.title}",
        ("event", "since", "cause", "timeline"),
        [_row(reason, row, causes) for row in rows[:MAX_ROWS]],
        "None any more.",
    )
    context = admin.site.each_context(request) | {
        "title": reason.title,
        "advice": reason.advice,
        "sections": [section.masked() if masking.hides(request) else section],
        "is_cut": len(rows) > MAX_ROWS,
        "most": MAX_ROWS,
    }
    return TemplateResponse(request, "admin/reconciliation_some.html", context)


def _row(why: Why, row: Any, causes: Mapping[UUID, str]) -> list[object]:
    cause = getattr(row, "error", "") or getattr(row, "reason", "") or causes.get(row.event_id, "")
    timeline: list[object] = [
        format_html('<a class="text-link" href="{}">{}</a>', address, label)
        for label, address in timeline_links(row.event_id)
    ]
    return [
        link(row),
        moment(getattr(row, why.since)),
        cause or "—",
        *(timeline or ["—"]),
    ]


def _causes_of_dead_letters(rows: Sequence[Any]) -> dict[UUID, str]:
    """Return by event why its dead letter failed: the outbox does not know it."""
    letters = DeadLetter.objects.open().filter(event_id__in={row.event_id for row in rows})
    found = letters.order_by().values_list("event_id", "code", "reason")
    return {event_id: f"{code}: {reason}" for event_id, code, reason in found if event_id}
