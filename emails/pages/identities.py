"""Show SES's identities in the admin, from its last answers, and let staff verify, delete and refresh them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.decorators import permission_required
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from emails.errors import IdentityError
from emails.identities import answers, dns_check, dns_records, identities, status_history
from emails.identities.facts import Identity as Facts
from emails.models.identities import Identity
from emails.pages.forms import (
    DeleteIdentityForm,
    IdentityForm,
    MailFromForm,
    TestEmailForm,
)
from emails.ses import account, brands, default_sender, ses_api, statistics
from emails.ses.statistics import WINDOWS

LIST = "admin:emails_identity_changelist"
ACTS = (
    "verify_identity",
    "delete_identity",
    "set_mail_from",
    "set_default_sender",
    "send_test_email",
)
# Questions about the account, whose answers are cached.
_ACCOUNT = {
    "standing": account.standing,
    "quota": account.quota,
    "statistics": account.statistics,
}


@require_safe
@permission_required("emails.view_identity", raise_exception=True)
def show_all(request: HttpRequest) -> HttpResponse:
    """Show a page of identities, the account, and the forms that this user may submit."""
    token = request.GET.get("after", "")
    answer = answers.to(f"identities {_short(token)}", lambda: _listed(token))
    page = answer.value or {"identities": [], "next_token": "", "missing": []}
    found = [Facts(**fields) for fields in page["identities"]]
    context = {
        "title": "Identities",
        "answer": answer,
        "page": page,
        "rows": _rows(found),
        "later": "after" in request.GET,
        "identity_form": IdentityForm(initial={"name": request.GET.get("name", "")}),
        "test_form": TestEmailForm(initial={"recipient": getattr(request.user, "email", "")}),
    }
    return render(request, "identities", context | _account(request))


@require_safe
@permission_required("emails.view_identity", raise_exception=True)
def show_one(request: HttpRequest, name: str) -> HttpResponse:
    """Show an identity's status and its DNS records, each compared with DNS."""
    name = unquote(name)
    answer = answers.to(f"identity {_short(name.lower())}", lambda: _asked(name))
    if answer.value is None:
        messages.error(request, answer.problem)
        return redirect(LIST)
    identity = Facts(**answer.value["identity"])
    [row] = _rows([identity])
    context = {
        "title": f"Identity {name}",
        "answer": answer,
        "missing": answer.value["missing"],
        "row": row,
        "identity": identity,
        "mail_from_form": _mail_from_form(identity),
        "test_form": TestEmailForm(initial={"recipient": getattr(request.user, "email", "")}),
    }
    return render(request, "identity", context | _records(identity))


@require_POST
@permission_required("emails.view_identity", raise_exception=True)
def refresh(request: HttpRequest) -> HttpResponse:
    """Ask SES and DNS again, then return to the page that the request came from."""
    answers.forget()
    back = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return redirect(back if is_ours else LIST)


@require_POST
@permission_required("emails.verify_identity", raise_exception=True)
def verify(request: HttpRequest) -> HttpResponse:
    """Ask SES to verify an address or a domain, for the first time or again."""
    form = IdentityForm(request.POST)
    if not form.is_valid():
        return refuse(request, form)
    name = form.cleaned_data["name"]
    try:
        identities.verify(name)
    except IdentityError as exc:
        messages.error(request, str(exc))
        return redirect(LIST)
    answers.forget()
    log(request, name, ADDITION, "Asked SES to verify it.")
    if "@" in name:
        messages.success(request, f"SES is sending a verification link to {name}.")
        return redirect(LIST)
    messages.success(request, f"Publish these DNS records for {name}.")
    return redirect("admin:emails_identity_change", quote(name))


@require_POST
@permission_required("emails.delete_identity", raise_exception=True)
def delete(request: HttpRequest) -> HttpResponse:
    """Ask the user to type the name, then delete the identity from SES."""
    form = IdentityForm(request.POST)
    if not form.is_valid():
        return refuse(request, form)
    name = form.cleaned_data["name"]
    typed = DeleteIdentityForm(request.POST if "typed" in request.POST else None, name=name)
    if not typed.is_valid():
        context = {"title": f"Delete {name}?", "name": name, "form": typed}
        return render(request, "identity_delete", context | {"sends_for": _brands_of(name)})
    try:
        identities.delete(name)
    except IdentityError as exc:
        messages.error(request, str(exc))
    else:
        status_history.forget(name)
        answers.forget()
        log(request, name, DELETION, "Deleted from SES.")
        messages.success(request, f"{name} was deleted from SES.")
    return redirect(LIST)


def render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Render a page about identities, with the context that all of them share."""
    may = {act: request.user.has_perm(f"emails.{act}") for act in ACTS}
    shared = {
        "may": may,
        "set_name": settings.SES_CONFIGURATION_SET,
        "brands": _brand_rows(),
        "sender": default_sender.readable(brands.PLATFORM),
    }
    context = admin.site.each_context(request) | shared | context
    return TemplateResponse(request, f"emails_admin/{template}.html", context)


def refuse(request: HttpRequest, form: Form) -> HttpResponse:
    """Show the form's errors on the list of identities."""
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect(LIST)


def log(request: HttpRequest, name: str, flag: int, message: str) -> None:
    """Record in the admin's log what staff did."""
    LogEntry.objects.log_actions(cast(int, request.user.pk), [Identity(name=name)], flag, message)


def _listed(token: str) -> dict[str, Any]:
    page = identities.page(token)
    status_history.note({identity.name: identity.status for identity in page.identities})
    return asdict(page)


def _asked(name: str) -> dict[str, Any]:
    identity, missing = identities.get(name)
    status_history.note({name: identity.status})
    return {"identity": asdict(identity), "missing": list(missing)}


def _rows(found: Sequence[Facts]) -> list[dict[str, Any]]:
    """Return each identity with its status history, and the brands that send from it."""
    seen = status_history.of(identity.name for identity in found)
    return [
        {
            "identity": identity,
            "seen": seen.get(identity.name),
            "sends_for": _brands_of(identity.name),
        }
        for identity in found
    ]


def _mail_from_form(identity: Facts) -> MailFromForm:
    """Return the form with the current values, or with those that most people choose."""
    return MailFromForm(
        initial={
            "name": identity.name,
            "mail_from": identity.mail_from or f"bounce.{identity.name}",
            "failing": identity.mail_from_failing,
        }
    )


def _brand_rows() -> list[dict[str, Any]]:
    """Return each brand with the sender that is in force for it."""
    return [
        {"brand": brands.in_force(key), "sender": default_sender.readable(key)}
        for key in brands.known()
    ]


def _brands_of(name: str) -> list[str]:
    """Return the names of the brands that send from this address, or from an address of this domain."""
    return [
        brands.in_force(key).name
        for key in brands.known()
        if name.lower() in map(str.lower, ses_api.covering(default_sender.address(key)))
    ]


def _records(identity: Facts) -> dict[str, Any]:
    records = dns_records.of(identity, region=settings.AWS_REGION)
    if not records:
        return {"records": []}
    # The key depends on the records, so that changed records are looked up anew.
    answer = answers.to(
        f"dns {_short(repr(records))}",
        lambda: [asdict(check) for check in dns_check.check(records)],
    )
    return {"records": list(zip(records, answer.value, strict=True)), "dns": answer}


def _account(request: HttpRequest) -> dict[str, Any]:
    found: dict[str, Any] = {name: answers.to(name, ask) for name, ask in _ACCOUNT.items()}
    if settings.SES_CONFIGURATION_SET:
        name = settings.SES_CONFIGURATION_SET
        found["set"] = answers.to(f"configuration set {name}", account.configuration_set)
    window = request.GET.get("window", "")
    window = window if window in WINDOWS else "24h"
    points = found["statistics"].value
    return found | {
        "counted": statistics.of(points, WINDOWS[window]) if points else None,
        "windows": [(key, each.label) for key, each in WINDOWS.items()],
        "window": window,
        "region": settings.AWS_REGION,
        "api": 2 if settings.USE_SES_V2 else 1,
        "list_url": reverse(LIST),
    }


def _short(text: str) -> str:
    """Return a short hash, for text that may be too long or have unsafe characters for a cache key."""
    return hashlib.sha256(text.encode()).hexdigest()[:20] if text else ""
