"""What the pages of a template share: its tabs, its place in the log, and how it stands."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from emails.editing import catalog
from emails.models import EmailTemplate
from emails.versions import drafts

MAY_LOOK = "emails.preview_email"
MAY_EDIT = "emails.edit_template"
MAY_PUBLISH = "emails.publish_template"
MAY_ROLL_BACK = "emails.roll_back_template"

LIST = "admin:emails_emailtemplate_changelist"
PREVIEW = "admin:emails_emailtemplate_change"
EDIT = "admin:emails_emailtemplate_edit"
VERSIONS = "admin:emails_emailtemplate_versions"


class TemplateName:
    """Converts the part of an address that names a template or partial; the log writes it as Django quotes keys."""

    regex = r"(?:partials/|partials_2F)?[A-Za-z0-9][A-Za-z0-9_-]*"

    def to_python(self, value: str) -> str:
        """Return the name."""
        return unquote(value)

    def to_url(self, value: str) -> str:
        """Return the part of the address."""
        return value


def require(name: str) -> None:
    """Raise Http404 if there is no such template or partial."""
    if name not in catalog.names():
        raise Http404(f"no email template {name}")


def render(
    request: HttpRequest, page: str, name: str, context: dict[str, Any], *, tab: str
) -> HttpResponse:
    """Return a page of a template with its tabs."""
    row = catalog.decided(name)
    return TemplateResponse(
        request,
        f"emails_admin/templates/{page}.html",
        admin.site.each_context(request)
        | {
            "opts": EmailTemplate._meta,
            "title": name,
            "name": name,
            "tab": tab,
            "is_partial": catalog.is_partial(name),
            "row": row,
            "published": row.published if row else None,
            "is_overtaken": catalog.is_overtaken(row),
            "is_caught_up": catalog.is_caught_up(row),
            "draft": drafts.of(name),
        }
        | context,
    )


def log(request: HttpRequest, name: str, message: str) -> None:
    """Write what staff did to a template into the log; call it in the transaction that does it."""
    LogEntry.objects.log_actions(
        cast(int, request.user.pk), [EmailTemplate(name=name)], CHANGE, message, single_object=True
    )
