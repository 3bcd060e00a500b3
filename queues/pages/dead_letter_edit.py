"""Let staff correct the data of one dead letter and redrive it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from queues import masking, registry
from queues.answers import Preview
from queues.console import change_url
from queues.dead_letters import edits
from queues.errors import Uncorrectable
from queues.events.envelope import Event
from queues.models import DeadLetter, Redrive
from queues.pages import redrive_start
from queues.pages.forms import DeadLetterDataForm
from queues.redrives import jobs


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(
    ["queues.view_deadletter", "queues.edit_deadletter", masking.PERMISSION], raise_exception=True
)
def edit(request: HttpRequest, key: UUID) -> HttpResponse:
    """Show the data; check the edited data and preview its email; save it and redrive the dead letter."""
    letter = get_object_or_404(DeadLetter, pk=key)
    if redrive := redrive_start.started(request):
        return redirect(change_url(redrive))
    if objection := edits.objection(letter):
        messages.error(request, objection)
        return redirect(change_url(letter))
    if request.method != "POST":
        return _show(request, letter, _form(letter))
    form = DeadLetterDataForm(request.POST)
    if not form.is_valid():
        return _show(request, letter, form)
    for problem in edits.problems(letter, form.cleaned_data["content"]):
        form.add_error("content", problem)
    if form.cleaned_data["seen"] != _digest(letter):
        form.add_error(None, "Somebody else has edited this dead letter. Open the page again.")
    if form.errors:
        return _show(request, letter, form)
    draft = edits.draft(letter, form.cleaned_data["content"])
    if "save" not in request.POST:
        shown = _previews(draft.event)
        return _show(request, letter, form, shown=shown, checked=_checked(shown))
    return _save(request, draft, form)


def _save(request: HttpRequest, draft: edits.Draft, form: DeadLetterDataForm) -> HttpResponse:
    try:
        redrive = _save_and_redrive(request, draft, form)
    except Uncorrectable as exc:
        messages.error(request, str(exc))
        return redirect(change_url(draft.letter))
    messages.success(request, f"Edited {draft.summary} and started a redrive.")
    return redirect(change_url(redrive))


@transaction.atomic
def _save_and_redrive(
    request: HttpRequest, draft: edits.Draft, form: DeadLetterDataForm
) -> Redrive:
    """Save the edit, log it and start the redrive in one transaction."""
    edits.save(draft)
    reason = form.cleaned_data["reason"]
    LogEntry.objects.log_actions(
        cast(int, request.user.pk),
        [draft.letter],
        CHANGE,
        f"Edited {draft.summary}" + (f": {reason}" if reason else "."),
        single_object=True,
    )
    return jobs.start(
        DeadLetter.objects.filter(pk=draft.letter.pk),
        by=cast(User, request.user),
        reason=reason,
        key=str(form.cleaned_data["key"]),
        canary=False,
    )


def _form(letter: DeadLetter) -> DeadLetterDataForm:
    return DeadLetterDataForm(initial={"content": edits.data(letter), "seen": _digest(letter)})


def _show(
    request: HttpRequest, letter: DeadLetter, form: DeadLetterDataForm, **context: Any
) -> HttpResponse:
    return TemplateResponse(
        request,
        "admin/queues/dead_letter_edit.html",
        admin.site.each_context(request)
        | {
            "title": f"Edit {letter}",
            "letter": letter,
            "address": change_url(letter),
            "envelope": edits.envelope_fields(letter),
            "form": form,
        }
        | context,
    )


def _previews(event: Event) -> list[Preview]:
    """Return a preview of every email that the event will send; empty if no app knows of one."""
    return [preview for shows in registry.previewers for preview in shows(event)]


def _checked(shown: Sequence[Preview]) -> str:
    """Tell what a redrive of the checked data will send."""
    if not shown:
        return "The data fits. No app knows of an email that this sends."
    good = [preview.recipient for preview in shown if not preview.problem]
    told = "The data fits."
    if good:
        noun = "email" if len(good) == 1 else "emails"
        told += f" {len(good)} {noun} to {', '.join(good)} will be sent."
    if bad := len(shown) - len(good):
        told += f" {bad} {'email' if bad == 1 else 'emails'} cannot be rendered: see below."
    return told


def _digest(letter: DeadLetter) -> str:
    return sha256(letter.body.encode()).hexdigest()
