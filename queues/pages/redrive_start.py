"""Show staff what a redrive would do before it starts, and let them choose what goes and how fast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from queues import registry
from queues.answers import Cause
from queues.console import change_url, list_url
from queues.dead_letters.advice import title
from queues.models import DeadLetter, Redrive
from queues.pages.forms import RedriveForm
from queues.redrives import jobs, preflight, standstill
from queues.redrives.preflight import Forecast

# The form field with the keys of dead letters that were chosen one by one.
KEYS_NAME = "letter"


def choose(request: HttpRequest, letters: QuerySet[DeadLetter]) -> HttpResponse:
    """Show the preflight of the dead letters ticked in the list, or of all that its filters select."""
    address = reverse("admin:queues_redrive_start")
    if request.POST.get("select_across") == "1":
        return redirect(f"{address}?{request.GET.urlencode()}")
    form = RedriveForm(forecast=_forecast(letters))
    return _show(request, form, address, keys=request.POST.getlist(ACTION_CHECKBOX_NAME))


def start(request: HttpRequest, letters: QuerySet[DeadLetter]) -> HttpResponse:
    """Show the preflight; on POST, repeat it and start the redrive with the selected buckets."""
    if not request.user.has_perm("queues.redrive_deadletter"):
        raise PermissionDenied("queues.redrive_deadletter")
    if request.method == "POST" and (redrive := started(request)):
        return redirect(change_url(redrive))
    form = RedriveForm(
        request.POST if request.method == "POST" else None, forecast=_forecast(letters)
    )
    if form.is_valid():
        if form.taken:
            if form.reaches_many() and (question := registry.ask_for_proof(request)):
                return question
            return redirect(change_url(_start(request, form)))
        messages.warning(request, "You selected nothing, so nothing was redriven.")
    keys = request.POST.getlist(KEYS_NAME)
    words = _words(request, letters)
    return _show(request, form, request.get_full_path(), keys=keys, words=words)


def started(request: HttpRequest) -> Redrive | None:
    """Return the redrive that this form has already started, if it is sent twice."""
    try:
        key = UUID(request.POST.get("key", ""))
    except ValueError:
        return None
    return Redrive.objects.filter(key=str(key)).first()


def _forecast(letters: QuerySet[DeadLetter]) -> Forecast:
    forecast = preflight.sort(letters)
    waiting = standstill.why_not_received(letters.filter(state=DeadLetter.State.OPEN))
    forecast.notes += [waiting] if waiting else []
    return forecast


def _words(request: HttpRequest, letters: QuerySet[DeadLetter]) -> str:
    """Return the title of the cause if the page is about a single one; else an empty text."""
    if not request.GET.get("fingerprint"):
        return ""
    found = letters.order_by().values_list("code", "reason")[:1]
    return next((title(Cause(code, reason)) for code, reason in found), "")


def _start(request: HttpRequest, form: RedriveForm) -> Redrive:
    chosen = Q(pk__in=form.chosen())
    if form.takes_rest():
        chosen |= Q(pk__in=form.forecast.rest.values("pk"))
    return jobs.start(
        DeadLetter.objects.filter(chosen),
        by=cast(User, request.user),
        reason=form.cleaned_data["reason"],
        key=str(form.cleaned_data["key"]),
        rate=form.cleaned_data["rate"],
        canary=form.cleaned_data["canary"],
        buckets=form.selected() if form.takes_rest() else None,
    )


def _show(
    request: HttpRequest, form: RedriveForm, address: str, *, keys: Sequence[str], words: str = ""
) -> HttpResponse:
    return TemplateResponse(
        request,
        "admin/queues/redrive_start.html",
        admin.site.each_context(request)
        | {
            "title": "Redrive",
            "form": form,
            "forecast": form.forecast,
            "address": address,
            "words": words,
            "keys": keys,
            "keys_name": KEYS_NAME,
            "list_url": list_url(DeadLetter),
        },
    )
