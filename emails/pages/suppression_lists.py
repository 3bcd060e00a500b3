"""Let staff add addresses to the suppression list, import and export it, and ask SES about an address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from uuid import UUID

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
from emails.models import Suppression, SuppressionImport
from emails.pages.suppression_forms import AddForm, ConfirmImportForm, ImportForm
from emails.reputation import csv_files, imports, suppressions
from emails.reputation.csv_files import Read
from emails.reputation.imports import Effects
from emails.reputation.suppressions import Entry, Source
from emails.ses import suppression_list
from queues import masking, registry
from queues.console import change_url, moment

LIST = "admin:emails_suppression_changelist"
# The most refused lines that the preview shows.
MOST_LINES = 200
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
    """Take a file of addresses, and lead to the page that says what it would do."""
    form = ImportForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        file, reason = form.cleaned_data["file"], form.cleaned_data["reason"]
        content = file.read()
        found = csv_files.read(content, reason=reason, by=request.user.get_username())
        if not found.problem:
            user_id = cast(int, request.user.pk)
            upload = imports.keep(content, name=file.name, reason=reason, user_id=user_id)
            return redirect("admin:emails_suppression_import_preview", upload.pk)
        form.add_error("file", found.problem)
    context = {"title": "Import suppressed addresses", "form": form}
    return _render(request, "suppression_import", context)


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("emails.import_suppression", raise_exception=True)
def preview_import(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show what an uploaded file would do; on POST, do it, or discard the file."""
    upload = imports.kept(pk, user_id=cast(int, request.user.pk))
    if upload is None:
        messages.warning(request, "That file is no longer here: it was imported or discarded.")
        return redirect(LIST)
    if "discard" in request.POST:
        upload.delete()
        messages.info(request, "The file was discarded. Nothing was imported.")
        return redirect(LIST)
    found = imports.read(upload, by=request.user.get_username())
    if "confirm" in request.POST:
        _import(request, upload, found, reactivate=request.POST.get("reactivate") == "on")
        return redirect(LIST)
    effects = imports.preview(found.entries)
    context = {
        "title": "Import suppressed addresses",
        "form": ConfirmImportForm(lifted=effects.lifted),
        "upload": upload,
        "found": found,
        "changes": effects.added or effects.added_as_lifted or effects.lifted,
        "outcomes": list(_outcomes(effects, found)),
        "kept_hours": imports.KEPT_HOURS,
        "most": f":{MOST_LINES}",
        "most_shown": MOST_LINES,
    }
    return _render(request, "suppression_import_preview", context)


@require_POST
@permission_required(("emails.export_suppression", masking.PERMISSION), raise_exception=True)
def export_csv(request: HttpRequest) -> HttpResponseBase:
    """Export the whole list, lifted addresses too. The log keeps who did, as it is personal data."""
    if question := registry.ask_for_proof(request):
        return question
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


def _import(
    request: HttpRequest, upload: SuppressionImport, found: Read, *, reactivate: bool
) -> None:
    done = imports.perform(found.entries, reactivate=reactivate)
    again = done.lifted if reactivate else 0
    _log(
        request,
        ADDITION,
        f"Imported {upload.file_name}: {done.added:,} newly suppressed, {again:,} suppressed again, "
        f"{done.added_as_lifted:,} recorded as lifted: {upload.reason}",
    )
    upload.delete()
    for count, words in _outcomes(done, found, reactivated=reactivate):
        if count:
            messages.success(request, f"{count:,} {words}")


def _outcomes(
    effects: Effects, found: Read, *, reactivated: bool = False
) -> Iterator[tuple[int, str]]:
    """Say what becomes of all that a file holds, in words for before and after."""
    yield effects.added, "newly suppressed: no email from now on."
    yield effects.unchanged, "unchanged: the list has them already."
    lifted = "suppressed again." if reactivated else "lifted here before, and they stay lifted."
    yield effects.lifted, lifted
    if effects.added_as_lifted:
        yield effects.added_as_lifted, "recorded as lifted, as in the file: they get email."
    if effects.stay_suppressed:
        yield (
            effects.stay_suppressed,
            "lifted in the file and suppressed here: they stay suppressed.",
        )
    if found.repeated:
        yield found.repeated, "on several lines: each counts once."
    yield len(found.refused), "not imported: their lines have no address or are wrong."


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
