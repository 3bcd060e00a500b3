"""Let staff write the draft of a template or partial, and see what it makes while they write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.shortcuts import render as render_part
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from emails.checking.sources import ROOTS
from emails.editing import catalog, checks, differences, previews, vocabulary
from emails.editing.previews import Shown
from emails.errors import RenderError, StaleTemplate
from emails.models import TemplateDraft
from emails.pages.templates import frame, rehearsal
from emails.pages.templates.forms import DraftForm
from emails.pages.templates.preview import choice, shown_in
from emails.rendering import languages
from emails.sending import trials
from emails.ses import default_sender
from emails.versions import drafts, in_force, publishing
from queues.errors import EventTooLarge


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@permission_required([frame.MAY_LOOK, frame.MAY_EDIT], raise_exception=True)
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Show the draft, or what is in force where there is none; check it and save it."""
    frame.require(name)
    draft = drafts.of(name)
    if request.method != "POST":
        return _show(request, name, DraftForm(initial=_initial(name, draft)))
    form = DraftForm(request.POST)
    if "add" in request.POST:
        return _show(request, name, form.with_language())
    if "send" in request.POST:
        return _send(request, name, form)
    if "save" not in request.POST:
        return _show(request, name, form)
    return _save(request, name, form)


@require_POST
@never_cache
@permission_required([frame.MAY_LOOK, frame.MAY_EDIT], raise_exception=True)
def preview(request: HttpRequest, name: str) -> HttpResponse:
    """Return only the preview of the posted sources, and what is wrong with them."""
    frame.require(name)
    return render_part(
        request, "emails_admin/templates/seen.html", _seen(request, name, DraftForm(request.POST))
    )


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@permission_required([frame.MAY_LOOK, frame.MAY_EDIT], raise_exception=True)
def discard(request: HttpRequest, name: str) -> HttpResponse:
    """Ask, then drop the draft that the person saw."""
    frame.require(name)
    draft = drafts.of(name)
    if draft is None:
        return redirect(frame.EDIT, name)
    if request.method == "POST":
        return _discard(request, name)
    context = {
        "title": f"Discard the draft of {name}?",
        "files": differences.between(publishing.own_files(in_force.sources(name)), draft.files),
        "old": "In force now",
        "new": "The draft",
    }
    return frame.render(request, "discard", name, context, tab="edit")


def _discard(request: HttpRequest, name: str) -> HttpResponse:
    try:
        with transaction.atomic():
            drafts.discard(name, revision=DraftForm(request.POST).revision)
            frame.log(request, name, "Discarded the draft.")
    except StaleTemplate as exc:
        messages.error(request, str(exc))
        return redirect(frame.EDIT, name)
    messages.success(request, "The draft is discarded.")
    return redirect(frame.PREVIEW, name)


def _save(request: HttpRequest, name: str, form: DraftForm) -> HttpResponse:
    found = checks.problems(name, form.sources)
    if checks.errors(found):
        return _show(request, name, form, is_refused=True)
    if not form.is_valid():
        return _show(request, name, form)
    try:
        with transaction.atomic():
            draft = drafts.save(
                name,
                form.sources,
                by=request.user.get_username(),
                why=form.cleaned_data["why"],
                revision=form.revision,
            )
            frame.log(request, name, "Saved a draft.")
    except StaleTemplate as exc:
        return _show_both(request, name, form, str(exc))
    if request.POST["save"] == "rehearse":
        return rehearsal.ask(request, draft)
    messages.success(request, "The draft is saved. Nothing is sent with it until it is published.")
    return redirect(frame.EDIT, name)


def _send(request: HttpRequest, name: str, form: DraftForm) -> HttpResponse:
    """Send what the person sees to their own address, and to nobody else; saved or not."""
    seen = _seen(request, name, form)
    email = seen["shown"].email
    if seen["errors"] or email is None:
        messages.error(request, "Nothing was sent: the draft has errors.")
    elif not (own := str(getattr(request.user, "email", ""))):
        messages.error(request, "Nothing was sent: your account has no email address.")
    else:
        _send_to(request, name, own, seen)
    return _show(request, name, form)


def _send_to(request: HttpRequest, name: str, own: str, seen: Mapping[str, Any]) -> None:
    sender = default_sender.of(seen["template"])
    by = request.user.get_username()
    try:
        with transaction.atomic():
            event_id = trials.request(own, sender=sender, by=by, draft=seen["shown"].email)
            frame.log(request, name, f"Sent the draft to themselves, event {event_id}.")
    except EventTooLarge:
        messages.error(request, "Nothing was sent: the email is too large for a message of SQS.")
        return
    messages.success(request, f"The draft is on its way to {own}, marked [Draft].")


def _show_both(request: HttpRequest, name: str, form: DraftForm, problem: str) -> HttpResponse:
    """Show the person's text beside what somebody saved meanwhile; saving again replaces that."""
    draft = drafts.of(name)
    theirs = draft.files if draft else publishing.own_files(in_force.sources(name))
    return _show(
        request,
        name,
        form.at(draft.revision if draft else 0),
        stale=problem,
        theirs=differences.between(theirs, form.sources),
    )


def _initial(name: str, draft: TemplateDraft | None) -> dict[str, Any]:
    if draft:
        return {"revision": draft.revision, "why": draft.why, "files": draft.files}
    try:
        files: Mapping[str, str] = publishing.own_files(in_force.sources(name))
    except RenderError:
        files = {}
    return {"revision": 0, "why": "", "files": files}


def _show(request: HttpRequest, name: str, form: DraftForm, **context: Any) -> HttpResponse:
    context |= {
        "form": form,
        "files": _files(name, form.sources),
        "vocabulary": vocabulary.of("" if catalog.is_partial(name) else name),
    }
    return frame.render(request, "edit", name, context | _seen(request, name, form), tab="edit")


def _files(name: str, sources: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the files to edit, the base language first; an empty text part is offered."""
    offered = [catalog.SOURCE] if catalog.is_partial(name) else list(ROOTS)
    others = sorted(sources.keys() - {*offered}, key=lambda file: (file.partition("/")[0], file))
    return [
        {
            "name": file,
            "id": f"file-{file.replace('/', '-').replace('.', '-')}",
            "text": sources.get(file, ""),
            "is_line": file.endswith("subject.hbs"),
            "is_open": "/" not in file and file in sources,
            "language": _language_of(file),
        }
        for file in (*offered, *others)
    ]


def _language_of(file: str) -> str:
    tag, _, rest = file.partition("/")
    return languages.english_name(tag) if rest else ""


def _seen(request: HttpRequest, name: str, form: DraftForm) -> dict[str, Any]:
    """Return the preview of the form's sources, and what is wrong with them."""
    template, users = shown_in(name, form.value("user"))
    found = checks.problems(name, form.sources)
    context: dict[str, Any] = {
        "template": template,
        "users": users,
        "problems": found,
        "markers": [vars(problem) for problem in found],
        "errors": len(checks.errors(found)),
    }
    if not template:
        return context | {"shown": Shown(problem="No template uses this partial.")}
    tags = sorted(
        languages.variants(form.sources if template == name else in_force.sources(template))
    )
    context |= choice(
        request, template, event=form.value("event"), language=form.value("language"), tags=tags
    )
    chosen, language = context["chosen"], context["language"]
    if template == name:
        context["shown"] = previews.of_draft(name, form.sources, chosen, language=language)
    else:
        source = form.sources.get(catalog.SOURCE, "")
        context["shown"] = previews.of_partial(name, source, template, chosen, language=language)
    return context
