"""Show redrives in the admin: the progress of each while it runs, and its record afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from queues import masking
from queues.answers import Section
from queues.console import change_url, moment
from queues.models import DeadLetter, Redrive, RedriveItem
from queues.pages.cells import coloured, link, two_lines
from queues.pages.facts import Act, FactAdmin, column
from queues.pages.listing.time_range import CreatedFilter
from queues.pages.sections import MAX_ROWS
from queues.redrives import jobs, releasing, standstill

State = Redrive.State
Outcome = RedriveItem.Outcome

STATE_COLOURS: Mapping[str, str] = {
    State.RUNNING: "info",
    State.STOPPED: "warning",
    State.HALTED: "danger",
    State.DONE: "success",
}
# The outcomes in the order of the page: what went wrong comes first.
OUTCOME_COLOURS = {
    Outcome.RETURNED: "danger",
    Outcome.BOUNCED: "warning",
    Outcome.PENDING: "info",
    Outcome.ACCEPTED: "success",
    Outcome.HANDLED: "primary",
    Outcome.SKIPPED: "",
    Outcome.WAITING: "",
}
OUTCOME_MEANINGS = {
    Outcome.RETURNED: "failed again",
    Outcome.BOUNCED: "SES accepted the email, the recipient's server did not",
    Outcome.PENDING: "sent back, outcome not known yet",
    Outcome.ACCEPTED: "by SES",
    Outcome.HANDLED: "without an email",
    Outcome.SKIPPED: "never sent back",
    Outcome.WAITING: "not sent back yet",
}


@admin.register(Redrive)
class RedriveAdmin(FactAdmin):
    list_display = ("what_column", "state_label", "succeeded", "started", "ended")
    list_filter = (("created_at", CreatedFilter), "state")
    search_fields = ("what", "reason", "started_by")
    search_help_text = "Cause, reason, or the user who started it"
    nothing_yet = "A redrive is listed here from the moment somebody starts it: open the dead letters to start one."
    ordering = ("-id",)
    list_before_template = "admin/queues/redrives_intro.html"
    change_form_outer_before_template = "admin/queues/redrive.html"
    fieldsets = (
        (
            "Redrive",
            {
                "fields": (
                    "what",
                    "reason",
                    ("started_by", "created_at"),
                    ("total", "ended_at"),
                    ("rate", "is_canary"),
                )
            },
        ),
    )

    acts = {
        "stop": Act(
            label="Stop",
            done="stopped",
            service=lambda rows: sum(jobs.stop(row) for row in rows),
            states=(State.RUNNING,),
            permission="queues.redrive_deadletter",
            colour="danger",
        ),
    }
    state_colours = STATE_COLOURS
    # Causes quote SES, and staff write reasons.
    personal = dict.fromkeys(("what", "reason", "why"), masking.addresses)
    meanings = {
        State.RUNNING: "Consumers send these dead letters back. You can close this page.",
        State.STOPPED: "Somebody stopped it; the history says who. To send the rest back, start another redrive.",
        State.HALTED: "It stopped by itself, because a failure came back. Fix the cause, then start another redrive.",
        State.DONE: "The outcome of every dead letter is known.",
    }

    @column(description="redrive")
    def what_column(self, redrive: Redrive) -> SafeString:
        return two_lines(redrive.what or "None was open", _letters(redrive.total))

    @column(description="state", ordering="state", colours=STATE_COLOURS)
    def state_label(self, redrive: Redrive) -> tuple[str, str]:
        return redrive.state, redrive.get_state_display()

    @column(description="succeeded")
    def succeeded(self, redrive: Any) -> SafeString:
        return two_lines(f"{redrive.good} of {redrive.total}", f"failed again: {redrive.bad}")

    @column(description="started", ordering="created_at")
    def started(self, redrive: Redrive) -> SafeString:
        return two_lines(moment(redrive.created_at), f"by {redrive.started_by}")

    @column(description="ended", ordering="ended_at")
    def ended(self, redrive: Redrive) -> str:
        return moment(redrive.ended_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Redrive]:
        rows: QuerySet[Redrive] = super().get_queryset(request)
        return rows.annotate(
            good=_count(Outcome.ACCEPTED, Outcome.HANDLED),
            bad=_count(Outcome.RETURNED, Outcome.BOUNCED),
        )

    def explain(self, row: Redrive) -> str:
        counts = jobs.counts(row)
        return f"{self.meanings[State(row.state)]} {_summary(row, counts, _failing(row, counts))}"

    def reason(self, row: Redrive) -> str:
        return row.why

    def links(self, request: HttpRequest, row: Redrive) -> Iterable[tuple[str, str]]:
        if request.user.has_perm("queues.view_deadletter"):
            yield "Open dead letters", reverse("admin:queues_deadletter_groups")

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        return super().render_change_form(
            request, context | _progress(request, kwargs["obj"]), **kwargs
        )

    def get_urls(self) -> list[URLPattern]:
        progress = self.admin_site.admin_view(self.progress_view)
        return [
            path("<uuid:pk>/progress/", progress, name="queues_redrive_progress"),
            *super().get_urls(),
        ]

    def progress_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        context = _progress(request, get_object_or_404(Redrive, pk=pk))
        return render(request, "admin/queues/redrive_progress.html", context)


def redrives_section(letter: DeadLetter) -> Section:
    """Build the table of redrives that a dead letter is or was in."""
    items = letter.redrive_items.select_related("redrive").order_by("-pk")
    return Section(
        "Redrives",
        ("redrive", "started by", "outcome", "why"),
        [
            (link(item.redrive), item.redrive.started_by, _outcome(item), item.detail or "—")
            for item in items[:MAX_ROWS]
        ],
    )


def _progress(request: HttpRequest, redrive: Redrive) -> dict[str, Any]:
    """Return the part of the page that changes while the redrive runs."""
    counts = jobs.counts(redrive)
    shown = [(outcome, counts[outcome]) for outcome in OUTCOME_COLOURS if counts[outcome]]
    failing = _failing(redrive, counts)
    items = _items_section(request, redrive, shown)
    return {
        "redrive": redrive,
        "progress_url": reverse("admin:queues_redrive_progress", args=[redrive.pk]),
        "figures": [
            {
                "outcome": "failing",
                "label": "failing",
                "meaning": "SQS delivers it again until it succeeds or is a dead letter",
                "count": failing,
            }
        ][: bool(failing)]
        + [
            {
                "outcome": outcome,
                "label": outcome.label.lower(),
                "meaning": OUTCOME_MEANINGS[outcome],
                "count": left,
            }
            for outcome, count in shown
            if (left := count - failing if outcome == Outcome.PENDING else count)
        ],
        "status": f"{redrive.get_state_display()}. {_summary(redrive, counts, failing)}",
        "pace": _pace(redrive),
        "standstill": standstill.of(redrive),
        "letters": [items.masked() if masking.hides(request) else items],
    }


def _failing(redrive: Redrive, counts: Mapping[str, int]) -> int:
    """Count the items whose message has failed since it was sent back, and may still succeed."""
    if not counts[Outcome.PENDING]:
        return 0
    return redrive.items.filter(outcome=Outcome.PENDING).exclude(fingerprint="").count()


def _summary(redrive: Redrive, counts: Mapping[str, int], failing: int) -> str:
    """Sum up what happened to the dead letters, and what is left to do."""
    good = counts[Outcome.ACCEPTED] + counts[Outcome.HANDLED]
    told = [f"{good} of {redrive.total} succeeded."]
    if again := counts[Outcome.RETURNED]:
        told.append(f"{_letters(again)} failed again: fix the cause, then redrive.")
    if bounced := counts[Outcome.BOUNCED]:
        told.append(f"{bounced} bounced: the address must be corrected.")
    if failing:
        told.append(f"{failing} failed since and may still succeed.")
    if pending := counts[Outcome.PENDING] - failing:
        told.append(f"{pending} sent back, outcome not known yet.")
    if spared := counts[Outcome.SKIPPED]:
        told.append(f"{spared} not sent back.")
    if redrive.state == State.DONE and good == redrive.total:
        told.append("Nothing is left to do.")
    return " ".join(told)


def _pace(redrive: Redrive) -> str:
    """Tell what a running redrive sends back next, and at what rate."""
    if redrive.state != State.RUNNING:
        return ""
    rate = f" At most {redrive.rate} per second." if redrive.rate else ""
    if redrive.stage == releasing.LAST_STAGE:
        return ("The canary succeeded. The rest follows." if redrive.is_canary else "") + rate
    size = releasing.STAGES[redrive.stage]
    return (
        f"Canary, step {redrive.stage + 1} of {releasing.LAST_STAGE + 1}: no more than {_letters(size)} until "
        f"{'it has' if size == 1 else 'they have'} succeeded.{rate}"
    )


def _items_section(
    request: HttpRequest, redrive: Redrive, shown: Iterable[tuple[RedriveItem.Outcome, int]]
) -> Section:
    """Build the table of items with one short query for each outcome: to sort by it would read a whole redrive."""
    items: list[RedriveItem] = []
    for outcome, _ in shown:
        if room := MAX_ROWS - len(items):
            rows = redrive.items.filter(outcome=outcome).order_by("position")
            items += rows.select_related("letter")[:room]
    may_look = request.user.has_perm("queues.view_deadletter")
    again = _open_again(items) if may_look else {}
    return Section(
        f"Dead letters: the first {MAX_ROWS}" if redrive.total > MAX_ROWS else "Dead letters",
        ("message", "outcome", "why", "sent back", "outcome known"),
        [
            (
                _letter(item, again.get(item.letter.event_id)) if may_look else item.letter,
                _outcome(item),
                item.detail or "—",
                moment(item.released_at),
                moment(item.settled_at),
            )
            for item in items
        ],
        "None of the chosen dead letters was open, or all of them are in another redrive.",
    )


def _open_again(items: Iterable[RedriveItem]) -> dict[UUID | None, DeadLetter]:
    """Find the new open dead letter of each item that failed again, by event id."""
    events = [item.letter.event_id for item in items if item.outcome == Outcome.RETURNED]
    letters = DeadLetter.objects.filter(
        event_id__in=[event_id for event_id in events if event_id], state=DeadLetter.State.OPEN
    )
    return {letter.event_id: letter for letter in letters.only("event_id", "type", "subject")}


def _letter(item: RedriveItem, again: DeadLetter | None) -> SafeString:
    if again is None or item.outcome != Outcome.RETURNED:
        return link(item.letter)
    new = format_html('<a class="text-link" href="{}">open again</a>', change_url(again))
    return two_lines(link(item.letter), new)


def _outcome(item: RedriveItem) -> SafeString:
    if item.outcome == Outcome.PENDING and item.fingerprint:
        return coloured("Failing", "danger")
    return coloured(item.get_outcome_display(), OUTCOME_COLOURS[Outcome(item.outcome)])


def _letters(count: int) -> str:
    return f"{count} dead letter{'' if count == 1 else 's'}"


def _count(*outcomes: str) -> Coalesce:
    """Count the items with these outcomes for the redrive in the outer query; the index on outcomes serves it."""
    rows = RedriveItem.objects.filter(redrive=OuterRef("pk"), outcome__in=outcomes).order_by()
    counted = rows.values("redrive").annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted), Value(0))
