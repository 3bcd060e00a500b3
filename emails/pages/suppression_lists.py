"""Let staff add addresses to the suppression list, import and export it, and ask SES about an address."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.decorators import permission_required
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from emails.errors import ListUnavailable, NotListable
from emails.models import Suppression
from emails.pages.suppression_forms import AddForm, ImportForm
from emails.reputation import csv_files, suppressions
from emails.reputation.csv_files import Read
from emails.reputation.suppressions import Entry, Source
from emails.ses import suppression_list
from queues import addresses, masking
from queues.console import change_url, moment

LIST = "admin:emails_suppression_changelist"
# The most line numbers named of lines without an address.
NAMED_LINES = 10
# The most addresses that one page asks SES about: each takes a call, and the page waits.
MOST_ASKED = 5


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("emails.add_suppression", raise_exception=True)
def add(request: HttpRequest) -> HttpResponse:
    """Suppress one address, with a reason."""
    form = AddForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        _add(request, form.cleaned_data["address"], form.cleaned_data["reason"])
        return redirect(LIST)
    return _render(request, "suppression_add", {"title": "Suppress an address", "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("emails.import_suppression", raise_exception=True)
def import_csv(request: HttpRequest) -> HttpResponse:
    """Import addresses from a file; lines without a valid address are skipped and named."""
    form = ImportForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        by, reason = request.user.get_username(), form.cleaned_data["reason"]
        found = csv_files.read(form.cleaned_data["file"].read(), reason=reason, by=by)
        if not found.problem:
            _import(request, found, reason)
            return redirect(LIST)
        form.add_error("file", found.problem)
    context = {"title": "Import suppressed addresses", "form": form}
    return _render(request, "suppression_import", context)


@require_POST
@permission_required(("emails.export_suppression", masking.PERMISSION), raise_exception=True)
def export_csv(request: HttpRequest) -> HttpResponseBase:
    """Export the whole list, lifted addresses too. The log keeps who did, as it is personal data."""
    rows = Suppression.objects.order_by("id")
    _log(request, CHANGE, f"Exported: {rows.count():,} addresses.")
    name = f"suppressions-{timezone.localdate():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        csv_files.write(rows.iterator(chunk_size=2000)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def ask_ses(request: HttpRequest, rows: QuerySet[Suppression]) -> HttpResponse:
    """Show what SES's own list says about these addresses right now; nothing changes."""
    for row in rows[:MOST_ASKED]:
        shown = masking.addresses(row.address) if masking.hides(request) else row.address
        try:
            found = suppression_list.get(row.address)
        except (ListUnavailable, NotListable) as exc:
            messages.warning(request, str(exc))
            break
        if found:
            since = moment(found.since)
            messages.info(
                request, f"SES has had {shown} on its list since {since}: {found.reason.lower()}."
            )
        else:
            messages.info(request, f"SES does not have {shown} on its list.")
    if rows.count() > MOST_ASKED:
        messages.info(request, f"SES was asked about the first {MOST_ASKED} only.")
    only = rows.first() if request.POST.get("from_row") else None
    return redirect(change_url(only) if only else LIST)


@transaction.atomic
def _add(request: HttpRequest, address: str, reason: str) -> None:
    entry = Entry(address, Source.STAFF, reason, request.user.get_username())
    new, lifted = suppressions.add([entry], reactivate=True)
    row = Suppression.objects.of([address]).get()
    if new or lifted:
        LogEntry.objects.log_actions(
            cast(int, request.user.pk), [row], ADDITION, f"Suppressed: {reason}"
        )
        messages.success(request, f"{address} gets no email until somebody lifts it.")
    else:
        messages.info(request, f"{address} was already suppressed. Its first reason stays.")


@transaction.atomic
def _import(request: HttpRequest, found: Read, reason: str) -> None:
    new, lifted = suppressions.add(found.entries, reactivate=False)
    known = len({addresses.key(entry.address) for entry in found.entries}) - new - lifted
    _log(request, ADDITION, f"Imported {new:,} addresses: {reason}")
    messages.success(request, f"Newly suppressed: {new:,}. Already suppressed: {known:,}.")
    if lifted:
        messages.warning(
            request,
            f"{lifted:,} had been lifted before and stay lifted. Add them one by one if they must get no email.",
        )
    if found.wrong:
        lines = ", ".join(map(str, found.wrong[:NAMED_LINES]))
        more = (
            f" and {len(found.wrong) - NAMED_LINES:,} more"
            if len(found.wrong) > NAMED_LINES
            else ""
        )
        messages.warning(request, f"Skipped lines without an address: {lines}{more}.")


def _log(request: HttpRequest, flag: int, message: str) -> None:
    """Log an action on the whole list."""
    LogEntry.objects.create(
        user_id=cast(int, request.user.pk),
        content_type=ContentType.objects.get_for_model(Suppression),
        object_repr="suppression list",
        action_flag=flag,
        change_message=message,
    )


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    context = admin.site.each_context(request) | {"opts": Suppression._meta} | context
    return TemplateResponse(request, f"emails_admin/{template}.html", context)
