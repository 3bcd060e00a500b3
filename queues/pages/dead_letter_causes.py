"""Show dead letters by cause in the admin: what happened, which customers it affects, what to do about it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from queues import masking
from queues.answers import Cause, Section
from queues.console import list_url, moment, short
from queues.dead_letters import causes
from queues.dead_letters.advice import title
from queues.models import DeadLetter, DeadLetterQuerySet
from queues.pages.cells import link

# The list of dead letters has the others.
MAX_DEAD_LETTERS = 20


@require_safe
@permission_required("queues.view_deadletter", raise_exception=True)
def show_all(request: HttpRequest) -> HttpResponse:
    """Show every cause that waits for a person, and what is parked."""
    groups, parked = causes.waiting(), causes.parked()
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
    # In no order: to sort by key, the database might read all dead letters.
    any_letter = next(iter(letters.order_by().defer("body", "original_body")[:1]), None)
    if any_letter is None:
        raise Http404("no such cause of dead letters")
    reason, newest = any_letter.reason, _newest(letters.waiting())
    if masking.hides(request):
        group, parked = group and group.masked(), [group.masked() for group in parked]
        reason, newest = masking.addresses(reason), newest.masked()
    context = {
        "title": title(Cause(any_letter.code, reason)),
        "group": group,
        "key": key,
        "sections": [newest] if group else [],
        "any_key": _any_key(letters.open()),
        "parked": parked,
    }
    return _render(request, "dead_letter_cause", context)


def _newest(letters: DeadLetterQuerySet) -> Section:
    return Section(
        f"The newest {MAX_DEAD_LETTERS}",
        ("message", "reason", "receives", "collected"),
        [
            (link(letter), short(letter.reason), letter.receive_count, moment(letter.collected_at))
            for letter in letters.defer("body", "original_body").order_by("-collected_at")[
                :MAX_DEAD_LETTERS
            ]
        ],
    )


def _any_key(letters: DeadLetterQuerySet) -> object:
    """Return the key of any dead letter: Django's actions on a whole list still need one selected row."""
    return next(iter(letters.order_by().values_list("pk", flat=True)[:1]), None)


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    may_collect = request.user.has_perm("queues.collect_deadletter")
    shared = {
        "list_url": list_url(DeadLetter),
        "may_collect": may_collect and settings.DEAD_LETTER_COLLECT,
    }
    context = admin.site.each_context(request) | shared | context
    return TemplateResponse(request, f"admin/queues/{template}.html", context)
