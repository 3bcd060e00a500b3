"""Show the versions of a template: all of them, one, and what two of them differ in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from emails.editing import catalog, checks, differences, previews
from emails.editing.previews import Shown
from emails.errors import RenderError
from emails.models import TemplateVersion
from emails.models.templates import digest_of
from emails.pages.templates import frame
from emails.pages.templates.preview import choice, shown_in
from emails.rendering import languages
from emails.versions import drafts, editions, in_force

# Nobody looks further back than this in one page.
MOST_SHOWN = 200
DRAFT, NOW, CODE = "draft", "now", "code"


@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def show_all(request: HttpRequest, name: str) -> HttpResponse:
    """List the versions, the newest first, with who made each, why, and which is in force."""
    frame.require(name)
    rows = TemplateVersion.objects.filter(name=name).defer("files")[:MOST_SHOWN]
    context = {"versions": rows, "digest": digest_of(_sources(name, NOW))}
    return frame.render(request, "versions", name, context, tab="versions")


@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def show_one(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """Show the source of a version and the email that it makes."""
    frame.require(name)
    version = _version(name, number)
    context: dict[str, Any] = {
        "title": f"{name} version {number}",
        "version": version,
        "is_in_force": version.digest == digest_of(_sources(name, NOW)),
    }
    context |= _seen(request, name, {"shown": version.files})
    return frame.render(request, "version", name, context, tab="versions")


@require_safe
@permission_required(frame.MAY_LOOK, raise_exception=True)
def compare(request: HttpRequest, name: str) -> HttpResponse:
    """Show two versions side by side, source and picture; each is a number, ``draft``, ``now`` or ``code``."""
    frame.require(name)
    old, new = (request.GET.get(side, NOW) for side in ("old", "new"))
    before, after = _sources(name, old), _sources(name, new)
    context: dict[str, Any] = {
        "title": f"{name}: {_words(old)} and {_words(new)}",
        "old": _words(old).capitalize(),
        "new": _words(new).capitalize(),
        "old_key": old,
        "new_key": new,
        "files": differences.between(before, after),
    }
    context |= _seen(request, name, {"shown_old": before, "shown_new": after})
    return frame.render(request, "compare", name, context, tab="versions")


def _seen(request: HttpRequest, name: str, sides: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Return what each of these files makes of the event that the query names."""
    template, users = shown_in(name, request.GET.get("user", ""))
    if not template:
        return {"users": users, "template": "", **dict.fromkeys(sides, Shown())}
    tags = sorted({tag for files in sides.values() for tag in languages.variants(files)})
    event, language = request.GET.get("event", ""), request.GET.get("language", "")
    context = choice(request, template, event=event, language=language, tags=tags)
    context |= {"users": users, "template": template}
    for side, files in sides.items():
        context[side] = _made(name, template, files, context)
    return context


def _made(name: str, template: str, files: dict[str, str], context: dict[str, Any]) -> Shown:
    chosen, language = context["chosen"], context["language"]
    if name != template:
        source = files.get(catalog.SOURCE, "")
        return previews.of_partial(name, source, template, chosen, language=language)
    return previews.of_sources(template, files, chosen, language=language)


def _sources(name: str, which: str) -> dict[str, str]:
    """Return the files of a version, of the draft, or of what is in force now."""
    if which == CODE:
        return editions.deployed(name)
    try:
        if which == DRAFT and (draft := drafts.of(name)):
            return checks.closed(name, draft.files)
        if which in (NOW, DRAFT):
            return in_force.sources(name)
    except RenderError:
        return {}
    if not (which.isascii() and which.isdigit() and len(which) < 10):
        raise Http404(f"no version {which} of {name}")
    return dict(_version(name, int(which)).files)


def _version(name: str, number: int) -> TemplateVersion:
    version = TemplateVersion.objects.filter(name=name, number=number).first()
    if version is None:
        raise Http404(f"no version {number} of {name}")
    return version


def _words(which: str) -> str:
    known = {DRAFT: "the draft", NOW: "what is in force", CODE: "the deployed code"}
    return known.get(which) or f"version {which}"
