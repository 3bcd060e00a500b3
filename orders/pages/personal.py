"""Hold what the admin's pages of people and facts have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders import email_status
from orders.email_status import EmailOutcome
from queues import masking
from queues.answers import Section
from queues.models.addresses import with_address
from queues.pages.cells import coloured
from queues.pages.facts import BoundedPaginator
from queues.pages.lists import ListAdmin
from queues.registry import Hook

# Give tables of everything known of an address, for the pages of those who have it; upper apps register here.
histories: Hook[Callable[[HttpRequest, str], Iterable[Section]]] = Hook()
# So many rows of a list are searched for parts: about a tenth of a second of work for PostgreSQL.
SEARCHED = 50_000
SEARCHED_NEWEST = (
    f"Parts were looked for in the newest {SEARCHED:,} rows."
    " A whole number or address is found in all rows."
)
MOST_WHOLE = 1000
_READDRESS = "emails.readdress_notification"


class PersonalAdmin(ListAdmin):
    """Hide rows about people from users who may not see personal data: masked, nothing would be left to see."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_view_permission(request, obj)) and not masking.hides(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not masking.hides(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not masking.hides(request)


class EmailColumnAdmin(PersonalAdmin):
    """Show what happened to the email of each row, asked once for a whole page; ``in_list`` and ``on_page`` show it."""

    # A large table is neither counted nor paged through.
    show_full_result_count = False
    paginator = BoundedPaginator
    list_per_page = 50
    list_after_template = "admin/facts/list_end.html"
    change_form_outer_after_template = "admin/facts/sections.html"
    # The field with the subject of the row's events; or else the field with an address, whose newest email counts.
    subject_field = ""
    address_field = ""
    # The columns whose whole value is found in all rows, however many there are.
    number_column = ""
    address_column = ""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, whose rows know the outcome of their email."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = list(changelist.result_list)
        self._learn(changelist.result_list)
        if changelist.query and self._older().exists():
            messages.info(request, SEARCHED_NEWEST)
        return changelist

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for parts among the newest rows, as no index has them, and for a whole number or address in all."""
        last = self._older().first()
        newest = queryset if last is None else queryset.filter(pk__gt=last)
        found, has_duplicates = super().get_search_results(request, newest, search_term)
        if last is not None and search_term:
            found |= queryset.filter(pk__in=self._whole(search_term.strip()))
        return found, bool(has_duplicates)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the row for its page, which knows the outcome of its email."""
        row = super().get_object(request, *args, **kwargs)
        if row is not None:
            self._learn([row])
            row.may_readdress = request.user.has_perm(_READDRESS)
        return row

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Add the whole history of the row's address, if the row stands for a person."""
        row = kwargs.get("obj")
        if row is not None and self.address_field:
            address = getattr(row, self.address_field)
            context |= {"sections": [part for tell in histories for part in tell(request, address)]}
        response: HttpResponse = super().render_change_form(request, context, **kwargs)
        return response

    def _older(self) -> QuerySet[Any]:
        """Select the keys of the rows that are not searched for parts, the newest first."""
        older: QuerySet[Any] = self.model.objects.order_by("-pk").values_list("pk", flat=True)
        return older[SEARCHED:]

    def _whole(self, text: str) -> list[Any]:
        """Find the rows with this number or this address, by an index."""
        rows = self.model.objects.order_by("-pk").values_list("pk", flat=True)
        found = list(with_address(rows, self.address_column, text)[:MOST_WHOLE])
        if self.number_column:
            found += rows.filter(**{self.number_column: text.upper()})
        return found

    def _learn(self, rows: list[Any]) -> None:
        told = self._outcomes(rows)
        for row in rows:
            row.known_outcome = told.get(getattr(row, self.subject_field or "pk"))

    def _outcomes(self, rows: list[Any]) -> Mapping[Any, EmailOutcome]:
        if self.subject_field:
            return email_status.outcomes([getattr(row, self.subject_field) for row in rows])
        wanted = self.model.objects.filter(pk__in=[row.pk for row in rows])
        return email_status.newest(wanted, self.address_field)


def in_list(name: str) -> Callable[[EmailColumnAdmin, Any], SafeString | None]:
    """Make the column of this name: the outcome as a label that leads to the timeline; empty if no email is known."""

    @admin.display(description=name, empty_value="—")
    def email_outcome(self: EmailColumnAdmin, row: Any) -> SafeString | None:
        return _label(getattr(row, "known_outcome", None))

    return email_outcome


def on_page(name: str) -> Callable[[EmailColumnAdmin, Any], SafeString | None]:
    """Make the same for the row's own page, where staff may correct the address of an email that was lost."""

    @admin.display(description=name, empty_value="—")
    def email_here(self: EmailColumnAdmin, row: Any) -> SafeString | None:
        outcome: EmailOutcome | None = getattr(row, "known_outcome", None)
        label = _label(outcome)
        if outcome is None or not (outcome.is_lost and getattr(row, "may_readdress", False)):
            return label
        address = reverse("new-address", args=[outcome.event_id])
        return format_html(
            '{} <a class="text-link" href="{}">Correct the address and send again</a>',
            label,
            address,
        )

    return email_here


class FactAdmin(EmailColumnAdmin):
    """Show facts, which are saved once: staff may add one, nobody changes or deletes it."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _label(outcome: EmailOutcome | None) -> SafeString | None:
    if outcome is None:
        return None
    label = coloured(outcome.label, outcome.colour)
    if outcome.event_id is None:
        return label
    address = reverse("timeline", args=[outcome.event_id])
    return format_html('<a class="email-outcome" href="{}">{}</a>', address, label)


def emails_link(subject: str, address: str = "") -> SafeString:
    """Render links to the emails about a subject, to its timeline, and to the history of an address."""
    links = _emails_links(subject)
    if not address:
        return links
    return format_html(
        '{} · <a class="text-primary-600 dark:text-primary-500" href="{}">History of {}</a>',
        links,
        f"{reverse('history')}?{urlencode({'address': address})}",
        address,
    )


def _emails_links(subject: str) -> SafeString:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">Emails about {}</a>'
        ' · <a class="text-primary-600 dark:text-primary-500" href="{}">Timeline</a>',
        reverse("subject-emails", args=[subject]),
        subject,
        f"{reverse('search')}?{urlencode({'q': subject})}",
    )
