"""Preview email templates in the admin, each rendered with its sample data."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from emails.errors import RenderError
from emails.rendering import languages, templates
from emails.ses import brands, default_sender
from emails.versions import in_force


@require_safe
@permission_required("emails.preview_email", raise_exception=True)
def first(request: HttpRequest) -> HttpResponse:
    """Redirect to the first template."""
    return redirect("admin:emails_template", templates.names()[0])


@require_safe
@permission_required("emails.preview_email", raise_exception=True)
def preview(request: HttpRequest, name: str) -> HttpResponse:
    """Show a template's subject, its HTML at two widths, and its text, in the language of the query's ``language``."""
    names = templates.names()
    if name not in names:
        raise Http404(f"no email template {name}")
    context = admin.site.each_context(request) | {
        "title": name,
        "names": names,
        "name": name,
    }
    try:
        variants = sorted(in_force.files(name).languages)
        chosen = request.GET.get("language", "")
        chosen = chosen if chosen in variants else ""
        context["languages"] = [(each, languages.english_name(each)) for each in ("", *variants)]
        sample = templates.sample(name)
        email = in_force.render(name, {**sample.data, "locale": chosen})
        context |= {"sample": sample, "email": email, "language": chosen}
        context["brand"] = brands.in_force(brands.of(name))
        context["sender"] = default_sender.decoded(default_sender.of(name))
    except RenderError as exc:
        context["error"] = str(exc)
    return TemplateResponse(request, "emails_admin/template.html", context)
