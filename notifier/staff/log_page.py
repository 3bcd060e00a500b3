"""Show the log of what staff did: who, when, what and on which row; nobody changes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from notifier.staff import log_words
from queues import masking
from queues.audit import staff_log
from queues.console import moment
from queues.pages.facts import BoundedPaginator, column
from queues.pages.listing.exports import Export, Values
from queues.pages.listing.time_range import TimeFilter
from queues.pages.masked import MaskedAdmin

# The most rows of an act on many that its page lists.
MOST_PARTS = 200
_SEARCHED = re.compile("search “[^”]*”")
# How the entries of each act begin; Django writes its own as JSON.
ACTS = {
    "redrive": ("Redrive", ("Started", "Redriven")),
    "edit": ("Edit and redrive", ("Edited",)),
    "park": ("Park, unpark", ("Parked", "No longer parked")),
    "discard": ("Discard, reopen", ("Discarded", "Open again")),
    "collect": ("Collect", ("Collected",)),
    "publish": ("Publish again", ("Queued to be published again",)),
    "pause": ("Pause, stop, resume", ("Paused", "Resumed", "Stopped")),
    "send": ("Send again", ("Sent again",)),
    "sent": ("Mark as sent", ("Marked as sent",)),
    "cancel": ("Cancel email", ("Cancelled",)),
    "suppress": ("Suppress, lift, import", ("Suppressed", "Lifted", "Imported")),
    "export": ("Export", ("Exported",)),
    "check": ("Doctor", ("Asked for",)),
    "unlock": ("Unlock", ("Unlocked",)),
    "form": ("Add, change, delete", ("[{",)),
}


class ActFilter(admin.SimpleListFilter):
    """Filters by what was done."""

    title = "act"
    parameter_name = "act"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the acts in staff's words."""
        return [(name, label) for name, (label, _) in ACTS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the entries that begin as those of the act; an unknown one selects all."""
        condition = Q()
        for beginning in ACTS.get(self.value() or "", ("", ()))[1]:
            condition |= Q(change_message__startswith=beginning)
        return queryset.filter(condition)


class KindFilter(admin.SimpleListFilter):
    """Filters by the kind of row."""

    title = "kind of row"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the kinds that have pages in the admin."""
        kinds = {model._meta.label_lower: model._meta for model in admin.site._registry}
        names = [(label, str(meta.verbose_name_plural)) for label, meta in kinds.items()]
        return sorted([*names, ("queues.pausedqueue", "queues")], key=lambda pair: pair[1].lower())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Select the entries about this kind; an unknown one selects all."""
        app, _, model = (self.value() or "").partition(".")
        known = ContentType.objects.filter(app_label=app, model=model)
        return queryset.filter(content_type__in=known) if model else queryset


@admin.register(LogEntry)
class LogEntryAdmin(MaskedAdmin):
    """Show the log, read-only."""

    list_display = ("when", "user", "message", "what")
    list_filter = (("action_time", TimeFilter), "user", ActFilter, KindFilter)
    search_fields = ("object_repr", "change_message", "user__username", "=object_id")
    search_help_text = "Person, row, id or reason"
    list_select_related = ("user", "content_type")
    ordering = ("-action_time", "-id")
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    list_after_template = "admin/facts/list_end.html"
    fields = ("when", "user", "message", "what", "parts")
    readonly_fields = fields
    nothing_yet = "Whatever staff do in the console is listed here, with who did it, when, and the reason they gave."
    export = Export(
        "notifier.export_logentry",
        (
            *("action_time", "user__username", "change_message", "content_type", "object_id"),
            "object_repr",
        ),
        headings=("time", "person", "act", "kind", "id", "row"),
    )
    personal = {
        "change_message": lambda text: _SEARCHED.sub(
            f"search “{masking.MASK}”", masking.addresses(text)
        ),
        "object_id": masking.addresses,
        # For a customer this is their name; ``mask`` shows the names of other kinds.
        "object_repr": lambda text: masking.MASK,
    }

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[LogEntry]:
        """Return what the log lists: an act on many rows once."""
        return staff_log.shown(super().get_queryset(request))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list with the address of what each entry is about, found before anything is masked."""
        changelist = super().get_changelist_instance(request)
        self._link(request, changelist.result_list)
        return changelist

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the entry, with the entries of its single rows."""
        entry = super().get_object(request, *args, **kwargs)
        if entry is not None:
            parts = staff_log.parts(entry) if not entry.object_id else LogEntry.objects.none()
            entry.parts = list(parts.select_related("content_type").order_by("id")[:MOST_PARTS])
            entry.number_of_parts = parts.count()
            if masking.hides(request):
                for part in entry.parts:
                    self.mask(part)
            self._link(request, [entry, *entry.parts])
        return entry

    def mask(self, row: LogEntry) -> None:
        """Mask the name of a person; the names of queues, orders and redrives are nobody's secret."""
        name = row.object_repr
        super().mask(row)
        row.object_repr = _masked_name(log_words.kind(row), name)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Let masked users find a row by a part of its name, too, where the name is no person's."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        # Too long a text finds nothing.
        if masking.hides(request) and search_term and not found.query.is_empty():
            condition = Q(content_type__in=_types(log_words.PUBLIC - log_words.QUOTING))
            for word in search_term.split():
                condition &= Q(object_repr__icontains=word)
            found |= queryset.filter(condition).exclude(object_repr__contains="@")
        return found, has_duplicates

    def export_cells(self, request: HttpRequest) -> Callable[[Values], Sequence[object]]:
        """Write acts and kinds in words, and mask names by their kind."""
        hides = masking.hides(request)
        types = {row.pk: row for row in ContentType.objects.all()}

        def cells(values: Values) -> Sequence[object]:
            at, user, message, type_id, object_id, name = values
            entry = LogEntry(
                content_type=types.get(type_id), object_id=object_id, object_repr=name,
                change_message=message,
            )  # fmt: skip
            if hides:
                self.mask(entry)
            kind = entry.content_type.name if entry.content_type else ""
            row = log_words.name(entry)
            return at, user, entry.get_change_message(), kind, entry.object_id, row

        return cells

    @column(description="when", ordering="action_time")
    def when(self, entry: LogEntry) -> SafeString:
        at = entry.action_time.astimezone(UTC).isoformat()
        return format_html('<time datetime="{}">{}</time>', at, moment(entry.action_time))

    @column(description="what was done")
    def message(self, entry: LogEntry) -> str:
        return entry.get_change_message()

    @column(description="to what")
    def what(self, entry: LogEntry) -> SafeString | str:
        name, address = log_words.name(entry), getattr(entry, "address", "")
        if address:
            return format_html('<a class="text-link" href="{}">{}</a>', address, name)
        return name

    @column(description="the rows")
    def parts(self, entry: Any) -> SafeString | str:
        if not entry.parts:
            return "—"
        rows = format_html_join("", "<li>{}</li>", ((self.what(part),) for part in entry.parts))
        rest = entry.number_of_parts - len(entry.parts)
        more = format_html("<p>and {} more</p>", f"{rest:,}") if rest else ""
        return format_html('<ul class="log-parts">{}</ul>{}', rows, more)

    def _link(self, request: HttpRequest, entries: Sequence[Any]) -> None:
        found = log_words.links(request, entries)
        for entry in entries:
            entry.address = found.get(entry.pk, "")


def _masked_name(kind: str, name: str) -> str:
    return masking.addresses(name) if kind in log_words.PUBLIC else masking.MASK


def _types(labels: set[str]) -> list[int]:
    """Return the keys of these kinds."""
    every = ContentType.objects.values_list("pk", "app_label", "model")
    return [pk for pk, app, model in every if f"{app}.{model}" in labels]
