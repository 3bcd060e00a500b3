"""The admin's pages of identities: a live list from SES, and what staff may ask of it."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.decorators import permission_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST, require_safe

from emails import identities, sending
from emails.errors import IdentityError, InDoubt, SendError
from emails.forms import IdentityForm, TestEmailForm
from emails.models import Identity

LIST = "admin:emails_identity_changelist"


@require_safe
@permission_required("emails.view_identity", raise_exception=True)
def show_all(request: HttpRequest) -> HttpResponse:
    """One page of what SES has, and the forms of what this user may ask."""
    try:
        page = identities.page(request.GET.get("after", ""))
        error = ""
    except IdentityError as exc:
        page, error = identities.Page([], "", []), str(exc)
    context = {
        "title": "Identities",
        "page": page,
        "error": error,
        "later": "after" in request.GET,
        "identity_form": IdentityForm(initial={"name": request.GET.get("name", "")}),
        "test_form": TestEmailForm(initial={"recipient": getattr(request.user, "email", "")}),
    }
    return _render(request, "identities", context)


@require_safe
@permission_required("emails.view_identity", raise_exception=True)
def show_one(request: HttpRequest, name: str) -> HttpResponse:
    """An identity's status and the DNS records it needs."""
    name = unquote(name)
    try:
        identity, missing = identities.get(name)
    except IdentityError as exc:
        messages.error(request, str(exc))
        return redirect(LIST)
    context = {"title": name, "identity": identity, "missing": missing}
    return _render(request, "identity", context)


@require_POST
@permission_required("emails.verify_identity", raise_exception=True)
def verify(request: HttpRequest) -> HttpResponse:
    """Ask SES to verify an address or a domain."""
    form = IdentityForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form)
    name = form.cleaned_data["name"]
    try:
        identities.verify(name)
    except IdentityError as exc:
        messages.error(request, str(exc))
        return redirect(LIST)
    _log(request, name, ADDITION, "Verification asked for.")
    if "@" in name:
        messages.success(request, f"SES sends an email with a link to {name}.")
        return redirect(LIST)
    messages.success(request, f"Publish these records in the DNS of {name}.")
    return redirect("admin:emails_identity_change", quote(name))


@require_POST
@permission_required("emails.delete_identity", raise_exception=True)
def delete(request: HttpRequest) -> HttpResponse:
    """Ask first, then have SES forget an identity."""
    form = IdentityForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form)
    name = form.cleaned_data["name"]
    if "confirmed" not in request.POST:
        return _render(request, "identity_delete", {"title": f"Delete {name}?", "name": name})
    try:
        identities.delete(name)
    except IdentityError as exc:
        messages.error(request, str(exc))
    else:
        _log(request, name, DELETION, "Deleted from SES.")
        messages.success(request, f"{name} was deleted from SES.")
    return redirect(LIST)


@require_POST
@permission_required("emails.send_test_email", raise_exception=True)
def send_test(request: HttpRequest) -> HttpResponse:
    """Send a test email and say what SES answered, in its own words."""
    form = TestEmailForm(request.POST)
    if not form.is_valid():
        return _refuse(request, form)
    recipient = form.cleaned_data["recipient"]
    try:
        answer = f"SES took it, message id {sending.send_test(recipient)}."
    except InDoubt as exc:
        answer = f"SES may have taken it: {exc} ({exc.code})"
        messages.warning(request, f"Test email to {recipient}: {answer}")
    except SendError as exc:
        answer = f"not sent: {exc} ({exc.code})"
        messages.error(request, f"Test email to {recipient}: {answer}")
    else:
        messages.success(request, f"Test email to {recipient}: {answer}")
    sender = parseaddr(settings.SES_FROM_EMAIL)[1]
    _log(request, sender, CHANGE, f"Test email to {recipient}: {answer}")
    return redirect(LIST)


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    may = {
        act: request.user.has_perm(f"emails.{act}")
        for act in ("verify_identity", "delete_identity", "send_test_email")
    }
    shared = {"may": may, "sender": settings.SES_FROM_EMAIL}
    context = admin.site.each_context(request) | shared | context
    return TemplateResponse(request, f"emails_admin/{template}.html", context)


def _refuse(request: HttpRequest, form: Form) -> HttpResponse:
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect(LIST)


def _log(request: HttpRequest, name: str, flag: int, message: str) -> None:
    LogEntry.objects.log_actions(cast(int, request.user.pk), [Identity(name=name)], flag, message)
