"""Set a domain's MAIL FROM domain: mail servers send bounces there, and its SPF record counts."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.contrib.admin.utils import quote
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from emails.errors import IdentityError
from emails.identities import answers, identities
from emails.pages.forms import MailFromForm
from emails.pages.identities import log, refuse


@require_POST
@permission_required("emails.set_mail_from", raise_exception=True)
def choose(request: HttpRequest) -> HttpResponse:
    """Set the MAIL FROM domain; if it is empty, bounces go to Amazon's domain again."""
    form = MailFromForm(request.POST)
    if not form.is_valid():
        refused = refuse(request, form)
        return _page(form.cleaned_data["name"]) if "name" in form.cleaned_data else refused
    name, domain = form.cleaned_data["name"], form.cleaned_data["mail_from"]
    failing = form.cleaned_data["failing"]
    try:
        identities.set_mail_from(name, domain, failing=failing)
    except IdentityError as exc:
        messages.error(request, f"Nothing was changed: {exc}")
    else:
        answers.forget()
        log(request, name, CHANGE, _logged(domain, failing))
        messages.success(request, _said(name, domain))
    return _page(name)


def _page(name: str) -> HttpResponse:
    return redirect("admin:emails_identity_change", quote(name))


def _logged(domain: str, failing: str) -> str:
    if not domain:
        return "MAIL FROM is amazonses.com again."
    return f"MAIL FROM set to {domain}; while its MX record is missing: {failing}."


def _said(name: str, domain: str) -> str:
    if not domain:
        return f"Bounces of {name} go to amazonses.com again."
    return f"Publish the MX and SPF records of {domain}. SES checks for them for 72 hours."
