"""Show everything known of one email address: on a page of its own, and on the pages of customers and accounts."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from notifier.journey import history
from notifier.journey.history import Entry
from orders.pages import personal
from queues import addresses, masking
from queues.answers import Section
from queues.console import TIMELINE, moment
from queues.pages.cells import coloured

MAX_LENGTH = addresses.MAX_LENGTH


@require_safe
@permission_required([*TIMELINE, masking.PERMISSION], raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Show the history of the address in the URL."""
    address = addresses.as_typed(request.GET.get("address", ""))[:MAX_LENGTH]
    context = admin.site.each_context(request) | {
        "title": f"History of {address}" if address else "History",
        "sections": list(sections(request, address)) if address.isprintable() else [],
    }
    return TemplateResponse(request, "admin/history.html", context)


@personal.histories
def sections(request: HttpRequest, address: str) -> Iterable[Section]:
    """Yield the table of what happened to this address, as far as this user may know."""
    if masking.hides(request) or not address:
        return
    found = history.of(address, allows=request.user.has_perm)
    title = "History, newest first"
    if found.is_cut:
        title += f": the last {len(found.entries)}. There are more; the lists have them all"
    yield Section(
        title,
        ("when", "what", "outcome", "details"),
        [_row(entry) for entry in found.entries],
        "Nothing is known of this address: no order, no account, no email. Is it spelled right?",
    )


def url(address: str) -> str:
    """Return the address of the page."""
    return f"{reverse('history')}?{urlencode({'address': address})}"


def _row(entry: Entry) -> tuple[object, ...]:
    label = coloured(entry.label, entry.colour) if entry.label else "—"
    return _time(entry), _what(entry), label, entry.detail or "—"


def _time(entry: Entry) -> SafeString:
    return format_html('<span class="fact-nowrap">{}</span>', moment(entry.at))


def _what(entry: Entry) -> SafeString | str:
    return format_html('<a class="text-link" href="{}">{}</a>', entry.address, entry.title)
