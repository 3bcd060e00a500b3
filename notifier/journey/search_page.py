"""Answer the admin's search box."""

from __future__ import annotations

from dataclasses import replace

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import BadRequest
from django.core.paginator import InvalidPage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from notifier.journey import search
from notifier.journey.search import Hit
from queues import masking
from queues.console import TIMELINE


@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """Redirect to a single hit; list several."""
    if "s" in request.GET:
        return _find_pages(request)
    return _find(request)


def _find_pages(request: HttpRequest) -> HttpResponse:
    """Answer Unfold's palette (Ctrl+K), which asks for the names of pages; it reads the page number unchecked."""
    if len(request.GET["s"]) > search.MAX_LENGTH:
        raise BadRequest("too long")
    try:
        answer: HttpResponse = admin.site.search(request)  # type: ignore[attr-defined]
    except (ValueError, InvalidPage) as exc:
        raise BadRequest("no such page of results") from exc
    return answer


@permission_required(TIMELINE, raise_exception=True)
def _find(request: HttpRequest) -> HttpResponse:
    text = request.GET.get("q", "").strip()
    hits = [_shown(request, hit) for hit in search.hits(text) if _may_see(request, hit)]
    if len(hits) == 1:
        return redirect(hits[0].address)
    context = admin.site.each_context(request) | {
        "title": "Search",
        "search_text": text[: search.MAX_LENGTH],
        "hits": hits,
        "longest": search.MAX_LENGTH if len(text) > search.MAX_LENGTH else None,
        "is_cut": len(hits) >= search.MAX_HITS,
        "most": search.MAX_HITS,
    }
    return TemplateResponse(request, "admin/search.html", context)


def _may_see(request: HttpRequest, hit: Hit) -> bool:
    if not hit.needs:
        return True
    return request.user.has_perm(hit.needs) and not masking.hides(request)


def _shown(request: HttpRequest, hit: Hit) -> Hit:
    return replace(hit, told=masking.addresses(hit.told)) if masking.hides(request) else hit
