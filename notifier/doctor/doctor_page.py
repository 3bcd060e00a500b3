"""The admin's pages of the doctor and the round trip: ask for a run, watch it, look at earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, cast
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.decorators import permission_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminSelectWidget, UnfoldBooleanWidget

from queues import masking
from queues.addresses import AddressField
from queues.doctor import findings, runs
from queues.doctor.findings import EXIT_CODES, Finding, Verdict
from queues.models.doctor_runs import DoctorRun

VIEW = "queues.view_doctorrun"
DOCTOR, ROUNDTRIP = "doctor", "roundtrip"
# The colours of Unfold's labels.
COLOURS = {"error": "danger", "warning": "warning", "note": "info", "good": "success"}
WORDS = {"error": "error", "warning": "warning", "note": "note", "good": "in order"}


@never_cache
@require_safe
@permission_required(VIEW, raise_exception=True)
def show_all(request: HttpRequest) -> HttpResponse:
    """Show the forms for the runs that this user may ask for, and the latest runs."""
    may_send = request.user.has_perm("emails.send_test_email")
    context = {
        "title": "Doctor runs",
        "doctor_form": DoctorForm(),
        "roundtrip_form": RoundtripForm(may_send=may_send),
        "may_doctor": request.user.has_perm("queues.run_doctor"),
        "may_roundtrip": request.user.has_perm("queues.run_roundtrip"),
        "may_send": may_send,
        "runs": [(run, *_verdict(run)) for run in DoctorRun.objects.defer("results")],
    }
    return TemplateResponse(
        request, "admin/doctor_runs.html", admin.site.each_context(request) | context
    )


@never_cache
@require_safe
@permission_required(VIEW, raise_exception=True)
def show_one(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one run, with what it has found so far."""
    run = get_object_or_404(DoctorRun, pk=pk)
    title = "Doctor run" if run.kind == DOCTOR else f"Round trip of {run.arguments['alias']}"
    context = admin.site.each_context(request) | {"title": title} | _context(request, run)
    return TemplateResponse(request, "admin/doctor_run.html", context)


@never_cache
@require_safe
@permission_required(VIEW, raise_exception=True)
def progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Return only the part of the page that changes while the run goes on."""
    run = get_object_or_404(DoctorRun, pk=pk)
    return render(request, "admin/doctor_run_progress.html", _context(request, run))


@require_POST
@permission_required("queues.run_doctor", raise_exception=True)
def check(request: HttpRequest) -> HttpResponse:
    """Ask for a doctor run."""
    form = DoctorForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form)
    send = form.cleaned_data["send"] and request.user.has_perm("emails.send_test_email")
    return _asked(request, DOCTOR, {"send": send})


@require_POST
@permission_required("queues.run_roundtrip", raise_exception=True)
def roundtrip(request: HttpRequest) -> HttpResponse:
    """Ask for a round trip."""
    may_send = request.user.has_perm("emails.send_test_email")
    form = RoundtripForm(request.POST, may_send=may_send)
    if not form.is_valid():
        return _refuse(request, form)
    return _asked(request, ROUNDTRIP, form.cleaned_data)


def _asked(request: HttpRequest, kind: str, arguments: Mapping[str, Any]) -> HttpResponse:
    run = runs.ask(kind, arguments, by=request.user.get_username())
    said = ", ".join(f"{name}: {value}" for name, value in arguments.items() if value)
    LogEntry.objects.log_actions(
        cast(int, request.user.pk), [run], ADDITION, f"Asked for{f' ({said})' if said else ''}."
    )
    return redirect("doctor-run", run.pk)


def _refuse(request: HttpRequest, form: Form) -> HttpResponse:
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect("doctor-runs")


def _context(request: HttpRequest, run: DoctorRun) -> dict[str, Any]:
    is_open = run.state != DoctorRun.State.DONE
    # Runs of earlier releases kept the fix as ``mend``.
    results = [_masked(request, {"fix": result.get("mend", "")} | result) for result in run.results]
    word, colour = _verdict(run)
    shared = {"run": run, "is_open": is_open, "verdict": word, "colour": colour}
    if is_open:
        shared["progress"] = runs.waiting(run)
    if run.kind == DOCTOR:
        return shared | _findings(results)
    return shared | {"steps": results}


def _findings(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Group the results by area; within an area the worst comes first."""
    order = [str(verdict) for verdict in Verdict]
    for result in results:
        result["colour"] = COLOURS[result["verdict"]]
        result["word"] = WORDS[result["verdict"]]
    areas = [
        (area, sorted(found, key=lambda result: order.index(result["verdict"])))
        for area, found in groupby(results, key=lambda result: result["area"])
    ]
    found = [
        Finding(result["key"], result["what"], Verdict(result["verdict"])) for result in results
    ]
    if not found:
        return {"areas": areas}
    return {
        "areas": areas,
        "headline": findings.headline(found),
        "summary": findings.summary(found),
        "waiting_url": _waiting_url(findings.waiting(found)),
    }


def _waiting_url(found: Sequence[Finding]) -> str:
    """Return the page of what waits: the dead letters, else the overview; empty if nothing waits."""
    if any(finding.key == f"{findings.WAITING}letters" for finding in found):
        return reverse("admin:queues_deadletter_groups")
    return reverse("admin:index") if found else ""


def _verdict(run: DoctorRun) -> tuple[str, str]:
    """Return the word and the colour of the run's label."""
    if run.state != DoctorRun.State.DONE:
        return run.get_state_display().lower(), "info"
    if not run.verdict:
        return "failed", "danger"
    if run.verdict in EXIT_CODES:
        return f"{run.verdict}s", COLOURS[run.verdict]
    return "set-up in order" if run.kind == DOCTOR else "passed", COLOURS["good"]


def _masked(request: HttpRequest, result: Mapping[str, Any]) -> dict[str, Any]:
    if not masking.hides(request):
        return dict(result)
    return {
        name: masking.addresses(value) if isinstance(value, str) else value
        for name, value in result.items()
    }


class DoctorForm(forms.Form):
    send = forms.BooleanField(
        label="Let an email bounce",
        required=False,
        widget=UnfoldBooleanWidget,
        help_text="Sends an email to SES's mailbox simulator and waits up to a minute until its bounce is read. No "
        "customer gets anything.",
    )


class RoundtripForm(forms.Form):
    alias = forms.ChoiceField(label="Queue", widget=UnfoldAdminSelectWidget)
    email = AddressField(
        label="Test email to",
        required=False,
        widget=UnfoldAdminEmailInputWidget,
        help_text="Optional: afterwards SES is given a test email to this address.",
    )

    def __init__(self, *args: Any, may_send: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["alias"]
        field.choices = [(alias, alias) for alias in settings.QUEUES]
        if not may_send:
            del self.fields["email"]
