"""List all email templates and partials, with what is in force, who has a draft, and what waits for a fix."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from emails.editing import catalog
from emails.models import EmailTemplate
from emails.pages.templates.frame import MAY_LOOK


@require_safe
@permission_required(MAY_LOOK, raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Show the list."""
    entries = catalog.entries()
    context = admin.site.each_context(request) | {
        "opts": EmailTemplate._meta,
        "title": "Templates",
        "groups": [
            ("Templates", [entry for entry in entries if not entry.is_partial]),
            ("Partials, which templates include", [entry for entry in entries if entry.is_partial]),
        ],
    }
    return TemplateResponse(request, "emails_admin/templates/list.html", context)
