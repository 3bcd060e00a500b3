"""Show dead letters by cause in the admin: what happened, which customers it affects, what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os.path import commonprefix
from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.views.decorators.http import require_POST, require_safe

from queues import masking
from queues.answers import Cause, Section
from queues.console import list_url, moment
from queues.dead_letters import causes, triage
from queues.dead_letters.advice import title
from queues.models import DeadLetter, DeadLetterQuerySet
from queues.pages.cells import amount, link, recipient, two_lines

# The list of dead letters has the others.
MAX_DEAD_LETTERS = 20
# So many characters of what reasons have in common lead to where they differ.
CONTEXT = 12
# The longest note.
MOST_CHARACTERS = 500


@require_safe
@permission_required("queues.view_deadletter", raise_exception=True)
def show_all(request: HttpRequest) -> HttpResponse:
    """Show every cause that waits for a person, and what is parked."""
    groups, parked = causes.waiting(), causes.parked()
    notes = triage.notes([group.key for group in groups])
    groups = [replace(group, note=notes.get(group.key)) for group in groups]
    if masking.hides(request):
        groups, parked = [group.masked() for group in groups], [group.masked() for group in parked]
    context = {
        "title": "Dead letters",
        "groups": groups,
        "is_cut": len(groups) == causes.MAX_GROUPS,
        "parked": parked,
    }
    return _render(request, "dead_letter_causes", context)


@require_safe
@permission_required("queues.view_deadletter", raise_exception=True)
def show_one(request: HttpRequest, key: str) -> HttpResponse:
    """Show one cause with its newest dead letters; it works after they are gone too, so that old links stay valid."""
    fingerprint = causes.fingerprint_of(key)
    letters = DeadLetter.objects.filter(fingerprint=fingerprint)
    group, parked = causes.one(fingerprint), causes.parked(fingerprint)
    note = triage.notes([key]).get(key)
    group = group and replace(group, note=note)
    # In no order: to sort by key, the database might read all dead letters.
    any_letter = next(iter(letters.order_by().defer("body", "original_body")[:1]), None)
    if any_letter is None:
        raise Http404("no such cause of dead letters")
    newest = _newest(request, letters.waiting(), is_edited=bool(group and group.act == "edit"))
    if masking.hides(request):
        group, parked = group and group.masked(), [group.masked() for group in parked]
        newest = newest.masked()
    tried = _tried(request, key)
    if masking.hides(request):
        tried = tried.masked()
    context = {
        "title": title(Cause(any_letter.code, any_letter.reason)),
        "group": group,
        "key": key,
        "sections": _in_order(newest, tried) if group else [tried],
        "any_key": any_letter.pk,
        "parked": parked,
    }
    return _render(request, "dead_letter_cause", context)


@require_POST
@permission_required(["queues.view_deadletter", "queues.park_deadletter"], raise_exception=True)
def note(request: HttpRequest, key: str) -> HttpResponse:
    """Take a cause, release it, or write the note on it."""
    user = cast(User, request.user)
    match request.POST.get("act"):
        case "assign":
            triage.assign(key, owner=user, by=user)
        case "release":
            triage.assign(key, owner=None, by=user)
        case _:
            text = " ".join(request.POST.get("text", "").split())[:MOST_CHARACTERS]
            triage.write(key, text=text, by=user)
    return redirect("admin:queues_deadletter_group", key)


def _in_order(newest: Section, tried: Section) -> list[Section]:
    """Return the sections; what was tried comes first, unless nothing was."""
    return [tried, newest] if tried.rows else [newest, tried]


def _tried(request: HttpRequest, key: str) -> Section:
    """Build the table of what staff have done about the cause."""
    may_follow = request.user.has_perm("queues.view_redrive")
    return Section(
        "Tried before",
        ("when", "who", "what", "outcome"),
        [
            (
                moment(each.at),
                each.by,
                (link(each.redrive) if may_follow else "Redrive") if each.redrive else each.words,
                each.words if each.redrive else "—",
            )
            for each in triage.tried(key)
        ],
        "Nobody has redriven, parked or discarded dead letters of this cause yet.",
    )


def _newest(request: HttpRequest, letters: DeadLetterQuerySet, *, is_edited: bool) -> Section:
    """Build the table of the newest dead letters; of their reasons it shows where they differ."""
    found = list(letters.defer("original_body").order_by("-collected_at")[:MAX_DEAD_LETTERS])
    reasons = _differences([letter.reason for letter in found])
    may_edit = is_edited and request.user.has_perms(["queues.edit_deadletter", masking.PERMISSION])
    hides = masking.hides(request)
    return Section(
        f"The newest {MAX_DEAD_LETTERS}",
        ("message", "recipient", "amount", *(["reason"] if any(reasons) else []), "collected"),
        [
            (
                _with_edit(letter) if may_edit else link(letter),
                recipient(letter) or "—",
                amount(letter, hides=hides) or "—",
                *([reason] if any(reasons) else []),
                moment(letter.collected_at),
            )
            for letter, reason in zip(found, reasons, strict=True)
        ],
    )


def _differences(reasons: Sequence[str]) -> list[str]:
    """Return each reason from where it differs from the others; empty texts if they are all the same."""
    texts = [" ".join(reason.split()) for reason in reasons]
    if len(set(texts)) < 2:
        return [""] * len(texts)
    same = commonprefix(texts)
    start = max(0, same.rfind(" ", 0, max(0, len(same) - CONTEXT)) + 1)
    return [("… " if start else "") + Truncator(text[start:]).chars(200) for text in texts]


def _with_edit(letter: DeadLetter) -> SafeString:
    address = reverse("admin:queues_deadletter_edit", args=[letter.pk])
    edit = format_html('<a class="text-link" href="{}">Edit and redrive</a>', address)
    return two_lines(link(letter), edit)


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    may_collect = request.user.has_perm("queues.collect_deadletter")
    shared = {
        "list_url": list_url(DeadLetter),
        "may_collect": may_collect and settings.DEAD_LETTER_COLLECT,
    }
    context = admin.site.each_context(request) | shared | context
    return TemplateResponse(request, f"admin/queues/{template}.html", context)
