"""Let staff rehearse a draft, see what it fixes and breaks with the events behind it, publish it, and redrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from emails.editing import rules
from emails.errors import Barred, RenderError, StaleTemplate
from emails.models import Rehearsal, RehearsalCase, TemplateDraft
from emails.pages.templates import frame
from emails.rehearsal import acts, barring, comparing, jobs, subjects
from emails.rehearsal.comparing import Compared, Result
from emails.versions import drafts
from queues import masking, registry
from queues.console import change_url, moment
from queues.pages.facts import ReasonForm
from queues.pages.forms import PROVEN_ABOVE
from queues.pages.redrive_start import started

PAGE = "admin:emails_emailtemplate_rehearsal"
REDRIVE = "queues.redrive_deadletter"

Kind = RehearsalCase.Kind
Outcome = RehearsalCase.Outcome

MEANINGS = {
    Outcome.FIXED: "cannot be rendered now, would be",
    Outcome.UNCHANGED: "the same, to the last character",
    Outcome.CHANGED: "rendered as now, with another text",
    Outcome.BROKEN: "rendered now, would not be",
    Outcome.FAILING: "cannot be rendered, now or then",
}
# Cases on a page, and those of them whose emails are compared there.
MOST_SHOWN = 100
MOST_COMPARED = 20
# Lines around a difference.
CONTEXT = 2
MOST_LINES = 80


class PublishForm(ReasonForm):
    """Asks why the draft is published; ``rehearsal`` is the one that its reader saw."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
    rehearsal = forms.UUIDField(widget=forms.HiddenInput)


@dataclass(frozen=True)
class Shown:
    """A case as the page shows it; ``differences`` has the lines that differ, by part of the email."""

    case: RehearsalCase
    words: str
    at: str
    reason: str
    address: str
    data: str
    differences: list[tuple[str, str]]


@never_cache
@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def show(request: HttpRequest, name: str) -> HttpResponse:
    """Show the rehearsal of a draft: its progress, then its result and what may be done."""
    context = _context(request, name)
    context["form"] = _form(context)
    return frame.render(request, "rehearsal", name, context, tab="rehearsal")


@never_cache
@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def progress(request: HttpRequest, name: str) -> HttpResponse:
    """Return only the part of the page that changes while the rehearsal goes on."""
    return render(
        request, "emails_admin/templates/rehearsal_progress.html", _context(request, name)
    )


@require_POST
@permission_required([frame.MAY_LOOK, frame.MAY_EDIT], raise_exception=True)
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for a rehearsal of the draft."""
    _, draft = _found(name)
    if draft is None:
        raise Http404(f"no draft of {name}")
    return ask(request, draft)


def ask(request: HttpRequest, draft: TemplateDraft) -> HttpResponse:
    """Ask for a rehearsal of the draft, and lead to its page."""
    try:
        jobs.ask(draft, by=request.user.get_username())
    except RenderError as exc:
        messages.error(request, f"This draft cannot be rehearsed: {exc}")
    return redirect(PAGE, draft.name)


@require_POST
@permission_required([frame.MAY_LOOK, frame.MAY_PUBLISH], raise_exception=True)
def publish(request: HttpRequest, name: str) -> HttpResponse:
    """Publish the draft that was rehearsed; with ``redrive`` also send back the dead letters that it fixes."""
    if redrive := started(request):
        return redirect(change_url(redrive))
    rehearsal, _ = _found(name)
    form = PublishForm(request.POST, required=True, count=1)
    if rehearsal is None or not form.is_valid() or form.cleaned_data["rehearsal"] != rehearsal.pk:
        return _refused(request, name, "Give a reason, and look at the newest rehearsal first.")
    if "redrive" not in request.POST:
        return _published(request, rehearsal, form)
    if not request.user.has_perm(REDRIVE):
        return _refused(request, name, "You may publish, but not redrive dead letters.")
    count = acts.fixed(rehearsal).count()
    if count > PROVEN_ABOVE and (question := registry.ask_for_proof(request)):
        return question
    return _published(request, rehearsal, form, is_redriven=True)


@never_cache
@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def cases(request: HttpRequest, name: str, outcome: str) -> HttpResponse:
    """Show the events behind a number, the first of each kind, with what changes in their emails."""
    rehearsal, _ = _found(name)
    if rehearsal is None or outcome not in Outcome.values:
        raise Http404("no such cases")
    is_made = request.GET.get("made") == "1"
    kinds = RehearsalCase.MADE if is_made else RehearsalCase.REAL
    rows = rehearsal.cases.filter(outcome=outcome, kind__in=kinds)[:MOST_SHOWN]
    context = {
        "title": f"{Outcome(outcome).label.capitalize()}: {name}",
        "name": name,
        "count": rehearsal.count(outcome, is_made=is_made),
        "meaning": MEANINGS[Outcome(outcome)],
        "is_made": is_made,
        "cases": list(_shown(request, rehearsal, list(rows))),
    }
    return frame.render(request, "rehearsal_cases", name, context, tab="rehearsal")


def _found(name: str) -> tuple[Rehearsal | None, TemplateDraft | None]:
    frame.require(name)
    return jobs.newest(name), drafts.of(name)


def _context(request: HttpRequest, name: str) -> dict[str, Any]:
    rehearsal, draft = _found(name)
    context: dict[str, Any] = {
        "title": f"Rehearsal of {name}",
        "name": name,
        "draft": draft,
        "rehearsal": rehearsal,
        "is_running": bool(rehearsal and not rehearsal.ended_at),
        "is_stuck": bool(rehearsal and jobs.is_stuck(rehearsal)),
        "reasons": _reasons(request, draft, rehearsal) if draft else [],
    }
    if rehearsal:
        context |= {
            "real": _figures(rehearsal, name, is_made=False),
            "made": _figures(rehearsal, name, is_made=True),
            "fixed": acts.fixed(rehearsal).count() if rehearsal.is_done else 0,
        }
    return context


def _reasons(request: HttpRequest, draft: TemplateDraft, rehearsal: Rehearsal | None) -> list[str]:
    try:
        reasons = barring.why_not_shown(draft, rehearsal)
        reasons += rules.why_not_publish(draft, request.user.get_username())
    except RenderError as exc:
        reasons = [f"{exc}."]
    return [masking.addresses(each) for each in reasons] if masking.hides(request) else reasons


def _figures(rehearsal: Rehearsal, name: str, *, is_made: bool) -> list[dict[str, Any]]:
    address = reverse(PAGE, args=[name])
    return [
        {
            "outcome": outcome.value,
            "label": outcome.label.lower(),
            "meaning": meaning,
            "count": rehearsal.count(outcome, is_made=is_made),
            "address": f"{address}{outcome}/{'?made=1' if is_made else ''}",
        }
        for outcome, meaning in MEANINGS.items()
        if rehearsal.count(outcome, is_made=is_made) or outcome != Outcome.FAILING
    ]


def _form(context: dict[str, Any]) -> PublishForm | None:
    """Return the form that publishes, if nothing bars that."""
    if not context["draft"] or context["reasons"]:
        return None
    initial = {"rehearsal": context["rehearsal"].pk, "reason": context["draft"].why}
    return PublishForm(required=True, count=1, initial=initial)


def _published(
    request: HttpRequest, rehearsal: Rehearsal, form: PublishForm, *, is_redriven: bool = False
) -> HttpResponse:
    by, why = cast(User, request.user), form.cleaned_data["reason"]
    try:
        if is_redriven:
            key = str(form.cleaned_data["key"])
            version, redrive = acts.publish_and_redrive(rehearsal, by=by, why=why, key=key)
        else:
            redrive, seen = None, rehearsal.revision
            version = acts.publish(rehearsal.name, by=by, why=why, revision=seen)
    except (Barred, RenderError, StaleTemplate) as exc:
        return _refused(request, rehearsal.name, str(exc))
    messages.success(request, f"Version {version.number} of {rehearsal.name} is in force.")
    if redrive:
        return redirect(change_url(redrive))
    return redirect(PAGE, rehearsal.name)


def _refused(request: HttpRequest, name: str, why: str) -> HttpResponse:
    words = masking.addresses(why) if masking.hides(request) else why
    messages.error(request, f"Nothing was published. {words}")
    return redirect(PAGE, name)


def _shown(
    request: HttpRequest, rehearsal: Rehearsal, rows: list[RehearsalCase]
) -> Iterator[Shown]:
    hides = masking.hides(request)
    for number, case in enumerate(rows):
        context = subjects.context_of(case) if number < MOST_COMPARED and not hides else None
        compared = None if context is None else _compared(rehearsal, case, context)
        yield Shown(
            case,
            masking.addresses(case.words) if hides else case.words,
            moment(case.happened_at),
            masking.addresses(case.reason) if hides else case.reason,
            _address(request, case),
            json.dumps(case.context, indent=2, ensure_ascii=False) if case.context else "",
            _differences(compared) if compared else [],
        )


def _compared(rehearsal: Rehearsal, case: RehearsalCase, context: Any) -> Compared:
    return comparing.of(rehearsal)[case.template].of(context)


def _address(request: HttpRequest, case: RehearsalCase) -> str:
    """Return the page of the dead letter or the email that has the data; empty if the user may not see it."""
    page, right = {
        Kind.LETTER: ("admin:queues_deadletter_change", "queues.view_deadletter"),
        Kind.EVENT: ("admin:emails_notification_change", "emails.view_notification"),
        Kind.MADE: ("", ""),
    }[Kind(case.kind)]
    return reverse(page, args=[case.source]) if page and request.user.has_perm(right) else ""


def _differences(compared: Compared) -> list[tuple[str, str]]:
    before, after = compared.before, compared.after
    found = []
    for part in ("subject", "text", "html"):
        lines = unified_diff(_lines(before, part), _lines(after, part), lineterm="", n=CONTEXT)
        # The first two lines name files.
        differing = list(lines)[2:]
        if differing:
            more = [f"… {len(differing) - MOST_LINES} more lines"] * (len(differing) > MOST_LINES)
            found.append((part, "\n".join([*differing[:MOST_LINES], *more])))
    return found


def _lines(result: Result, part: str) -> list[str]:
    return [] if isinstance(result, str) else str(getattr(result, part)).splitlines()
