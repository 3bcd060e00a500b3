"""Let staff choose brand, sender and reply address of one template; SES must have verified the sender."""

from __future__ import annotations

from email.utils import parseaddr, quote
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from emails.models import EmailTemplate
from emails.pages import sender
from emails.pages.forms import TemplateSenderForm
from emails.pages.templates import frame
from emails.rendering import templates
from emails.ses import brands, default_sender


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required(sender.PERMISSION, raise_exception=True)
def edit(request: HttpRequest, name: str) -> HttpResponse:
    """Show the form and save it, after asking SES now whether it may send from a new sender."""
    if name not in templates.names():
        raise Http404(f"no email template {name}")
    form = _form(name, request.POST or None)
    if form.is_valid():
        before = parseaddr(_chosen(name).sender)[1]
        problem = sender.objection(form.cleaned_data["address"], before)
        if not problem:
            return _saved(request, name, form)
        form.add_error("address", problem)
    context = {
        "form": form,
        "brand": brands.in_force(brands.of(name)),
        "sent_as": default_sender.decoded(default_sender.of(name)),
        "reply_to": brands.reply_to(name),
    }
    return frame.render(request, "sender", name, context, tab="sender")


@transaction.atomic
def _saved(request: HttpRequest, name: str, form: TemplateSenderForm) -> HttpResponse:
    before = default_sender.decoded(default_sender.of(name))
    given = form.cleaned_data
    named = f'"{quote(given["display_name"])}" <{given["address"]}>'
    brands.choose(
        name,
        brand=given["brand"],
        sender=named if given["display_name"] else given["address"],
        reply_to=given["reply_to"],
    )
    now = default_sender.decoded(default_sender.of(name))
    changed = ", ".join(form.changed_data) or "nothing"
    frame.log(
        request,
        name,
        f"Changed {changed}. Brand {brands.of(name)}, sent as {now}. Before: {before}.",
    )
    messages.success(request, f"{name} is now sent as {now}. Consumers follow within 2 s.")
    return redirect("admin:emails_emailtemplate_sender", name)


def _form(name: str, data: Any = None) -> TemplateSenderForm:
    chosen = _chosen(name)
    display_name, address = parseaddr(chosen.sender)
    initial = {
        "brand": chosen.brand,
        "address": address,
        "display_name": display_name,
        "reply_to": chosen.reply_to,
    }
    return TemplateSenderForm(
        data, initial=initial, default=templates.brand(name), brands=brands.known()
    )


def _chosen(name: str) -> EmailTemplate:
    return brands.own(name) or EmailTemplate(name=name)
