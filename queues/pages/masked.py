"""Mask personal data in the admin for users who may see the rows, but not the person behind them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from queues import addresses, masking
from queues.pages.listing.exports import Values
from queues.pages.lists import ListAdmin


class MaskedAdmin(ListAdmin):
    """Masks the rows that its pages show. Never save a masked row: code that changes a row must read it anew."""

    # The fields that may hold personal data, and how each is masked.
    personal: Mapping[str, Callable[[Any], Any]] = {}
    # Those of them that everybody may search: masked users for the whole value only, in upper or lower case.
    findable: Collection[str] = ()

    def mask(self, row: Any) -> None:
        """Mask the personal data of a row that is only shown."""
        for name, masked in self.personal.items():
            if (value := getattr(row, name)) is not None:
                setattr(row, name, masked(value))

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the row for its page, masked if the user may not see personal data."""
        row = super().get_object(request, *args, **kwargs)
        if row is not None and masking.hides(request):
            self.mask(row)
        return row

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list's rows, masked if the user may not see personal data."""
        changelist = super().get_changelist_instance(request)
        if masking.hides(request):
            changelist.result_list = list(changelist.result_list)
            for row in changelist.result_list:
                self.mask(row)
        return changelist

    def export_cells(self, request: HttpRequest) -> Callable[[Values], Sequence[object]]:
        """Mask the personal columns of an export, too."""
        cells = super().export_cells(request)
        if not self.export or not masking.hides(request):
            return cells
        masks = [self.personal.get(name) for name in self.export.columns]
        return lambda values: cells(
            tuple(
                mask(value) if mask and value is not None else value
                for mask, value in zip(masks, values, strict=True)
            )
        )

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        """Let masked users find a row by the whole of a personal field at most: a part would reveal the rest."""
        names: Sequence[str] = super().get_search_fields(request)
        if not masking.hides(request):
            return names
        return [
            f"={name}" if name in self.personal else name
            for name in names
            if name not in self.personal or name in self.findable
        ]

    def get_search_help_text(self, request: HttpRequest) -> str:
        """Tell masked users that a part of an address finds nothing."""
        text = super().get_search_help_text(request)
        return (
            f"{text} (whole addresses only)" if masking.hides(request) and self.findable else text
        )

    def get_sortable_by(self, request: HttpRequest) -> Sequence[str]:
        """Offer masked users no order by a personal field, which would reveal it too."""
        names: Sequence[str] = super().get_sortable_by(request)
        if not masking.hides(request):
            return names
        return [name for name in names if self._ordering(name) not in self.personal]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find an address or a domain in its ASCII spelling too, which is how tables keep or compare it."""
        found, has_duplicates = super().get_search_results(request, queryset, search_term)
        spelled = " ".join(map(addresses.in_ascii, search_term.split()))
        if spelled != search_term and not search_term.isascii():
            found |= super().get_search_results(request, queryset, spelled)[0]
        return found, bool(has_duplicates)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse masked users a filter by a personal field in the URL, which would reveal it too."""
        if lookup.partition("__")[0] in self.personal and masking.hides(request):
            return False
        return super().lookup_allowed(lookup, value, request)

    def history_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the reasons in the history to everybody, but mask addresses in them for masked users."""
        response: Any = super().history_view(request, *args, **kwargs)
        if masking.hides(request):
            for entry in getattr(response, "context_data", {}).get("action_list", ()):
                entry.change_message = masking.addresses(entry.change_message)
        return cast(HttpResponse, response)

    def _ordering(self, name: str) -> str:
        """Return the name of the field by which a column is sorted."""
        return str(getattr(getattr(self, name, None), "admin_order_field", name))
