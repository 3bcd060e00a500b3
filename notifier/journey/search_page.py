"""Answer the admin's search box."""

from __future__ import annotations

from dataclasses import replace

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from notifier.journey import history_page, part_search, search
from notifier.journey.search import Hit
from queues import masking
from queues.console import TIMELINE


@require_safe
@permission_required(TIMELINE, raise_exception=True)
def find(request: HttpRequest) -> HttpResponse:
    """Redirect to a single hit; list several."""
    text = request.GET.get("q", "").strip()
    hits = [_shown(request, hit) for hit in search.hits(text) if _may_see(request, hit)]
    if len(hits) == 1:
        return redirect(hits[0].address)
    is_masked = masking.hides(request)
    parts = part_search.Parts() if hits or is_masked else part_search.hits(text)
    hits = hits or [hit for hit in parts.hits if _may_see(request, hit)]
    context = admin.site.each_context(request) | {
        "title": "Search",
        "is_search_page": True,
        "search_text": text[: search.MAX_LENGTH],
        "hits": hits,
        "longest": search.MAX_LENGTH if len(text) > search.MAX_LENGTH else None,
        "is_cut": parts.is_cut or len(hits) >= search.MAX_HITS,
        "most": search.MAX_HITS,
        "parts": parts,
        "searched": part_search.SEARCHED,
        "is_masked": is_masked,
        "lists": _lists(request, text),
        "history": history_page.url(text) if "@" in text and hits and not is_masked else "",
    }
    return TemplateResponse(request, "admin/search.html", context)


def _lists(request: HttpRequest, text: str) -> list[tuple[str, str]]:
    """Return the lists that this user may search for parts of the text; masked users may not."""
    if not text or masking.hides(request):
        return []
    found = part_search.lists(text[: search.MAX_LENGTH])
    return [(name, address) for name, address, right in found if request.user.has_perm(right)]


def _may_see(request: HttpRequest, hit: Hit) -> bool:
    if not hit.needs:
        return True
    return request.user.has_perm(hit.needs) and not masking.hides(request)


def _shown(request: HttpRequest, hit: Hit) -> Hit:
    return replace(hit, told=masking.addresses(hit.told)) if masking.hides(request) else hit
