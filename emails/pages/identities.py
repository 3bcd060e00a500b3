"""Show SES's identities in the admin, from its last answers, and let staff verify, delete and refresh them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.decorators import permission_required
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
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
    answer = answers.to(
        f"identities {_short(token)}",
        lambda: _listed(token),
        is_pending=lambda page: any(_is_pending(fields) for fields in page["identities"]),
    )
    page = answer.value or {"identities": [], "next_token": "", "missing": []}
    found = [Facts(**fields) for fields in page["identities"]]
    context = {
        "title": "Identities",
        "answer": answer,
        "page": page,
        "rows": _rows(found),
        "later": "after" in request.GET,
        "identity_form": IdentityForm(initial={"name": request.GET.get("name", "")}),
        "back": _back(request),
        "test_form": TestEmailForm(initial={"recipient": getattr(request.user, "email", "")}),
    }
    return render(request, "identities", context | _account(request))


@require_safe
@permission_required("emails.view_identity", raise_exception=True)
def show_one(request: HttpRequest, name: str) -> HttpResponse:
    """Show an identity's status and its DNS records, each compared with DNS."""
    name = unquote(name)
    found = _found(name)
    if found["identity"] is None:
        messages.error(request, found["answer"].problem)
        return redirect(LIST)
    identity = found["identity"]
    context = {
        "title": f"Identity {name}",
        "back": _back(request),
        "mail_from_form": _mail_from_form(identity),
        "test_form": TestEmailForm(initial={"recipient": getattr(request.user, "email", "")}),
    }
    return render(request, "identity", context | found)


@never_cache
@require_safe
@permission_required("emails.view_identity", raise_exception=True)
def progress(request: HttpRequest, name: str) -> HttpResponse:
    """Return only the part of an identity's page that changes while SES looks for its records."""
    found = _found(unquote(name))
    if found["identity"] is None:
        raise Http404("SES has no such identity.")
    return render(request, "identity_live", found)


@require_safe
@permission_required("emails.verify_identity", raise_exception=True)
def add(request: HttpRequest) -> HttpResponse:
    """Show the form that verifies an address or a domain; a link may fill in ``name``, and ``next``, the way back."""
    name = request.GET.get("name") or request.GET.get("domain", "")
    context = {"title": "Verify an identity", "back": _back(request), "is_alone": True}
    return render(
        request, "identity_add", context | {"identity_form": IdentityForm(initial={"name": name})}
    )


@require_POST
@permission_required("emails.view_identity", raise_exception=True)
def refresh(request: HttpRequest) -> HttpResponse:
    """Ask SES and DNS again, then return to the page that the request came from."""
    answers.forget()
    return redirect(_back(request) or LIST)


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
    is_known = bool(status_history.of([name]))
    answers.forget()
    log(request, name, ADDITION, "Asked SES to verify it.")
    messages.success(request, _said(name, is_known=is_known))
    page = reverse("admin:emails_identity_change", args=[quote(name)])
    back = _back(request)
    return redirect(f"{page}?{urlencode({'next': back})}" if back else page)


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
    if back := context.get("back"):
        is_from_letters = "/deadletter/" in back
        shared["back_label"] = "Back to the dead letters" if is_from_letters else "Back"
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


def _back(request: HttpRequest) -> str:
    """Return the page of this site that the user came from and wants to return to; empty if there is none."""
    given = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        given, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return given if is_ours else ""


def _said(name: str, *, is_known: bool) -> str:
    """Say what comes next, after SES was asked to verify the identity."""
    try:
        is_verified = identities.get(name)[0].is_verified
    except IdentityError:
        is_verified = False
    if is_verified:
        return f"{name} is verified. SES sends from it."
    if "@" in name:
        return f"SES is sending a verification link to {name}."
    if is_known:
        return f"SES is checking DNS for the records of {name} again."
    return f"Publish these DNS records for {name}."


def _found(name: str) -> dict[str, Any]:
    """Return what SES and DNS tell of an identity; ``identity`` is None if SES tells nothing."""
    answer = answers.to(
        f"identity {_short(name.lower())}",
        lambda: _asked(name),
        is_pending=lambda value: _is_pending(value["identity"]),
    )
    if answer.value is None:
        return {"answer": answer, "identity": None}
    identity = Facts(**answer.value["identity"])
    [row] = _rows([identity])
    shared = {"answer": answer, "missing": answer.value["missing"], "row": row}
    return shared | {"identity": identity} | _records(identity)


def _is_pending(fields: Mapping[str, Any]) -> bool:
    """Return True if SES is still looking for the identity's records, or for those of its MAIL FROM domain."""
    return Facts(**fields).is_pending


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
    # The key depends on the records and on what SES found, so that DNS is asked anew once either changes.
    found = (records, identity.status, identity.mail_from_status)
    answer = answers.to(
        f"dns {_short(repr(found))}",
        lambda: [asdict(check) for check in dns_check.check(records)],
        is_pending=lambda checks: identity.is_pending,
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
