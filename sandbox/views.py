"""Pages for a developer: what SES accepted, and what waits for verification."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from sandbox import connection
from sandbox.errors import NoMailbox, NotFound, NotRunning, SandboxError

View = Callable[..., HttpResponse]

SHOWN = 100
TABS = ("html", "text", "headers", "source")
# The mail may be anybody's HTML: it runs no scripts and belongs to no origin.
MAIL_POLICY = (
    "default-src 'none'; img-src * data:; font-src *; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
_TROUBLES: dict[type[SandboxError], tuple[str, int]] = {
    NotRunning: ("not_running", 503),
    NoMailbox: ("no_mailbox", 503),
    NotFound: ("not_found", 404),
}


def needs_local_aws(view: View) -> View:
    """Show what is wrong, and what to do, where the local AWS cannot answer."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (NotRunning, NoMailbox, NotFound) as exc:
            trouble, status = _TROUBLES[type(exc)]
            page = {"trouble": trouble, "endpoint": settings.AWS_ENDPOINT_URL}
            return render(request, "sandbox/unavailable.html", page, status=status)

    return wrapped


@require_safe
@needs_local_aws
def mailbox(request: HttpRequest) -> HttpResponse:
    """Show the mails, or those whose recipient or subject contains ``q``."""
    query = request.GET.get("q", "").strip()
    mails = [mail for mail in connection.mails() if _matches(mail, query)]
    page = {"mails": mails[:SHOWN], "count": len(mails), "query": query}
    return render(request, "sandbox/mailbox.html", page | _header())


@require_safe
@needs_local_aws
def mail(request: HttpRequest, mail_id: str) -> HttpResponse:
    """One mail: rendered, as text, its headers, its source."""
    found = connection.mail(mail_id)
    tab = request.GET.get("tab", "html" if found["html"] else "text")
    page = {"mail": found, "tab": tab if tab in TABS else "text", "tabs": TABS}
    return render(request, "sandbox/mail.html", page | _header())


@require_safe
@needs_local_aws
@xframe_options_sameorigin
def mail_html(request: HttpRequest, mail_id: str) -> HttpResponse:
    """The mail's HTML alone, for the frame."""
    html = _with_links_outside(connection.mail(mail_id)["html"])
    return HttpResponse(html, headers={"Content-Security-Policy": MAIL_POLICY})


@require_safe
@needs_local_aws
def verifications(request: HttpRequest) -> HttpResponse:
    """Show what waits: addresses for their link, domains for their DNS records."""
    return render(request, "sandbox/verifications.html", _header())


@require_POST
@needs_local_aws
def verify(request: HttpRequest) -> HttpResponse:
    """Pretend that a domain's DNS records were found."""
    connection.verify(request.POST.get("identity", ""))
    return redirect("sandbox:verifications")


@require_POST
@needs_local_aws
def rules(request: HttpRequest) -> HttpResponse:
    """Switch the rule that recipients must be verified."""
    connection.set_sandbox_rules(request.POST.get("sandbox_rules") == "on")
    return redirect("sandbox:verifications")


@require_POST
@needs_local_aws
def empty(request: HttpRequest) -> HttpResponse:
    """Empty the mailbox."""
    connection.empty_mailbox()
    return redirect("sandbox:mailbox")


def _header() -> dict[str, Any]:
    return {"pending": connection.verifications(), "sandbox_rules": connection.sandbox_rules()}


def _with_links_outside(html: str) -> str:
    """Links open a new tab. The tag goes into the head: before the doctype it would change the layout."""
    head = re.search(r"<head[^>]*>", html, re.IGNORECASE)
    position = head.end() if head else 0
    return f'{html[:position]}<base target="_blank">{html[position:]}'


def _matches(mail: dict[str, Any], query: str) -> bool:
    return query.lower() in " ".join([mail["subject"], *mail["to"]]).lower()
