"""Show the guard's bounce and complaint rates in the admin, and let staff stop and resume bulk email."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from emails.models import Notification
from emails.models.reputation import Guard
from emails.sending import guard
from queues.models import in_state
from queues.pages.facts import ReasonForm

PAGE = "admin:emails_guard_changelist"
# Counting stops here: nobody needs a higher number exactly.
MOST_COUNTED = 10_000


@require_safe
@permission_required("emails.view_guard", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Show the rates with their limits, and how many emails are kept back."""
    kept = Notification.objects.filter(in_state(Notification.State.KEPT))
    row = guard.state()
    return _render(
        request,
        "guard",
        {
            "title": "Bulk email",
            "guard": row,
            "rates": guard.rates(timezone.now()),
            "hours": settings.GUARD_HOURS,
            "minimum": settings.GUARD_MINIMUM,
            "kept": kept.order_by()[:MOST_COUNTED].count(),
            "may_act": request.user.has_perm(
                "emails.resume_bulk" if row.is_stopped else "emails.stop_bulk"
            ),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("emails.stop_bulk", raise_exception=True)
def stop(request: HttpRequest) -> HttpResponse:
    """Ask for a reason, then keep bulk email back."""
    form = ReasonForm(request.POST if request.method == "POST" else None, required=True, count=1)
    if form.is_valid():
        _act(request, is_stop=True, reason=form.cleaned_data["reason"])
        return redirect(PAGE)
    return _render(request, "guard_act", {"title": "Stop bulk email?", "form": form, "stops": True})


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("emails.resume_bulk", raise_exception=True)
def resume(request: HttpRequest) -> HttpResponse:
    """Ask for a reason, then send bulk email again, first what was kept back."""
    form = ReasonForm(request.POST if request.method == "POST" else None, required=True, count=1)
    if form.is_valid():
        _act(request, is_stop=False, reason=form.cleaned_data["reason"])
        return redirect(PAGE)
    context = {"title": "Resume bulk email?", "form": form, "rates": guard.rates(timezone.now())}
    return _render(request, "guard_act", context)


@transaction.atomic
def _act(request: HttpRequest, *, is_stop: bool, reason: str) -> None:
    by = request.user.get_username()
    is_done = guard.stop(reason=reason, by=by) if is_stop else guard.resume()
    done = "stopped" if is_stop else "resumed"
    if not is_done:
        messages.info(request, f"Bulk email was already {done}.")
        return
    row = Guard.objects.get(pk=1)
    LogEntry.objects.log_actions(
        cast(int, request.user.pk), [row], CHANGE, f"{done.capitalize()}: {reason}"
    )
    messages.success(request, f"Bulk email is {done}.")


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    context = admin.site.each_context(request) | {"opts": Guard._meta} | context
    return TemplateResponse(request, f"emails_admin/{template}.html", context)
