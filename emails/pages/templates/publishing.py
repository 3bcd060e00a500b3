"""Let staff publish a draft and roll back to an earlier version, each with a reason, after they saw what changes."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from emails.editing import differences, rules
from emails.errors import Barred, RenderError, StaleTemplate
from emails.models import TemplateVersion
from emails.pages.templates import frame
from emails.pages.templates.forms import DecisionForm
from emails.rehearsal import acts, barring, jobs
from emails.versions import drafts, editions, in_force, publishing


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@permission_required([frame.MAY_LOOK, frame.MAY_PUBLISH], raise_exception=True)
def publish(request: HttpRequest, name: str) -> HttpResponse:
    """Show what the draft changes and what bars it; ask for a reason, then put it in force."""
    frame.require(name)
    draft = drafts.of(name)
    if draft is None:
        messages.info(request, f"There is no draft of {name} to publish.")
        return redirect(frame.PREVIEW, name)
    objections = [
        *rules.why_not_publish(draft, request.user.get_username()),
        *barring.why_not_shown(draft, jobs.newest(name)),
    ]
    form = DecisionForm(request.POST or None, initial={"seen": draft.revision, "reason": draft.why})
    if form.is_valid() and not objections:
        return _publish(request, name, form)
    old = in_force.sources(name)
    context = {
        "title": f"Publish {name}?",
        "form": form,
        "objections": objections,
        "files": differences.between(publishing.own_files(old), draft.files),
        "old": "In force now",
        "new": "The draft",
        "is_rebased": drafts.is_rebased(draft),
    }
    return frame.render(request, "publish", name, context, tab="edit")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@permission_required([frame.MAY_LOOK, frame.MAY_ROLL_BACK], raise_exception=True)
def roll_back(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show what an earlier version changes; ask for a reason, then put it in force. 0 is the deployed code."""
    frame.require(name)
    files, words = _earlier(name, number)
    decided = in_force.decided(name)
    form = DecisionForm(request.POST or None, initial={"seen": decided.revision if decided else 0})
    if form.is_valid():
        return _roll_back(request, name, number, form)
    context = {
        "title": f"Roll {name} back to {words}?",
        "form": form,
        "number": number,
        "words": words,
        "files": differences.between(in_force.sources(name), files),
        "old": "In force now",
        "new": words.capitalize(),
    }
    return frame.render(request, "roll_back", name, context, tab="versions")


def _publish(request: HttpRequest, name: str, form: DecisionForm) -> HttpResponse:
    by, why = cast(User, request.user), form.cleaned_data["reason"]
    try:
        version = acts.publish(name, by=by, why=why, revision=form.cleaned_data["seen"])
    except (Barred, StaleTemplate, RenderError) as exc:
        messages.error(request, f"Nothing was published. {exc}")
        return redirect("admin:emails_emailtemplate_publish", name)
    messages.success(
        request, f"Version {version.number} is in force: every email from now on is made with it."
    )
    return redirect(frame.PREVIEW, name)


def _roll_back(request: HttpRequest, name: str, number: int, form: DecisionForm) -> HttpResponse:
    by, why = request.user.get_username(), form.cleaned_data["reason"]
    words = _words(number)
    try:
        with transaction.atomic():
            publishing.roll_back(
                name, number or None, by=by, why=why, revision=form.cleaned_data["seen"]
            )
            frame.log(request, name, f"Rolled back to {words}: {why}")
    except StaleTemplate as exc:
        messages.error(request, f"Nothing was changed. {exc}")
        return redirect("admin:emails_emailtemplate_roll_back", name, number)
    messages.success(request, f"{words.capitalize()} is in force again.")
    return redirect(frame.VERSIONS, name)


def _earlier(name: str, number: int) -> tuple[dict[str, str], str]:
    if not number:
        return editions.deployed(name), _words(number)
    version = TemplateVersion.objects.filter(name=name, number=number).first()
    if version is None:
        raise Http404(f"no version {number} of {name}")
    return version.files, _words(number)


def _words(number: int) -> str:
    return f"version {number}" if number else "the deployed code"
