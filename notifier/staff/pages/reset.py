"""Let an administrator reset the second factor of somebody who has lost theirs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from notifier.staff import factors
from queues import registry
from queues.console import change_url
from queues.pages.facts import ReasonForm


def ask(model_admin: Any, request: HttpRequest, user: User) -> HttpResponse:
    """Ask for a reason, then remove the person's devices and recovery codes and leave an entry in the log."""
    if not model_admin.has_change_permission(request, user):
        raise PermissionDenied
    if question := registry.ask_for_proof(request):
        return question
    form = ReasonForm(request.POST if "reason" in request.POST else None, required=True, count=1)
    is_own = user.pk == request.user.pk
    if form.is_valid() and not is_own:
        factors.remove_all(user)
        reason = form.cleaned_data["reason"]
        model_admin.log_change(request, user, f"Reset the second factor: {reason}")
        messages.success(
            request, f"{user}'s second factor is reset, and their sessions have ended."
        )
        return redirect(change_url(user))
    context = admin.site.each_context(request) | {
        "title": "Reset second factor?",
        "form": form,
        "person": user,
        "is_own": is_own,
        "is_obliged": factors.is_obliged(user),
        "devices": factors.devices(user),
        "back": change_url(user),
    }
    return TemplateResponse(request, "admin/staff/reset.html", context)
