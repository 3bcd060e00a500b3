"""Let staff pause and resume a queue, and forget a killed consumer, from the overview."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods, require_POST

from queues.consumer import pausing
from queues.models.live import LiveConsumer, PausedQueue
from queues.pages.facts import ReasonForm

OVERVIEW = "admin:index"


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("queues.pause_queue", raise_exception=True)
def pause(request: HttpRequest, alias: str) -> HttpResponse:
    """Ask for the reason, then pause the queue: consumers stop receiving from it."""
    if alias not in settings.QUEUES:
        raise Http404("no such queue")
    form = ReasonForm(request.POST if request.method == "POST" else None, required=True, count=1)
    if form.is_valid():
        _pause(request, alias, form.cleaned_data["reason"])
        return redirect(OVERVIEW)
    context = {"title": f"Pause {alias}?", "alias": alias, "form": form}
    return TemplateResponse(
        request, "admin/queues/pause.html", admin.site.each_context(request) | context
    )


@require_POST
@permission_required("queues.pause_queue", raise_exception=True)
def resume(request: HttpRequest, alias: str) -> HttpResponse:
    """Resume a paused queue, even one that is no longer in settings."""
    with transaction.atomic():
        is_done = pausing.resume(alias, by=request.user.get_username())
        if is_done:
            _log(request, PausedQueue(alias=alias), CHANGE, "Resumed.")
    if is_done:
        messages.success(request, f"Queue {alias} is resumed.")
    else:
        messages.info(request, f"Queue {alias} was not paused.")
    return redirect(OVERVIEW)


@require_POST
@permission_required("queues.forget_consumer", raise_exception=True)
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a silent consumer off the overview; if it is alive after all, its next heartbeat brings it back."""
    row = LiveConsumer.objects.filter(pk=pk).first()
    with transaction.atomic():
        count, _ = LiveConsumer.objects.silent().filter(pk=pk).delete()
        if count and row:
            _log(request, row, DELETION, "Forgotten: it was silent.")
    if count:
        messages.success(request, f"{row} is forgotten.")
    else:
        messages.info(request, "This consumer is not silent, or it is gone already.")
    return redirect(OVERVIEW)


def _pause(request: HttpRequest, alias: str, reason: str) -> None:
    with transaction.atomic():
        is_new = pausing.pause(alias, by=request.user.get_username(), reason=reason)
        if is_new:
            _log(request, PausedQueue(alias=alias), CHANGE, f"Paused: {reason}")
    if is_new:
        messages.success(
            request, f"Queue {alias} is paused. Consumers still handle what is in flight."
        )
    else:
        messages.info(request, f"Queue {alias} was paused already.")


def _log(request: HttpRequest, row: Model, flag: int, message: str) -> None:
    LogEntry.objects.log_actions(cast(int, request.user.pk), [row], flag, message)
