from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

from emails.models import DeliveryEvent, Notification
from emails.pages.filters import KindFilter, OrphanFilter
from emails.reports import report_words
from queues import masking
from queues.console import moment
from queues.pages.cells import link, pretty_json, two_lines
from queues.pages.facts import BoundedPaginator, column
from queues.pages.listing.time_range import TimeFilter
from queues.pages.masked import MaskedAdmin


@admin.register(DeliveryEvent)
class DeliveryEventAdmin(MaskedAdmin):
    """The read-only pages of SES events."""

    list_display = ("what", "recipient", "said", "happened", "recorded", "of_known_email")
    list_filter = (("recorded_at", TimeFilter), OrphanFilter, KindFilter)
    search_fields = ("=provider_message_id",)
    search_help_text = "SES message id"
    ordering = ("-id",)
    nothing_yet = "SES reports here what became of each email. If emails are sent and nothing comes, run the doctor."
    fields = (
        ("type", "recipient"),
        "said_in_full",
        ("happened_at", "recorded_at"),
        "provider_message_id",
        "email",
        "pretty_raw",
    )
    readonly_fields = ("said_in_full", "email", "pretty_raw")
    show_full_result_count = False
    paginator = BoundedPaginator
    list_after_template = "admin/facts/list_end.html"

    personal = {"recipient": masking.addresses, "raw": masking.values}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def mask(self, row: Any) -> None:
        # The words are made before masking, as they come from fields that it hides.
        row.masked_words = report_words.of(row)
        super().mask(row)

    @column(description="event", ordering="type")
    def what(self, event: DeliveryEvent) -> SafeString:
        return two_lines(_words(event).title, event.type)

    @column(description="what it says")
    def said(self, event: DeliveryEvent) -> str:
        return _told(event).removeprefix(f"{_words(event).title}.").strip() or "—"

    @column(description="what it says")
    def said_in_full(self, event: DeliveryEvent) -> str:
        return _told(event)

    @column(description="happened", ordering="happened_at")
    def happened(self, event: DeliveryEvent) -> str:
        return moment(event.happened_at)

    @column(description="recorded", ordering="id")
    def recorded(self, event: DeliveryEvent) -> str:
        return moment(event.recorded_at)

    @column(description="email", colours={"orphan": "warning", "known": ""})
    def of_known_email(self, event: DeliveryEvent) -> tuple[str, str]:
        return ("orphan", "unknown") if event.is_orphan else ("known", "")

    @column(description="email")
    def email(self, event: DeliveryEvent) -> SafeString | str:
        found = Notification.objects.filter(provider_message_id=event.provider_message_id).first()
        if found:
            return link(found)
        return (
            "Unknown. The event is attached as soon as its email is known. Most such events are about emails that"
            " another application sends from the same account."
            if event.is_orphan
            else "A test or a canary, or an email that has been sent again since."
        )

    @column(description="as SES wrote it")
    def pretty_raw(self, event: DeliveryEvent) -> SafeString | str:
        return pretty_json(event.raw)


def _words(event: DeliveryEvent) -> report_words.Words:
    masked: report_words.Words | None = getattr(event, "masked_words", None)
    return masked or report_words.of(event)


def _told(event: DeliveryEvent) -> str:
    return _words(event).full(quotes=not hasattr(event, "masked_words"))
