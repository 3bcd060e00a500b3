"""Ask again who somebody is before acts with a wide reach; then the act goes on with what was typed."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache

from notifier.staff import factors
from notifier.staff.login import told_to_wait
from notifier.staff.pages.forms import ProofForm
from notifier.staff.pages.second_step import safe_next
from queues import registry

PREFIX = "again"


@registry.proofs
def ask(request: HttpRequest) -> HttpResponse | None:
    """Return a page that asks for a code, passkey or password; None if there was a proof within a quarter of an hour.

    The page brings the fields of a POST along, so that the act goes on when the proof is right. Passwords are the
    exception: they must not stand in a page.
    """
    if factors.is_fresh(request):
        return None
    is_post = request.method == "POST"
    form = _form(request)
    if form.is_bound and form.is_valid():
        factors.prove(request, form.user, form.device)
        return None
    fields = [(name, value) for name in request.POST for value in request.POST.getlist(name)]
    query = urlencode({"next": request.get_full_path()})
    address = request.get_full_path() if is_post else f"{reverse('step-up')}?{query}"
    kept = [(name, value) for name, value in fields if _is_kept(name)]
    return _page(request, form, address=address, kept=kept)


@never_cache
def ask_first(request: HttpRequest) -> HttpResponse:
    """Ask again before a page that is only looked at, or downloaded, and go there."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    form = _form(request)
    if form.is_bound and form.is_valid():
        factors.prove(request, form.user, form.device)
        return redirect(safe_next(request))
    return _page(request, form, address=request.get_full_path(), kept=[])


def _form(request: HttpRequest) -> ProofForm:
    is_answer = any(name.startswith(f"{PREFIX}-") for name in request.POST)
    return ProofForm(
        request.POST if is_answer else None,
        prefix=PREFIX,
        request=request,
        user=cast(User, request.user),
    )


def _is_kept(name: str) -> bool:
    is_secret = "password" in name
    return not (is_secret or name.startswith(f"{PREFIX}-") or name == "csrfmiddlewaretoken")


def _page(
    request: HttpRequest, form: ProofForm, *, address: str, kept: list[tuple[str, Any]]
) -> HttpResponse:
    context = admin.site.each_context(request) | {
        "title": "Confirm that it is you",
        "form": form,
        "address": address,
        "kept": kept,
        "back": request.headers.get("referer", ""),
    }
    return told_to_wait(TemplateResponse(request, "admin/staff/step_up.html", context), form)
