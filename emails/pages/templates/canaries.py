"""Let staff publish a draft to a few emails first, see how that goes, let it go on or take it back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import UnfoldAdminSelectWidget

from emails.errors import Barred, NoCanary, RenderError, StaleTemplate
from emails.models import Canary
from emails.pages.templates import frame
from emails.pages.templates.forms import DecisionForm
from emails.versions import canary, drafts
from queues.pages.facts import ReasonForm

PAGE = "admin:emails_emailtemplate_canary"


class StartForm(DecisionForm):
    """Asks why a draft goes to a few emails first, and what must become of them."""

    needs = forms.ChoiceField(
        label="The next stage begins when all emails of a stage are",
        choices=Canary.Needs.choices,
        widget=UnfoldAdminSelectWidget,
    )


@never_cache
@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def show(request: HttpRequest, name: str) -> HttpResponse:
    """Show the open canary of a template or the last one, and what may be done about it."""
    frame.require(name)
    return frame.render(request, "canary", name, _context(request, name), tab="canary")


@require_POST
@permission_required([frame.MAY_LOOK, frame.MAY_PUBLISH], raise_exception=True)
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Give the draft to the next email, then to more."""
    frame.require(name)
    form = StartForm(request.POST)
    if not form.is_valid():
        return _refused(request, name, "Give a reason.")
    why, needs = form.cleaned_data["reason"], Canary.Needs(form.cleaned_data["needs"])
    try:
        with transaction.atomic():
            started = canary.start_draft(
                name,
                by=request.user.get_username(),
                why=why,
                needs=needs,
                revision=form.cleaned_data["seen"],
            )
            frame.log(request, name, f"Started a canary of version {started.version.number}: {why}")
    except (Barred, NoCanary, RenderError, StaleTemplate) as exc:
        return _refused(request, name, str(exc))
    messages.success(request, f"The next email gets version {started.version.number}.")
    return redirect(PAGE, name)


@require_POST
@permission_required([frame.MAY_LOOK, frame.MAY_PUBLISH], raise_exception=True)
def go_on(request: HttpRequest, name: str) -> HttpResponse:
    """Begin the next stage now, or resume a parked canary."""
    found = _open(name)
    with transaction.atomic():
        if found is None or not canary.go_on(found, by=request.user.get_username()):
            return _refused(request, name, "The canary is over.")
        frame.log(request, name, f"Let the canary of version {found.version.number} go on.")
    messages.success(request, "The canary goes on.")
    return redirect(PAGE, name)


@require_POST
@permission_required([frame.MAY_LOOK, frame.MAY_ROLL_BACK], raise_exception=True)
def go_back(request: HttpRequest, name: str) -> HttpResponse:
    """End the canary, so that all emails get the version in force again."""
    form, found = ReasonForm(request.POST, required=True, count=1), _open(name)
    if not form.is_valid():
        return _refused(request, name, "Give a reason.")
    why = form.cleaned_data["reason"]
    with transaction.atomic():
        if found is None or not canary.go_back(found, by=request.user.get_username(), why=why):
            return _refused(request, name, "The canary is over.")
        frame.log(request, name, f"Took back the canary of version {found.version.number}: {why}")
    messages.success(request, "All emails from now on are made with the version in force.")
    return redirect(PAGE, name)


def _context(request: HttpRequest, name: str) -> dict[str, Any]:
    newest, draft = _newest(name), drafts.of(name)
    objections = drafts.why_barred(draft, request.user.get_username()) if draft else []
    is_open = newest is not None and newest.is_open
    may_start = draft is not None and not objections and not is_open
    return {
        "title": f"{name}: a few emails first",
        "canary": newest,
        "progress": canary.progress(newest) if newest else None,
        "stages": canary.STAGES,
        "objections": [] if is_open else objections,
        "start_form": StartForm(initial={"seen": draft.revision}) if draft and may_start else None,
        "back_form": ReasonForm(required=True, count=1) if is_open else None,
    }


def _newest(name: str) -> Canary | None:
    return Canary.objects.select_related("version").filter(template=name).first()


def _open(name: str) -> Canary | None:
    found = _newest(name)
    return found if found and found.is_open else None


def _refused(request: HttpRequest, name: str, problem: str) -> HttpResponse:
    messages.error(request, f"Nothing was changed. {problem}")
    return redirect(PAGE, name)
